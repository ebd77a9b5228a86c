//! A panic in a fiber that has a name says so, as a panic in a thread does.
//!
//! std's message names the thread, which is a worker here. So the process's panic hook is wrapped once, when the first runtime
//! is built: the line with the fiber's name comes first, then whatever the hook did before. A hook that the program sets later
//! takes the place of all that, and can ask [`abaca::current`](crate::current()) for the name.
//!
//! A static, as the hook is one: it is wrapped once in the life of the process.

use std::io::Write;
use std::panic;
use std::sync::Once;

use super::MAIN;
use crate::park;

static WRAPPED: Once = Once::new();

/// Lets panics in fibers be reported with the fiber's name from now on.
pub(super) fn name_fibers() {
    // The hook cannot be changed meanwhile; the next runtime will.
    if std::thread::panicking() {
        return;
    }
    WRAPPED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if park::on_fiber() {
                announce();
            }
            before(panic);
        }));
    });
}

fn announce() {
    let fiber = crate::fiber::current();
    // The main fiber's name is ours, and its panic goes on in the caller of `run`.
    if let Some(name) = fiber.name().filter(|name| *name != MAIN) {
        // As std's, it goes nowhere if there is no standard error: a panic here would abort.
        let _ = writeln!(std::io::stderr(), "\nfiber '{name}' ({:?}) panicked:", fiber.id());
    }
}
