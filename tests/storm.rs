//! Streams of work at once, half of them on threads and half on fibers; in a storm they are also cut short.
//!
//! What is cut short is a wait, in one of the ways that the runtime has: the time is up, a token is cancelled by another
//! stream, or the fiber is cancelled as a whole, which then has a successor. None of them may lose or duplicate anything:
//! the tests count what was done and compare.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use abaca::cancel::{CancellationToken, shield};
use abaca::time::timeout;
use abaca::{Cancelled, ScopedJoinHandle};

use super::Choices;

/// Runs `body(stream)` for that many streams at once: half of them on threads, half on fibers.
pub fn on_threads_and_fibers(count: u64, body: impl Fn(u64) + Sync) {
    let body = &body;
    std::thread::scope(|threads| {
        for stream in (0..count).filter(|stream| is_on_a_thread(*stream)) {
            threads.spawn(move || body(stream));
        }
        abaca::run(|| {
            abaca::scope(|fibers| {
                for stream in (0..count).filter(|stream| !is_on_a_thread(*stream)) {
                    fibers.spawn(move || body(stream));
                }
            });
        });
    });
}

/// Of the even streams and of the odd ones, half are on threads: so a test can give the two kinds different roles.
fn is_on_a_thread(stream: u64) -> bool {
    (stream / 2).is_multiple_of(2)
}

/// How many streams a storm has.
const STREAMS: u64 = 8;

/// How many fibers of a storm are cancelled.
const CANCELLATIONS: u64 = 100;

/// One of the streams of a [`storm`].
#[derive(Debug)]
pub struct Stream<'a> {
    /// Which one it is; of the even numbers as of the odd ones, half are on threads and half on fibers.
    pub number: u64,
    /// What it does is chosen here.
    pub choices: Choices,
    gusts: &'a Gusts,
}

/// The token under which the streams of a storm wait; when it is cancelled another takes its place.
#[derive(Debug, Default)]
struct Gusts(Mutex<CancellationToken>);

impl Gusts {
    fn token(&self) -> CancellationToken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn blow(&self) {
        let mut token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *token).cancel();
    }
}

impl Stream<'_> {
    /// Whether it is on a fiber, else on a thread.
    pub fn is_fiber(&self) -> bool {
        !is_on_a_thread(self.number)
    }

    /// Runs `f`, which may be cut short, and is if it waits for what does not come; `None` if it was.
    ///
    /// What `f` does between its last wait and its end cannot be cut off. It may not count on being run at all.
    pub fn briefly<T>(&mut self, f: impl FnOnce() -> T) -> Option<T> {
        let patience = self.choices.patience();
        // By far longer than it takes until somebody cancels the token, unless all others have ended.
        let endless = Duration::from_millis(2);
        match self.choices.below(6) {
            0 => timeout(endless, || self.gusts.token().run_until_cancelled(f)).ok().flatten(),
            1 => self.gusts.token().child_token().run_until_cancelled(|| timeout(patience, f).ok()).flatten(),
            // The shield hides what is outside of it, and only that.
            2 => shield(|| timeout(patience, f)).ok(),
            _ => timeout(patience, f).ok(),
        }
    }

    /// Gives others a turn, or none: in critical sections, to make them long enough for others to come.
    pub fn linger(&mut self) {
        if self.choices.once_in(4) {
            abaca::yield_now();
        }
    }
}

/// Calls `body` often, in eight streams at once: half of them on threads, and half on fibers that are cancelled and
/// replaced all the time. Among what `body` waits for outside of [`briefly`](Stream::briefly) there must be nothing that may never come.
pub fn storm(rounds: u64, body: impl Fn(&mut Stream<'_>) + Sync) {
    let seed = Choices::seed();
    let gusts = &Gusts::default();
    let run = &move |number: u64, generation: u64| {
        let choices = Choices::new(seed, number + STREAMS * generation);
        let mut stream = Stream { number, choices, gusts };
        for _ in 0..rounds {
            body(&mut stream);
            if stream.choices.once_in(8) {
                gusts.blow();
            }
        }
    };
    std::thread::scope(|threads| {
        for number in (0..STREAMS).filter(|number| is_on_a_thread(*number)) {
            threads.spawn(move || run(number, 0));
        }
        abaca::run(|| {
            abaca::scope(|fibers| {
                let mut choices = Choices::new(seed, u64::MAX);
                let spawn = |number, generation| (number, fibers.spawn(move || run(number, generation)));
                let numbers = (0..STREAMS).filter(|number| !is_on_a_thread(*number));
                let mut streams: Vec<_> = numbers.map(|number| spawn(number, 0)).collect();
                for generation in 1..=CANCELLATIONS {
                    match choices.below(3) {
                        0 => abaca::sleep(choices.patience()),
                        yields => (0..yields).for_each(|_| abaca::yield_now()),
                    }
                    let (number, fiber) = streams.swap_remove(choices.below(STREAMS / 2) as usize);
                    fiber.cancel();
                    ended(fiber);
                    streams.push(spawn(number, generation));
                }
                streams.into_iter().for_each(|(_, fiber)| ended(fiber));
            });
        });
    });
}

/// Runs `f`, whose waits end by themselves unless something is lost: then this panics, where `f` would wait for ever.
///
/// # Panics
///
/// If something is lost.
pub fn patiently<T>(f: impl FnOnce() -> T) -> T {
    // So long that the test has hung by any measure.
    timeout(Duration::from_secs(60), f).expect("what was waited for comes")
}

/// Joins a fiber that may have been cancelled, and passes on its panic.
fn ended(fiber: ScopedJoinHandle<'_, ()>) {
    if let Err(payload) = fiber.join()
        && !payload.is::<Cancelled>()
    {
        resume_unwind(payload);
    }
}
