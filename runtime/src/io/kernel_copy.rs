//! Copying between descriptors without the bytes passing through the program.
//!
//! Which system call copies depends on the two ends: copy_file_range(2) between files, sendfile(2) from a file,
//! splice(2) where one end is a pipe, and two splices with a pipe between where none is. Where the kernel cannot, a
//! buffer does it.
//!
//! None of these calls has a flag that asks it not to wait for a socket; only `O_NONBLOCK` does. So a copy switches
//! that on, and the last copy on a socket switches it back ([`Descriptor::in_kernel`]). What reads or writes a file
//! runs on the blocking pool.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::Pollable;
use super::descriptor::{Descriptor, InKernel};
use crate::blocking;
use crate::os::copy::{self, Kind};
use crate::os::{epoll, socket};
use crate::poller::Way;

/// The most that one system call is asked for: between two of them the copy can be cancelled.
const CHUNK: usize = 4 << 20;

/// How often a splice is tried that says it would block although both ends are ready. An end may have become ready after
/// the call had looked at it, which is over with the next try; only others that use the same ends can bring it back.
const TRIES: u32 = 4;

/// The size of the buffer, where one is needed.
const BUFFER_BYTES: usize = 64 << 10;

/// One end of a [`copy_fd`]: a stream, a pipe, a child's too, a [`Pollable`] or a file. Implemented by this crate only.
pub trait CopyEnd: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> CopyEnd for T {}

pub(crate) mod sealed {
    use super::End;

    pub trait Sealed {
        fn end(&self) -> End<'_>;
    }
}

/// What a [`CopyEnd`] is inside.
#[derive(Clone, Copy)]
pub struct End<'a> {
    fd: BorrowedFd<'a>,
    /// `None` for a file, which nobody can wait for.
    descriptor: Option<&'a dyn Waiting>,
}

/// A [`Descriptor`], whatever owns it.
trait Waiting: Sync {
    fn in_kernel(&self) -> io::Result<InKernel<'_>>;
    fn call(&self, way: Way, call: Call<'_>) -> io::Result<usize>;
}

/// A system call on one end, which says `WouldBlock` if it would have to wait for it.
type Call<'a> = &'a mut (dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + Send);

impl<T: AsFd + Sync> Waiting for Descriptor<T> {
    fn in_kernel(&self) -> io::Result<InKernel<'_>> {
        self.in_kernel()
    }

    fn call(&self, way: Way, call: Call<'_>) -> io::Result<usize> {
        // Nothing that is wanted is no hint of what is left.
        self.transfer(way, 0, |inner| call(inner.as_fd()))
    }
}

impl<'a> End<'a> {
    pub(crate) fn descriptor<T: AsFd + Sync>(descriptor: &'a Descriptor<T>) -> Self {
        Self { fd: descriptor.as_fd(), descriptor: Some(descriptor) }
    }

    /// A file, or what else nobody can wait for but a thread.
    pub(crate) fn file(file: &'a impl AsFd) -> Self {
        Self { fd: file.as_fd(), descriptor: None }
    }

    /// Makes the call until it does not say that it would block.
    fn call(self, way: Way, call: Call<'_>) -> io::Result<usize> {
        match self.descriptor {
            Some(descriptor) => descriptor.call(way, call),
            None => blocking::run_and_keep(|| call(self.fd)),
        }
    }

    /// What it is, unless the kernel cannot copy here: its calls do not wait for a pipe, and who but a thread could wait
    /// for a named pipe that was opened as a file?
    fn kind(self) -> io::Result<Option<Kind>> {
        let kind = copy::kind(self.fd)?;
        Ok(Some(kind).filter(|&kind| kind != Kind::Pipe || self.descriptor.is_some()))
    }

    /// Until it is dropped, no call waits for a socket.
    fn in_kernel(self) -> io::Result<Option<InKernel<'a>>> {
        self.descriptor.map(Waiting::in_kernel).transpose()
    }

    fn write_all(self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.call(Way::Write, &mut |to| socket::write(to, bytes))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                length => bytes = &bytes[length..],
            }
        }
        Ok(())
    }
}

