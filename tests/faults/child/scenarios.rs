//! What is run while a system call fails: small programs, each with one right answer.
//!
//! A scenario returns every error that it is told, and waits for nobody who may have failed: who fails drops its end, and the
//! other sees that.

mod calls;
mod fibers;
mod sockets;

use std::any::Any;
use std::io;
use std::time::Duration;

use abaca::{JoinHandle, Runtime};

/// A small program.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> io::Result<()>,
    /// What of it stays with the process: the beginnings of what its descriptors are.
    pub(crate) kept: &'static [&'static str],
}

/// All there are; `tests/faults/main.rs` has a test for each.
pub(crate) const ALL: &[Scenario] = &[
    plain("start_and_stop", fibers::start_and_stop),
    plain("spawn_and_join", fibers::spawn_and_join),
    plain("channels", fibers::channels),
    plain("timers", fibers::timers),
    plain("big_stacks", fibers::big_stacks),
    plain("coroutines", fibers::coroutines),
    plain("blocking", fibers::blocking),
    plain("tcp", sockets::tcp),
    plain("tcp_on_a_poller_thread", sockets::tcp_on_a_poller_thread),
    plain("server", sockets::server),
    plain("udp", sockets::udp),
    plain("unix", sockets::unix),
    plain("descriptors_sent", sockets::descriptors_sent),
    plain("names", sockets::names),
    plain("pipes", calls::pipes),
    plain("copies", calls::copies),
    plain("files", calls::files),
    plain("output", calls::output),
    plain("children", calls::children),
    plain("outputs", calls::outputs),
    Scenario { name: "signals", run: calls::signals, kept: &["anon_inode:[eventfd]"] },
];

const fn plain(name: &'static str, run: fn() -> io::Result<()>) -> Scenario {
    Scenario { name, run, kept: &[] }
}

/// Whether the runtime says so of its own accord, without an errno that it could name.
pub(crate) fn is_clear(message: &str) -> bool {
    ["failed to lookup address information", "operation would block"]
        .iter()
        .any(|part| message.contains(part))
}

/// Runs `body` as the main fiber of a runtime with two workers. What takes longer than a minute is wrong.
fn on_fibers(body: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    on(Runtime::builder().workers(2), body)
}

fn on(builder: abaca::runtime::Builder, body: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    let runtime = builder.build()?;
    runtime.run(|| {
        abaca::time::timeout(Duration::from_secs(60), body)
            .unwrap_or_else(|_| Err(io::Error::other("WRONG: waits for ever")))
    })
}

/// What a fiber returned, or why it did not.
fn joined<T>(fiber: JoinHandle<io::Result<T>>) -> io::Result<T> {
    fiber.join().unwrap_or_else(|payload| Err(reason(payload)))
}

fn reason(payload: Box<dyn Any + Send>) -> io::Error {
    match payload.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(payload) => {
            let text = payload.downcast::<String>().map(|text| *text);
            io::Error::other(text.unwrap_or_else(|_| "WRONG: a payload without words".into()))
        }
    }
}

/// Spawns; that no fiber can be had is an error as any.
fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<T>>> {
    Ok(abaca::Builder::new().spawn(body)?)
}

/// An answer that is wrong is no error that was told.
fn right<T: PartialEq + std::fmt::Debug>(answer: T, wanted: T) -> io::Result<()> {
    if answer == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("WRONG: {answer:?} instead of {wanted:?}")))
}
