//! The error of spawning a fiber. Its messages say what to do.

use std::fmt;
use std::io;

use crate::park;

/// The reason why a fiber could not be spawned: the error of [`Builder::spawn`](crate::Builder::spawn) and its like.
///
/// A fiber that was spawned and then finds no memory for its stack is another case: its join returns an
/// [`io::Error`] as the payload.
///
/// Converts into [`io::Error`], so that `?` works where `std::thread::Builder::spawn` was used.
///
/// ```
/// let runtime = abaca::Runtime::builder().max_fibers(1).build().unwrap();
/// runtime.run(|| {
///     let error = abaca::Builder::new().spawn(|| ()).unwrap_err();
///     assert!(matches!(error, abaca::SpawnError::LimitReached { max_fibers: 1 }));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller is not a fiber, so there is no current runtime: spawn inside of [`run`](fn@crate::run), or with
    /// [`Runtime::spawn`](crate::Runtime::spawn).
    NoRuntime,
    /// The runtime is shutting down.
    ShuttingDown,
    /// As many fibers are alive as the runtime's builder allows.
    LimitReached {
        /// The limit set by `max_fibers`.
        max_fibers: usize,
    },
    /// The stack size asked for is 4 GiB or more.
    StackTooLarge,
    /// The process is a child by `fork`, and the runtime's threads are its parent's: build a runtime here.
    Forked,
    /// The fiber is to roam, and shares its worker's thread-local storage: build the runtime with `own_tls(true)`.
    SharedStorage,
}

impl SpawnError {
    /// Fails as [`spawn`](fn@crate::spawn) does: a fiber whose runtime is shutting down unwinds as if it had been cancelled,
    /// which it is about to be; any other caller panics. For functions that spawn with a [`Builder`](crate::Builder) and return
    /// no error. The panic blames the caller.
    ///
    /// # Panics
    ///
    /// Always.
    ///
    /// ```should_panic
    /// // Outside of a runtime.
    /// let handle = abaca::Builder::new().spawn(|| 5).unwrap_or_else(|error| error.raise());
    /// ```
    #[cold]
    #[track_caller]
    pub fn raise(self) -> ! {
        if self == Self::ShuttingDown && park::on_fiber() && !std::thread::panicking() {
            park::unwind();
        }
        panic!("failed to spawn a fiber: {self}")
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => {
                f.write_str("no runtime here: spawn inside abaca::run, or with Runtime::spawn")
            }
            Self::ShuttingDown => f.write_str("the runtime is shutting down and accepts no new fibers"),
            Self::LimitReached { max_fibers } => {
                write!(
                    f,
                    "{max_fibers} fibers are alive, the limit of this runtime: raise Builder::max_fibers"
                )
            }
            Self::StackTooLarge => f.write_str("a fiber's stack is less than 4 GiB"),
            Self::Forked => f.write_str("this process was forked from the one that has the runtime's threads: build a runtime here"),
            Self::SharedStorage => f.write_str(
                "a fiber that roams needs thread-local storage of its own: build the runtime with own_tls(true)",
            ),
        }
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        io::Error::other(error)
    }
}
