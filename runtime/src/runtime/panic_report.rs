//! The report of a panic in a fiber that has a name shows that name, as the report of a panic in a thread does.
//!
//! std's message names the thread, which is a worker here. So the panic hook of the process is wrapped once, when the first
//! runtime is built: it writes the line with the fiber's name, and then calls the hook that was there before. A hook that the
//! program sets later replaces both, and can ask [`abaca::current`](crate::current()) for the name.
//!
//! The hook is global, and is wrapped once in the life of the process: hence the static.

use std::io::Write;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use super::MAIN;
use crate::observe::flight::record_panic;
use crate::os::fork::PerProcess;
use crate::park;

/// Whether it was wrapped, and what is held meanwhile.
static IS_WRAPPED: AtomicBool = AtomicBool::new(false);
static WRAPPING: PerProcess<()> = PerProcess::new(|| ());

/// From now on, reports of panics in fibers show the fiber's name.
pub(super) fn name_fibers() {
    // The hook cannot be changed during a panic. The next runtime wraps it.
    if std::thread::panicking() {
        return;
    }
    let _wrapping = WRAPPING.lock();
    // Relaxed: the lock is held.
    if IS_WRAPPED.load(Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if park::on_fiber() {
            announce();
            record_panic();
        }
        before(panic);
    }));
    IS_WRAPPED.store(true, Ordering::Relaxed);
}

fn announce() {
    let fiber = crate::fiber::current();
    // The program has not named the main fiber, and its panic goes on in the caller of `run`.
    if let Some(name) = fiber.name().filter(|name| *name != MAIN) {
        // As with std, the line is lost if there is no standard error: a panic here would abort.
        let _ = writeln!(std::io::stderr(), "\nfiber '{name}' ({:?}) panicked:", fiber.id());
    }
}
