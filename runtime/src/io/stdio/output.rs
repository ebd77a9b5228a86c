//! Standard output, by lines, and standard error, at once.

use std::fmt;
use std::io::{self, IoSlice, IsTerminal, LineWriter, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Stdio;
use std::sync::LazyLock;

use super::raw::Raw;
use super::reentrant::{ReentrantGuard, ReentrantLock};
use crate::os::process;

/// Belongs to the process, as the stream does. The rest of a line is written when the process exits.
static OUTPUT: LazyLock<ReentrantLock<LineWriter<Raw<io::Stdout>>>> = LazyLock::new(|| {
    process::at_exit::<LastFlush>();
    ReentrantLock::new(LineWriter::new(Raw(io::stdout)))
});

struct LastFlush;

impl process::AtExit for LastFlush {
    fn run() {
        // If another thread holds the lock, its line is lost, as with std.
        if let Some(mut guard) = OUTPUT.try_lock()
            && let Some(mut output) = guard.value()
        {
            let _ = output.flush();
            // What comes later, such as from other hooks of the exit, is written at once, as with std.
            *output = LineWriter::with_capacity(0, Raw(io::stdout));
        }
    }
}

/// Belongs to the process, as the stream does.
static ERRORS: LazyLock<ReentrantLock<Raw<io::Stderr>>> =
    LazyLock::new(|| ReentrantLock::new(Raw(io::stderr)));

/// The standard output of the process. Mirrors [`std::io::stdout`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// use std::io::Write;
/// let mut output = abaca::io::stdout().lock();
/// writeln!(output, "these lines")?;
/// writeln!(output, "stay together")
/// # })
/// # }
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(io::stdout())
}

/// The standard error of the process. Mirrors [`std::io::stderr`].
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(io::stderr())
}

/// A handle to the standard output, whose writes block the fiber. Mirrors [`std::io::Stdout`]: all handles share one buffer,
/// which is written at each end of a line.
pub struct Stdout(io::Stdout);

/// The standard output, locked. Mirrors [`std::io::StdoutLock`]: its owner may lock, and print, again.
pub struct StdoutLock<'a> {
    guard: ReentrantGuard<LineWriter<Raw<io::Stdout>>>,
    handle: io::Stdout,
    lifetime: PhantomData<&'a ()>,
}

/// A handle to the standard error, whose writes block the fiber. Mirrors [`std::io::Stderr`]: there is no buffer.
pub struct Stderr(io::Stderr);

/// The standard error, locked. Mirrors [`std::io::StderrLock`]: its owner may lock, and print, again.
pub struct StderrLock<'a> {
    guard: ReentrantGuard<Raw<io::Stderr>>,
    handle: io::Stderr,
    lifetime: PhantomData<&'a ()>,
}

// A panic leaves a stream usable, as with std's.
impl UnwindSafe for StdoutLock<'_> {}
impl RefUnwindSafe for StdoutLock<'_> {}
impl UnwindSafe for StderrLock<'_> {}
impl RefUnwindSafe for StderrLock<'_> {}

/// The error of formatting code that writes to the stream to which its own output goes.
fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "the stream is written to already by the caller")
}

/// The methods and traits of both streams.
macro_rules! is_output {
    ($handle:ident, $lock:ident, $storage:ident, $std:path) => {
        impl $handle {
            /// Locks the stream, for writes that belong together. Blocks the fiber while another holds the lock; the
            /// holder may lock it again.
            pub fn lock(&self) -> $lock<'static> {
                $lock { guard: $storage.lock(), handle: $std(), lifetime: PhantomData }
            }

            /// Whether it is a terminal. Mirrors [`std::io::IsTerminal`], which others cannot implement.
            pub fn is_terminal(&self) -> bool {
                self.0.is_terminal()
            }
        }

        impl $lock<'_> {
            /// Whether it is a terminal. Mirrors [`std::io::IsTerminal`], which others cannot implement.
            pub fn is_terminal(&self) -> bool {
                self.handle.is_terminal()
            }
        }

        impl Write for $lock<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.guard.value().ok_or_else(busy)?.write(bytes)
            }

            fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                self.guard.value().ok_or_else(busy)?.write_vectored(slices)
            }

            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.guard.value().ok_or_else(busy)?.write_all(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.guard.value().ok_or_else(busy)?.flush()
            }
        }

        impl Write for &$handle {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.lock().write(bytes)
            }

            fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                self.lock().write_vectored(slices)
            }

            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.lock().write_all(bytes)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                self.lock().write_fmt(text)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.lock().flush()
            }
        }

        impl Write for $handle {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (&*self).write(bytes)
            }

            fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(slices)
            }

            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                (&*self).write_all(bytes)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }
        }

        is_output!(@descriptor $handle, $handle, 0);
        is_output!(@descriptor $lock<'_>, $lock, handle);

        /// Hands the stream to a child process.
        impl From<$handle> for Stdio {
            fn from(handle: $handle) -> Self {
                handle.0.into()
            }
        }
    };
    (@descriptor $t:ty, $name:ident, $field:tt) => {
        impl AsFd for $t {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.$field.as_fd()
            }
        }

        impl AsRawFd for $t {
            fn as_raw_fd(&self) -> RawFd {
                self.$field.as_raw_fd()
            }
        }

        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

is_output!(Stdout, StdoutLock, OUTPUT, io::stdout);
is_output!(Stderr, StderrLock, ERRORS, io::stderr);

/// The function behind [`print!`](crate::print).
///
/// # Panics
///
/// When writing fails.
#[doc(hidden)]
pub fn print(text: fmt::Arguments<'_>) {
    stdout().write_fmt(text).unwrap_or_else(|error| panic!("failed printing to stdout: {error}"));
}

/// The function behind [`eprint!`](crate::eprint).
///
/// # Panics
///
/// When writing fails.
#[doc(hidden)]
pub fn eprint(text: fmt::Arguments<'_>) {
    stderr().write_fmt(text).unwrap_or_else(|error| panic!("failed printing to stderr: {error}"));
}

/// Prints to the [standard output](crate::io::stdout), blocking only the fiber. Mirrors [`std::print!`].
///
/// # Panics
///
/// When writing fails.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::io::print(::std::format_args!($($text)*))
    };
}

/// [`print!`] with an end of line. Mirrors [`std::println!`].
///
/// # Panics
///
/// When writing fails.
///
/// ```
/// # abaca::run(|| abaca::println!("{} fibers", 1_000_000));
/// ```
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::io::print(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}

/// Prints to the [standard error](crate::io::stderr), blocking only the fiber. Mirrors [`std::eprint!`].
///
/// # Panics
///
/// When writing fails.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => {
        $crate::io::eprint(::std::format_args!($($text)*))
    };
}

/// [`eprint!`] with an end of line. Mirrors [`std::eprintln!`].
///
/// # Panics
///
/// When writing fails.
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::eprint!("\n")
    };
    ($($text:tt)*) => {
        $crate::io::eprint(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}
