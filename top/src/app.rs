//! What the view shows, and how keys change that.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::{Fiber, Look};

/// A page of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Fibers,
    /// Who holds what others wait for.
    Holders,
    /// How many fibers are in each state, or wait for each reason.
    Reasons,
}

/// The order of the fibers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Wait,
    Id,
    Worker,
    Reason,
    Stack,
}

impl Sort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wait => "longest wait",
            Self::Id => "id",
            Self::Worker => "worker",
            Self::Reason => "reason",
            Self::Stack => "stack used",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Wait => Self::Id,
            Self::Id => Self::Worker,
            Self::Worker => Self::Reason,
            Self::Reason => Self::Stack,
            Self::Stack => Self::Wait,
        }
    }
}

/// What a key asks for that is not the view's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    None,
    Quit,
    /// Save what is seen, and a recording if there is one.
    Save,
}

/// The state of the view.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) page: Page,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) edits_filter: bool,
    pub(crate) is_frozen: bool,
    /// The line that is selected.
    pub(crate) selected: usize,
    /// Whether the stack of the selected fiber is shown.
    pub(crate) shows_stack: bool,
    pub(crate) look: Option<Look>,
    /// The last thing that was done, or went wrong.
    pub(crate) message: String,
}

impl App {
    pub(crate) fn new() -> Self {
        Self {
            page: Page::Fibers,
            sort: Sort::Wait,
            filter: String::new(),
            edits_filter: false,
            is_frozen: false,
            selected: 0,
            shows_stack: false,
            look: None,
            message: String::new(),
        }
    }

    /// The fibers that the filter lets through, in order.
    pub(crate) fn fibers(&self) -> Vec<&Fiber> {
        let Some(look) = &self.look else { return Vec::new() };
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        let lets_through = |fiber: &&Fiber| {
            filter.is_empty()
                || [&fiber.name, &fiber.state, &fiber.reason, &fiber.object, &fiber.site, &fiber.labels]
                    .into_iter()
                    .any(|text| has(text))
                || fiber.id.is_some_and(|id| id.to_string() == filter)
        };
        let mut fibers: Vec<_> = look.fibers.iter().filter(lets_through).collect();
        let wait = |fiber: &Fiber| std::cmp::Reverse(fiber.waits_ms);
        match self.sort {
            Sort::Wait => fibers.sort_by_key(|fiber| (wait(fiber), fiber.id)),
            Sort::Id => fibers.sort_by_key(|fiber| fiber.id),
            Sort::Worker => fibers.sort_by_key(|fiber| (fiber.runtime, fiber.worker, fiber.id)),
            Sort::Reason => fibers.sort_by_key(|fiber| (fiber.reason.clone(), wait(fiber))),
            Sort::Stack => fibers.sort_by_key(|fiber| std::cmp::Reverse(fiber.stack_used)),
        }
        fibers
    }

    /// The number of lines of the page.
    fn lines(&self) -> usize {
        match (&self.look, self.page) {
            (None, _) => 0,
            (Some(_), Page::Fibers) => self.fibers().len(),
            (Some(look), Page::Holders) => look.holders().len(),
            (Some(look), Page::Reasons) => look.by_reason().len(),
        }
    }

    /// The fiber that is selected.
    pub(crate) fn selected_fiber(&self) -> Option<&Fiber> {
        match self.page {
            Page::Fibers => self.fibers().get(self.selected).copied(),
            Page::Holders => {
                let look = self.look.as_ref()?;
                look.fiber(look.holders().get(self.selected)?.0)
            }
            Page::Reasons => None,
        }
    }

    pub(crate) fn show(&mut self, look: Look) {
        self.look = Some(look);
        self.selected = self.selected.min(self.lines().saturating_sub(1));
    }

    pub(crate) fn press(&mut self, key: KeyEvent) -> Request {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Request::Quit;
        }
        if self.edits_filter {
            self.edit(key.code);
            return Request::None;
        }
        match key.code {
            KeyCode::Char('q') => return Request::Quit,
            KeyCode::Char('w') => return Request::Save,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('f' | ' ') => self.is_frozen = !self.is_frozen,
            KeyCode::Char('/') => self.edits_filter = true,
            KeyCode::Char('1') => self.turn_to(Page::Fibers),
            KeyCode::Char('2') => self.turn_to(Page::Holders),
            KeyCode::Char('3') => self.turn_to(Page::Reasons),
            KeyCode::Tab => self.turn_to(match self.page {
                Page::Fibers => Page::Holders,
                Page::Holders => Page::Reasons,
                Page::Reasons => Page::Fibers,
            }),
            KeyCode::Enter if self.page == Page::Reasons => self.filter_by_reason(),
            KeyCode::Enter => self.shows_stack = !self.shows_stack,
            KeyCode::Esc if self.shows_stack => self.shows_stack = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected + 1),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(20),
            KeyCode::PageDown => self.select(self.selected + 20),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.select(usize::MAX),
            _ => {}
        }
        Request::None
    }

    fn turn_to(&mut self, page: Page) {
        (self.page, self.selected, self.shows_stack) = (page, 0, false);
    }

    fn select(&mut self, line: usize) {
        self.selected = line.min(self.lines().saturating_sub(1));
    }

    /// Shows the fibers of the selected state or reason.
    fn filter_by_reason(&mut self) {
        let reason = self
            .look
            .as_ref()
            .and_then(|look| look.by_reason().get(self.selected).map(|(reason, _)| (*reason).to_owned()));
        if let Some(reason) = reason {
            self.filter = reason;
            self.turn_to(Page::Fibers);
        }
    }

    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.edits_filter = false,
            KeyCode::Esc => {
                self.edits_filter = false;
                self.filter.clear();
            }
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.selected = 0;
    }
}
