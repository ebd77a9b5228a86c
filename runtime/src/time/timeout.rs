//! A deadline around any blocking code.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::cell::CancelScope;
use crate::park::run_inside;
use crate::park::{self, Cost};
use crate::scheduler::{self, Trigger};

/// The error of [`timeout`]: the time was up before the code ended.
///
/// It converts into an [`io::Error`] of the kind [`TimedOut`](io::ErrorKind::TimedOut), so that
/// `?` works in functions that return [`io::Result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(error: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// Runs `f` for at most `duration`. When the time is up, `f` unwinds from the blocking call that it is in, or else from its
/// next one: destructors run, and the result is [`Elapsed`].
///
/// # It fires once
///
/// A timeout is **one** deadline for all of `f`, not one for each call in it. It ends `f` at the first blocking call after the
/// time is up, and then it is over:
///
/// * Destructors that run while `f` unwinds may block for as long as they like. One that wants a limit sets up a timeout of its own.
/// * If code in `f` catches the unwinding with [`catch_unwind`](std::panic::catch_unwind) and goes on, no later call is ended:
///   pass the payload on with [`resume_unwind`](std::panic::resume_unwind).
/// * It is not armed again by progress. For a limit on each request, put a timeout around each request, in the loop:
///
/// ```
/// use std::time::Duration;
/// use abaca::time::timeout;
///
/// # abaca::run(|| {
/// let (sender, receiver) = abaca::channel::bounded(1);
/// # abaca::spawn(move || (0..3).try_for_each(|n| sender.send(n)));
/// // Each message has to come within a minute of the one before. A timeout around the loop would limit all of them together.
/// while let Ok(Ok(message)) = timeout(Duration::from_secs(60), || receiver.recv()) {
///     println!("{message}");
/// }
/// # });
/// ```
///
/// # What it ends
///
/// * Blocking calls of abaca's, at any depth. Code that does not block is not interrupted, nor is a call that blocks without
///   abaca's knowledge, nor code inside of [`cancel::shield`](crate::cancel::shield). If such code returns after all, its
///   result counts.
/// * Where `abaca-transparent` makes libc's functions park fibers, a call of std's or of a C library that waits for a descriptor or
///   sleeps ends in the error ECANCELED instead of unwinding. What `f` makes of that, be it a panic, is dropped: the result is
///   [`Elapsed`].
/// * A zero duration lets `f` run until it would block. A duration beyond the range of the clock never passes.
/// * Timeouts nest: the one whose time is up first ends its own code. If several are up, the outermost does.
/// * Fibers that `f` has spawned go on, except those in a [`scope`](crate::scope()), which are cancelled.
/// * [`blocking::run`](fn@crate::blocking::run) waits for its closure, which may borrow;
///   [`run_owned`](crate::blocking::run_owned) leaves it behind.
///
/// No message that was received and no byte that was read is lost; see [`cancel`](crate::cancel). A plain thread may use it as
/// well.
///
/// # Errors
///
/// * [`Elapsed`]: the time was up, and `f` has unwound.
///
/// # Panics
///
/// * If `f` panics, with its payload.
/// * With `panic = "abort"`, since there is no unwinding then; [`future::timeout`](crate::future::timeout()) works there.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use abaca::time::{Elapsed, timeout};
/// # abaca::run(|| {
/// let late = timeout(Duration::from_millis(1), || abaca::sleep(Duration::from_secs(3600)));
/// assert!(late.is_err());
///
/// // It works as an `io::Error` as well.
/// let error = std::io::Error::from(late.unwrap_err());
/// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
/// # });
/// ```
#[track_caller]
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    match Instant::now().checked_add(duration) {
        Some(deadline) => timeout_at(deadline, f),
        // Beyond the clock's range: it never comes.
        None => {
            park::spend(Cost::Wait);
            Ok(f())
        }
    }
}

/// Like [`timeout`], with a point in time. It fires once, too. A deadline that has passed lets `f` run until it would block.
///
/// # Errors
///
/// * [`Elapsed`]: the deadline passed, and `f` has unwound.
///
/// # Panics
///
/// As [`timeout`].
///
/// ```
/// use std::time::Instant;
/// # abaca::run(|| {
/// assert!(abaca::time::timeout_at(Instant::now(), || abaca::park()).is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout_at<T>(deadline: Instant, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    park::spend(Cost::Wait);
    run_inside(&mut CancelScope::deadline(deadline), |_| f()).ok_or_else(|| {
        scheduler::trigger(Trigger::Deadline);
        Elapsed(())
    })
}
