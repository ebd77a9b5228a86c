//! Any sequence of operations that do not wait, and any small program whose result does not depend on chance, has the
//! results of the original: std's, crossbeam's, parking_lot's or tokio's. One macro runs the program with either's types.

mod barrier;
mod channel;
mod condvar;
mod locks;
mod mapped;
mod mpsc;
mod once;
mod permits;
mod wait_group;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;

use abaca::Runtime;

/// A runtime for all programs: starting one takes longer than running most programs. When all but the caller wait, all have run: none is
/// left to a thread.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    abaca_tests::leaks::expect_runtime(1);
    abaca_tests::with_workers_on_their_threads().workers(1).build().expect("a worker starts")
});

/// The result of `f` on a plain thread, which must be the result on a fiber.
fn everywhere<T: Debug + PartialEq + Send>(f: impl Fn() -> T + Sync) -> T {
    let on_a_thread = f();
    assert_eq!(on_a_thread, RUNTIME.run(&f), "the results on a thread (left) and on a fiber (right)");
    on_a_thread
}

/// Runs `body` concurrently for each number below `count`: the even ones on threads, the odd ones on fibers.
fn at_once(count: usize, body: impl Fn(usize) + Sync) {
    let body = &body;
    std::thread::scope(|threads| {
        for number in (0..count).step_by(2) {
            threads.spawn(move || body(number));
        }
        RUNTIME.run(|| {
            abaca::scope(|fibers| {
                for number in (1..count).step_by(2) {
                    fibers.spawn(move || body(number));
                }
            });
        });
    });
}

/// [`at_once`] for the originals, which cannot run on fibers.
fn on_threads(count: usize, body: impl Fn(usize) + Sync) {
    let body = &body;
    std::thread::scope(|threads| {
        for number in 0..count {
            threads.spawn(move || body(number));
        }
    });
}

/// Panics without a message on stderr.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("quiet"))
}

/// The value that `f` returns, or the message that it panics with.
fn outcome<T: Debug>(f: impl FnOnce() -> T) -> String {
    let text = |payload: Box<dyn Any + Send>| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "something".to_owned())
    };
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => format!("{value:?}"),
        Err(payload) => format!("panic: {}", text(payload)),
    }
}
