//! Standard input.

use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Lines, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{LazyLock, PoisonError};

use super::raw::Raw;
use crate::sync::{Mutex, MutexGuard};

type Reader = BufReader<Raw<io::Stdin>>;

/// Belongs to the process, as the stream does: the next reader gets what was read ahead.
static INPUT: LazyLock<Mutex<Reader>> = LazyLock::new(|| Mutex::new(BufReader::new(Raw(io::stdin))));

/// The standard input of the process. Mirrors [`std::io::stdin`].
///
/// ```no_run
/// # abaca::run(|| {
/// for line in abaca::io::stdin().lines() {
///     println!("you typed: {}", line.unwrap());
/// }
/// # });
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(io::stdin())
}

/// A handle to the standard input, whose reads block the fiber. Mirrors [`std::io::Stdin`]: all handles share one buffer.
pub struct Stdin(io::Stdin);

/// The standard input, locked. Mirrors [`std::io::StdinLock`].
pub struct StdinLock<'a> {
    reader: MutexGuard<'a, Reader>,
    handle: io::Stdin,
}

impl Stdin {
    /// Locks the stream, for calls that belong together. Blocks the fiber while another has it; its holder must not lock it
    /// again.
    pub fn lock(&self) -> StdinLock<'static> {
        // A panic leaves the buffer usable.
        let reader = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        StdinLock { reader, handle: io::stdin() }
    }

    /// Appends the next line, with its line end, to `text`. Returns the number of bytes, which is 0 at the end of input.
    ///
    /// # Errors
    ///
    /// * [`InvalidData`](io::ErrorKind::InvalidData): the line is not UTF-8.
    /// * Those of a read, except `Interrupted`, which is retried.
    ///
    /// A fiber that is cancelled while it waits unwinds.
    pub fn read_line(&self, text: &mut String) -> io::Result<usize> {
        self.lock().read_line(text)
    }

    /// The lines to come, without their ends.
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Whether it is a terminal. Mirrors [`std::io::IsTerminal`], which others cannot implement.
    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}

impl Read for &Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(bytes)
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(text)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buffer)
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(bytes)
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(text)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buffer)
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.reader.read_to_end(bytes)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }
}

impl StdinLock<'_> {
    /// Whether it is a terminal, as [`Stdin::is_terminal`].
    pub fn is_terminal(&self) -> bool {
        self.handle.is_terminal()
    }
}

/// The descriptor and the name of a handle or lock.
macro_rules! is_stdin {
    ($t:ty, $name:literal, $handle:tt) => {
        impl AsFd for $t {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.$handle.as_fd()
            }
        }

        impl AsRawFd for $t {
            fn as_raw_fd(&self) -> RawFd {
                self.$handle.as_raw_fd()
            }
        }

        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    };
}

is_stdin!(Stdin, "Stdin", 0);
is_stdin!(StdinLock<'_>, "StdinLock", handle);