impl fmt::Debug for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl<T: sealed::Sealed + ?Sized> sealed::Sealed for &T {
    fn end(&self) -> End<'_> {
        (**self).end()
    }
}

impl<T: AsFd + Sync> sealed::Sealed for Pollable<T> {
    fn end(&self) -> End<'_> {
        End::descriptor(self.descriptor())
    }
}

impl sealed::Sealed for File {
    fn end(&self) -> End<'_> {
        End::file(self)
    }
}

/// Copies everything from `reader` to `writer`, inside of the kernel where it can; returns the number of bytes. The
/// positions of files move on as with reads and writes.
///
/// It does what [`io::copy`](super::copy) does. From a file it is faster, and it takes little of the processor; between
/// sockets it saves memory traffic, and costs a pipe. That function works with any `Read` and `Write`, and cannot tell
/// what is behind them.
///
/// The wait for a socket or pipe blocks the fiber, and obeys the socket's timeouts; a file is read or written on a
/// thread of the runtime's pool. While it runs, a socket or pipe is in the kernel's non-blocking mode (`O_NONBLOCK`),
/// which duplicates of the descriptor in std's hands, and in other processes, share.
///
/// # Errors
///
/// What the kernel says of either end. What had been copied is not told, and some bytes may have been read and not
/// written.
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
/// use abaca::io::copy_fd;
/// use abaca::net::UnixStream;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let sending = abaca::spawn(move || copy_fd(&File::open("/proc/self/cmdline")?, &ours));
/// let mut received = Vec::new();
/// theirs.read_to_end(&mut received)?;
/// assert_eq!(sending.join().unwrap()?, received.len() as u64);
/// assert_eq!(received, std::fs::read("/proc/self/cmdline")?);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn copy_fd<R, W>(reader: &R, writer: &W) -> io::Result<u64>
where
    R: CopyEnd + ?Sized,
    W: CopyEnd + ?Sized,
{
    let (reader, writer) = (reader.end(), writer.end());
    let _kept = (reader.in_kernel()?, writer.in_kernel()?);
    let copied = match (reader.kind()?, writer.kind()?) {
        (None, _) | (_, None) => 0,
        (Some(Kind::Regular), Some(Kind::Regular)) => {
            match repeat(|| from_file(reader, writer, copy::copy_file_range))? {
                0 => repeat(|| from_file(reader, writer, copy::sendfile))?,
                copied => copied,
            }
        }
        (Some(Kind::Regular), _) => repeat(|| from_file(reader, writer, copy::sendfile))?,
        (Some(Kind::Pipe), _) | (_, Some(Kind::Pipe)) => repeat(|| direct(reader, writer))?,
        _ => through_a_pipe(reader, writer)?,
    };
    // The end, or else all that the kernel could not copy: files of procfs, say, whose sizes are 0, or what comes after
    // a byte of urgent data.
    Ok(copied + buffered(reader, writer)?)
}

/// Calls `step` until it copies nothing, at the end or because the kernel cannot.
fn repeat(mut step: impl FnMut() -> io::Result<usize>) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        match step() {
            Ok(0) => return Ok(copied),
            Ok(length) => copied += length as u64,
            Err(error) if copy::is_unsupported(&error) => return Ok(copied),
            Err(error) => return Err(error),
        }
    }
}

type Transfer = fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>;

/// A file never says that it would block, so if one does, it is the writer.
fn from_file(reader: End<'_>, writer: End<'_>, transfer: Transfer) -> io::Result<usize> {
    writer.call(Way::Write, &mut |to| reader.call(Way::Read, &mut |from| transfer(from, to, CHUNK)))
}

