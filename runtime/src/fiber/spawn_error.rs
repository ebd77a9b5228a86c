//! Why a fiber could not be spawned, in words that say what to do.

use std::fmt;
use std::io;

use crate::park;

/// Why a fiber could not be spawned.
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
    /// The caller is neither a fiber nor inside a runtime: use `Runtime::spawn`, or spawn inside `abaca::run`.
    NoRuntime,
    /// The runtime is shutting down.
    ShuttingDown,
    /// As many fibers are alive as the runtime's builder allows.
    LimitReached {
        /// The limit set by `max_fibers`.
        max_fibers: usize,
    },
    /// The stack size asked for is beyond 4 GiB.
    StackTooLarge,
}

impl SpawnError {
    /// Fails as [`spawn`](fn@crate::spawn) does: a fiber whose runtime is shutting down unwinds as if it had been cancelled,
    /// which it is about to be; anybody else panics. For functions that spawn with a [`Builder`](crate::Builder) and return
    /// no error.
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
        }
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        io::Error::other(error)
    }
}
