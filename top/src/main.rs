//! abaca-top: a view of a running abaca program, over the socket that
//! `abaca::runtime::Builder::observe_at` (or the environment variable `ABACA_OBSERVE`) opens.

mod app;
mod client;
mod draw;
mod model;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use serde_json::Value;

use crate::app::{App, Request};
use crate::client::{Client, ClientError};
use crate::model::Look;

const USAGE: &str = "\
usage: abaca-top [--dump | --leaks | --json] [--interval SECONDS] SOCKET
  SOCKET              where the program listens: runtime::Builder::observe_at, or ABACA_OBSERVE
  --dump              what every fiber does, with its stack, and fibers that wait for each other
  --leaks             fibers that nobody can wake any more, and sites where ever more wait; looks at all memory of the program
  --json              one look, as JSON on the standard output: {\"metrics\": .., \"dump\": ..}
  --interval SECONDS  the time between two looks (1)
keys: 1 fibers, 2 holders, 3 reasons, s sort, / filter, f freeze, enter stack, w save, q quit";

/// The longest time between two looks: the clock can express the end of it.
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    View,
    Dump,
    Leaks,
    Json,
}

struct Options {
    socket: PathBuf,
    what: What,
    interval: Duration,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let (mut socket, mut what, mut interval) = (None, What::View, Duration::from_secs(1));
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--dump" | "--leaks" | "--json" if what != What::View => return None,
                "--dump" => what = What::Dump,
                "--leaks" => what = What::Leaks,
                "--json" => what = What::Json,
                "--interval" => {
                    let seconds = Duration::try_from_secs_f64(arguments.next()?.parse().ok()?).ok()?;
                    interval = seconds.min(LONGEST_INTERVAL);
                }
                flag if flag.starts_with("--") => return None,
                _ if socket.is_some() => return None,
                path => socket = Some(path.into()),
            }
        }
        Some(Self { socket: socket?, what, interval })
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let client = match Client::connect(&options.socket) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("abaca-top: no program listens at {}: {error}", options.socket.display());
            return ExitCode::FAILURE;
        }
    };
    let result = match options.what {
        What::View => watch(client, options.interval),
        What::Dump => print_text(client, "dump text", "no fibers"),
        What::Leaks => print_text(client, "leaks", "no leaks found"),
        What::Json => print_json(client),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abaca-top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_json(mut client: Client) -> Result<(), ClientError> {
    let (metrics, dump) = (client.ask("metrics")?, client.ask("dump")?);
    say(&as_one(&metrics, &dump))
}

/// Prints the answer to a request; if it is empty, `nothing`.
fn print_text(mut client: Client, request: &str, nothing: &str) -> Result<(), ClientError> {
    let answer = client.ask(request)?;
    let text = String::from_utf8_lossy(&answer);
    say(if text.is_empty() { nothing } else { text.trim_end() })
}

/// Prints a text, unless nobody reads it to its end.
fn say(text: &str) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ClientError::Output(error)),
        _ => Ok(()),
    }
}

/// Both answers as one value.
fn as_one(metrics: &[u8], dump: &[u8]) -> String {
    let text = String::from_utf8_lossy;
    format!("{{\"metrics\":{},\"dump\":{}}}", text(metrics), text(dump))
}

/// What the thread that talks with the program does.
enum Order {
    Look,
    /// Save this look, and a recording if there is one.
    Save(Answers),
}

/// What a program has answered to the two questions of a look: metrics and dump.
#[derive(Clone)]
struct Answers(Vec<u8>, Vec<u8>);

/// What comes of it.
enum Report {
    Look(Value, Value, Answers),
    Message(String),
    Gone(ClientError),
}

/// Talks with the program, so that keys are answered meanwhile.
fn talk(mut client: Client, orders: &Receiver<Order>, reports: &Sender<Report>) {
    for order in orders {
        let report = match order {
            Order::Look => look(&mut client),
            Order::Save(shown) => save(&mut client, &shown),
        };
        let is_gone = matches!(report, Ok(Report::Gone(_)) | Err(_));
        let report = report.unwrap_or_else(Report::Gone);
        if reports.send(report).is_err() || is_gone {
            return;
        }
    }
}