/// What a splice came to.
enum Spliced {
    /// A number of bytes; none at the end.
    Moved(usize),
    ReaderBlocks,
    WriterBlocks,
    /// Neither end is what it waits for: the next byte in a socket is urgent data, which splice does not pass.
    Stuck,
}

/// A splice, and whom it would have to wait for, which the kernel does not say.
///
/// Who is blamed is not ready when it is asked, which is after the splice: so the event that says that it has become
/// ready is yet to come.
fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<Spliced> {
    for _ in 0..TRIES {
        match copy::splice(from, to, CHUNK) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.map(Spliced::Moved),
        }
        if !epoll::wait_one(from, true, Some(Duration::ZERO))? {
            return Ok(Spliced::ReaderBlocks);
        }
        if !epoll::wait_one(to, false, Some(Duration::ZERO))? {
            return Ok(Spliced::WriterBlocks);
        }
    }
    Ok(Spliced::Stuck)
}

/// A splice that says `WouldBlock` if it is the reader that would have to be waited for, and of the writer tells beside.
fn splice_unless_full(from: BorrowedFd<'_>, to: BorrowedFd<'_>, is_writers: &mut bool) -> io::Result<usize> {
    *is_writers = false;
    match splice(from, to)? {
        Spliced::Moved(length) => Ok(length),
        Spliced::ReaderBlocks => Err(io::ErrorKind::WouldBlock.into()),
        Spliced::WriterBlocks => {
            *is_writers = true;
            Ok(0)
        }
        Spliced::Stuck => Ok(0),
    }
}

/// Between a pipe and something else. Either may have to be waited for.
fn direct(reader: End<'_>, writer: End<'_>) -> io::Result<usize> {
    let unless =
        |is_writers, copied| if is_writers { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(copied) };
    if writer.descriptor.is_none() {
        // It is the reader. What waits is outside, where it can be cancelled, and what runs on the pool inside. A writer that
        // somebody has made non-blocking cannot be waited for, which is an error.
        let mut is_writers = false;
        let copied = reader.call(Way::Read, &mut |from| {
            writer.call(Way::Write, &mut |to| splice_unless_full(from, to, &mut is_writers))
        })?;
        return unless(is_writers, copied);
    }
    writer.call(Way::Write, &mut |to| {
        let mut is_writers = false;
        let copied = reader.call(Way::Read, &mut |from| splice_unless_full(from, to, &mut is_writers))?;
        unless(is_writers, copied)
    })
}

/// Between two of which neither is a pipe.
fn through_a_pipe(reader: End<'_>, writer: End<'_>) -> io::Result<u64> {
    let (output, input) = io::pipe()?;
    let mut copied = 0;
    loop {
        // The pipe is empty, so whoever must be waited for is the reader.
        let fill = reader.call(Way::Read, &mut |from| match splice(from, input.as_fd())? {
            Spliced::Moved(length) => Ok(length),
            Spliced::ReaderBlocks | Spliced::WriterBlocks => Err(io::ErrorKind::WouldBlock.into()),
            Spliced::Stuck => Ok(0),
        });
        let mut filled = match fill {
            Ok(0) => return Ok(copied),
            Err(error) if copy::is_unsupported(&error) => return Ok(copied),
            result => result?,
        };
        copied += filled as u64;
        while filled > 0 {
            match writer.call(Way::Write, &mut |to| copy::splice(output.as_fd(), to, filled)) {
                Err(error) if copy::is_unsupported(&error) => {
                    let mut bytes = vec![0; filled];
                    (&output).read_exact(&mut bytes)?;
                    writer.write_all(&bytes)?;
                    break;
                }
                result => filled -= result?,
            }
        }
    }
}

fn buffered(reader: End<'_>, writer: End<'_>) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied = 0;
    loop {
        match reader.call(Way::Read, &mut |from| socket::read(from, &mut buffer))? {
            0 => return Ok(copied),
            length => {
                writer.write_all(&buffer[..length])?;
                copied += length as u64;
            }
        }
    }
}
