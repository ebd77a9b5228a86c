//! How the view looks.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};

use crate::app::{App, Page};
use crate::model::{Fiber, Look};

/// A fiber that keeps its worker for this long is a hog.
const HOG: Duration = Duration::from_secs(1);

/// How many workers are shown; a line says how many there are beyond that.
const MOST_WORKERS: usize = 16;

pub(crate) fn draw(frame: &mut Frame<'_>, app: &App) {
    let Some(look) = &app.look else {
        frame.render_widget(Paragraph::new("asking ..."), frame.area());
        return;
    };
    let workers = look.workers.len().min(MOST_WORKERS) as u16 + 1;
    let rows =
        [Constraint::Length(2), Constraint::Length(workers), Constraint::Min(3), Constraint::Length(1)];
    let [head, middle, page, foot] = Layout::vertical(rows).areas(frame.area());
    draw_head(frame, head, app, look);
    draw_workers(frame, middle, look);
    match app.page {
        Page::Fibers => draw_fibers(frame, page, app),
        Page::Holders => draw_holders(frame, page, app, look),
        Page::Reasons => draw_reasons(frame, page, app, look),
    }
    draw_foot(frame, foot, app);
    if app.shows_stack
        && let Some(fiber) = app.selected_fiber()
    {
        draw_stack(frame, page, look, fiber);
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, app: &App, look: &Look) {
    let (threads, queued) = look.blocking;
    let mut first = vec![Span::from(format!(
        "{} fibers, {} unstarted, {} spawned ({:.0}/s); blocking pool: {threads} threads, {queued} queued",
        look.live, look.unstarted, look.spawned, look.spawned_per_second,
    ))];
    if app.is_frozen {
        first.push("  FROZEN".bold());
    }
    let mut second = Vec::new();
    for cycle in look.cycles.iter().take(2) {
        let ids: Vec<_> = cycle.iter().map(u64::to_string).collect();
        second.push(format!("DEADLOCK: fibers {} wait for each other  ", ids.join(" -> ")).red().bold());
    }
    if second.is_empty() {
        let reasons = look.by_reason().into_iter().take(6).map(|(reason, count)| format!("{reason} {count}"));
        second.push(reasons.collect::<Vec<_>>().join(", ").dim());
    }
    frame.render_widget(Paragraph::new(vec![Line::from(first), Line::from(second)]), area);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, look: &Look) {
    let row = |(index, worker): (usize, &crate::model::Worker)| {
        let state = match worker {
            worker if worker.stuck >= HOG => format!("HOG {:.0} s", worker.stuck.as_secs_f64()).red().bold(),
            worker if worker.is_sleeping => "asleep".dim(),
            _ => "awake".green(),
        };
        Row::new([
            Cell::from(index.to_string()),
            Cell::from(state),
            Cell::from(worker.fibers.to_string()),
            Cell::from(format!("{:.0}", worker.switches_per_second)),
            Cell::from(format!("{:.0}", worker.wakeups_per_second)),
            Cell::from(worker.steals.to_string()),
        ])
    };
    let rest = look.workers.len().saturating_sub(MOST_WORKERS);
    let last = if rest > 0 { format!("stolen (and {rest} more workers)") } else { "stolen".to_owned() };
    let head = ["worker", "state", "fibers", "switches/s", "wake-ups/s"].map(str::to_owned);
    let widths = [7, 10, 9, 12, 12, 30].map(Constraint::Length);
    let table = Table::new(look.workers.iter().enumerate().take(MOST_WORKERS).map(row), widths)
        .header(Row::new(head.into_iter().chain([last])).style(Style::new().add_modifier(Modifier::DIM)));
    frame.render_widget(table, area);
}

fn title(app: &App, page: &str, count: usize) -> String {
    let filter = match (app.edits_filter, app.filter.as_str()) {
        (true, filter) => format!(", filter: {filter}_"),
        (false, "") => String::new(),
        (false, filter) => format!(", filter: {filter}"),
    };
    format!(" {page}: {count}{filter} ")
}

fn table<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    title: String,
    head: &[&'a str],
    widths: &[Constraint],
    rows: Vec<Row<'a>>,
) {
    let table = Table::new(rows, widths)
        .header(Row::new(head.iter().copied()).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::bordered().title(title));
    let mut state = TableState::new().with_selected(app.selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// A time in a few letters.
fn short(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

fn who(fiber: &Fiber) -> String {
    match (fiber.id, fiber.name.as_str()) {
        (Some(id), "") => id.to_string(),
        (Some(id), name) => format!("{id} {name}"),
        (None, "") => "?".into(),
        (None, name) => name.into(),
    }
}

/// The end of a path.
fn file(site: &str) -> &str {
    site.rsplit('/').next().unwrap_or(site)
}

fn draw_fibers(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let fibers = app.fibers();
    let title = title(app, &format!("fibers by {}", app.sort.name()), fibers.len());
    // No more than what may be seen: the selected line is among the rest of these.
    let seen = app.selected + usize::from(area.height);
    let rows = fibers.iter().take(seen).map(|fiber| {
        let hogged = app.look.as_ref().and_then(|look| look.hogged_by(fiber)).filter(|time| *time >= HOG);
        let state = match fiber.state.as_str() {
            "running" if hogged.is_some() => "HOG".red().bold(),
            "running" => "running".green(),
            "ready" => "ready".yellow(),
            _ => Span::from(fiber.reason.clone()),
        };
        let waits = match hogged {
            Some(time) => short(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            None if fiber.state == "parked" => short(fiber.waits_ms),
            None => String::new(),
        };
        let holder = fiber.holder.map(|id| format!("held by {id}, ")).unwrap_or_default();
        Row::new([
            Cell::from(who(fiber)),
            Cell::from(fiber.worker.to_string()),
            Cell::from(state),
            Cell::from(waits),
            Cell::from(format!("{holder}{}", fiber.object)),
            Cell::from(file(&fiber.site).to_owned()),
            Cell::from(fiber.labels.clone()),
        ])
    });
    let head = ["fiber", "worker", "state", "for", "what", "spawned at", "labels"];
    let longest = |text: fn(&Fiber) -> &str, head: &str, most: usize| {
        let needed = fibers.iter().take(seen).map(|fiber| text(fiber).chars().count()).max().unwrap_or(0);
        Constraint::Length(needed.clamp(head.len(), most) as u16)
    };
    let widths = [
        Constraint::Length(18),
        Constraint::Length(6),
        Constraint::Length(16),
        Constraint::Length(8),
        Constraint::Fill(1),
        longest(|fiber| file(&fiber.site), head[5], 24),
        longest(|fiber| &fiber.labels, head[6], 32),
    ];
    table(frame, area, app, title, &head, &widths, rows.collect());
}

fn draw_holders(frame: &mut Frame<'_>, area: Rect, app: &App, look: &Look) {
    let holders = look.holders();
    let rows = holders.iter().map(|(id, count, longest)| {
        let (name, state) = match look.fiber(*id) {
            Some(fiber) if fiber.reason.is_empty() => (who(fiber), fiber.state.clone()),
            Some(fiber) => (who(fiber), format!("{} for {}", fiber.reason, short(fiber.waits_ms))),
            None => (id.to_string(), "has ended".into()),
        };
        Row::new([name, count.to_string(), short(*longest), state])
    });
    let widths =
        [Constraint::Length(24), Constraint::Length(10), Constraint::Length(10), Constraint::Fill(1)];
    let title = title(app, "fibers that others wait for", holders.len());
    table(frame, area, app, title, &["holder", "waiting", "longest", "is itself"], &widths, rows.collect());
}

fn draw_reasons(frame: &mut Frame<'_>, area: Rect, app: &App, look: &Look) {
    let reasons = look.by_reason();
    let rows = reasons.iter().map(|(reason, count)| Row::new([(*reason).to_owned(), count.to_string()]));
    let widths = [Constraint::Length(24), Constraint::Fill(1)];
    let title = title(app, "states and reasons", reasons.len());
    table(frame, area, app, title, &["state or reason", "fibers"], &widths, rows.collect());
}

fn draw_stack(frame: &mut Frame<'_>, area: Rect, look: &Look, fiber: &Fiber) {
    let mut lines = vec![Line::from(format!("spawned at {}", fiber.site))];
    if !fiber.reason.is_empty() {
        let what = format!("waits for {}: {} {}", short(fiber.waits_ms), fiber.reason, fiber.object);
        lines.push(Line::from(what));
    }
    if let Some(used) = fiber.stack_used {
        lines.push(Line::from(format!("{used} bytes of stack in use")));
    }
    match look.stacks.get(fiber.stack).filter(|stack| !stack.is_empty()) {
        Some(stack) => lines.extend(stack.iter().map(|frame| Line::from(frame.as_str()))),
        None => lines.push(
            Line::from(
                "no frames: the program is built without abaca's feature `backtrace`, or the fiber runs",
            )
            .dim(),
        ),
    }
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(format!(" stack of fiber {} ", who(fiber)));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let keys = "1 fibers  2 holders  3 reasons  s sort  / filter  f freeze  enter stack  w save  q quit";
    let line = if app.message.is_empty() {
        Line::from(keys).dim()
    } else {
        Line::from(app.message.as_str()).fg(Color::Yellow)
    };
    frame.render_widget(Paragraph::new(line), area);
}