fn look(client: &mut Client) -> Result<Report, ClientError> {
    let (metrics, dump) = (client.ask("metrics")?, client.ask("dump")?);
    let parse = |bytes: &[u8]| {
        serde_json::from_slice(bytes).map_err(|error| ClientError::Refused(format!("no JSON: {error}")))
    };
    Ok(Report::Look(parse(&metrics)?, parse(&dump)?, Answers(metrics, dump)))
}

fn save(client: &mut Client, Answers(metrics, dump): &Answers) -> Result<Report, ClientError> {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let stem = format!("abaca-top-{seconds}");
    let mut saved = vec![(format!("{stem}.json"), as_one(metrics, dump).into_bytes())];
    match client.ask("recording html") {
        Ok(page) => saved.push((format!("{stem}.html"), page)),
        Err(ClientError::Refused(_)) => {}
        Err(error) => return Err(error),
    }
    for (name, bytes) in &saved {
        if let Err(error) = write_whole(name, bytes) {
            return Ok(Report::Message(format!("cannot write {name}: {error}")));
        }
    }
    let names: Vec<_> = saved.into_iter().map(|(name, _)| name).collect();
    Ok(Report::Message(format!("saved {}", names.join(" and "))))
}

/// Makes a file that is there whole or not at all.
fn write_whole(name: &str, bytes: &[u8]) -> io::Result<()> {
    let part = format!(".{name}-{}.part", std::process::id());
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, name));
    if written.is_err() {
        let _ = fs::remove_file(part);
    }
    written
}

fn watch(client: Client, interval: Duration) -> Result<(), ClientError> {
    let ((orders, to_do), (done, reports)) = (channel(), channel());
    // It ends with the process: it may be waiting for an answer.
    thread::spawn(move || talk(client, &to_do, &done));
    let mut terminal = ratatui::try_init()?;
    let result = show(&mut terminal, interval, &orders, &reports);
    ratatui::restore();
    result
}

fn show(
    terminal: &mut DefaultTerminal,
    interval: Duration,
    orders: &Sender<Order>,
    reports: &Receiver<Report>,
) -> Result<(), ClientError> {
    let mut app = App::new();
    // The thread is there until it has reported why not.
    let order = |order| _ = orders.send(order);
    order(Order::Look);
    let (mut asked, mut is_asking, mut due) = (Instant::now(), true, Instant::now());
    let mut shown = None;
    loop {
        match reports.try_recv() {
            Ok(Report::Look(metrics, dump, answers)) => {
                if !app.is_frozen {
                    app.show(Look::new(&metrics, &dump, app.look.as_ref()));
                    shown = Some(answers);
                }
                is_asking = false;
                // A program with very many fibers is not kept busy with us.
                due = Instant::now() + interval.max(asked.elapsed() * 4);
            }
            Ok(Report::Message(message)) => app.message = message,
            Ok(Report::Gone(error)) => return Err(error),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        if !is_asking && !app.is_frozen && Instant::now() >= due {
            order(Order::Look);
            (is_asking, asked) = (true, Instant::now());
        }
        terminal.draw(|frame| draw::draw(frame, &app))?;
        if event::poll(Duration::from_millis(50))?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            app.message.clear();
            match app.press(key) {
                Request::None => {}
                Request::Quit => return Ok(()),
                Request::Save => match &shown {
                    Some(answers) => order(Order::Save(answers.clone())),
                    None => app.message = "nothing to save yet".into(),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_understood() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parse("--interval 0.5 /run/x --json").unwrap();
        assert!(options.what == What::Json && options.interval == Duration::from_millis(500));
        assert_eq!(options.socket, PathBuf::from("/run/x"));
        assert!(Instant::now().checked_add(parse("--interval 1e19 y").unwrap().interval).is_some());
        assert!(
            [
                "",
                "a b",
                "--what x",
                "--json --leaks x",
                "--dump --dump x",
                "--interval x y",
                "--interval -1 y"
            ]
            .iter()
            .all(|line| parse(line).is_none())
        );
    }
}
