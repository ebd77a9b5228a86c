//! Copying between descriptors without the bytes passing through the program, where the kernel can.
//!
//! Which system call copies depends on the two ends: copy_file_range(2) between files, sendfile(2) from a file,
//! splice(2) where one end is a pipe. Each of them takes from the reader what it gives to the writer, and no more. Where
//! there is no such call, between sockets above all, a buffer does it, which takes no more either (`preview.rs`).
//!
//! None of these calls has a flag that asks it not to wait for a socket; only `O_NONBLOCK` does. So a copy switches
//! that on, and the last copy on a socket switches it back ([`Descriptor::in_kernel`]). What reads or writes a file
//! runs on the blocking pool. A FIFO or terminal that was opened as a file is opened once more, so as to be waited for.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Pollable;
use super::descriptor::{self, Descriptor};
use super::preview::{Preview, Step};
use super::settings::NonblockingGuard;
use crate::os::copy::{self, Kind};
use crate::os::{epoll, reopen};
use crate::poller::Direction;
use crate::{blocking, cancel};

/// The most bytes that one system call copies. Between two calls the copy can be cancelled.
const CHUNK: usize = 4 << 20;

/// How often a splice is repeated that returns `WouldBlock` although both ends are ready. An end may have become ready just
/// after the call had looked at it; the next try then succeeds, unless others use the same ends.
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

/// The inside of a [`CopyEnd`].
#[derive(Clone, Copy)]
pub struct End<'a> {
    fd: BorrowedFd<'a>,
    /// `None` for a file, which nobody can wait for.
    descriptor: Option<&'a dyn Waiting>,
}

/// A [`Descriptor`], whatever owns it.
trait Waiting: Sync {
    fn in_kernel(&self) -> io::Result<NonblockingGuard<'_>>;
    fn left(&self) -> MutexGuard<'_, Vec<u8>>;
    /// A transfer that moves fewer bytes than `wanted`, which the call may set, has emptied the buffer.
    fn call(&self, direction: Direction, wanted: &AtomicUsize, call: Call<'_>) -> io::Result<usize>;
}

/// A system call on one end, which returns `WouldBlock` if it would have to wait for that end.
type Call<'a> = &'a mut (dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + Send);

impl<T: AsFd + Sync> Waiting for Descriptor<T> {
    fn in_kernel(&self) -> io::Result<NonblockingGuard<'_>> {
        self.in_kernel()
    }

    fn left(&self) -> MutexGuard<'_, Vec<u8>> {
        self.left()
    }

    fn call(&self, direction: Direction, wanted: &AtomicUsize, call: Call<'_>) -> io::Result<usize> {
        self.transfer_hinted(direction, wanted, |inner| call(inner.as_fd()))
    }
}

impl<'a> End<'a> {
    pub(crate) fn descriptor<T: AsFd + Sync>(descriptor: &'a Descriptor<T>) -> Self {
        Self { fd: descriptor.as_fd(), descriptor: Some(descriptor) }
    }

    /// A file, or anything else for which only a thread can wait.
    pub(crate) fn file(file: &'a impl AsFd) -> Self {
        Self { fd: file.as_fd(), descriptor: None }
    }

    /// Makes the call until it does not say that it would block.
    fn call(self, direction: Direction, call: Call<'_>) -> io::Result<usize> {
        // With 0 bytes wanted, no transfer counts as short.
        self.call_hinted(direction, &AtomicUsize::new(0), call)
    }

    fn call_hinted(self, direction: Direction, wanted: &AtomicUsize, call: Call<'_>) -> io::Result<usize> {
        match self.descriptor {
            Some(descriptor) => descriptor.call(direction, wanted, call),
            None => blocking::run_and_keep(|| call(self.fd)),
        }
    }

    /// The same pipe or terminal in an open file that can be waited for. `None` if it can be already, or never can.
    fn opened_again(self) -> Option<Descriptor<OwnedFd>> {
        match self.descriptor {
            None => reopen::nonblocking(self.fd).ok().map(|fd| Descriptor::new(fd, descriptor::Kind::Other)),
            Some(_) => None,
        }
    }

    /// The kind of end; `None` where the kernel cannot copy. Its calls do not wait for a pipe, and only a thread can wait for a
    /// named pipe that was opened as a file.
    fn kind(self) -> io::Result<Option<Kind>> {
        let kind = copy::kind(self.fd)?;
        Ok(Some(kind).filter(|&kind| kind != Kind::Pipe || self.descriptor.is_some()))
    }

    /// Until the guard is dropped, no call waits for a socket.
    fn in_kernel(self) -> io::Result<Option<NonblockingGuard<'a>>> {
        self.descriptor.map(Waiting::in_kernel).transpose()
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

/// Copies everything from `reader` to `writer`, inside of the kernel where it can. Returns the number of bytes. The
/// positions of files move on as with reads and writes.
///
/// [`io::copy`](super::copy) works with any `Read` and `Write`, and copies through a buffer of its own. This function differs:
///
/// * **Nothing is lost.** A byte is taken from the reader only when the writer has it. So whatever ends a copy (a
///   cancellation, a timeout, an error of either end), each byte has arrived at the writer or is still in the reader. A terminal
///   and the like cannot be peeked at: there the rest stays in the [`Pollable`], for its next read or copy. While a copy runs,
///   nobody else should read from its reader: bytes that another thread reads at the same moment may be written all the
///   same.
/// * From a file to a socket or a pipe, **the kernel sends the pages of its cache, not copies of them** (sendfile(2)): bytes
///   that somebody writes into the file after the copy has returned, but before the network has sent them and the peer has
///   read them, may be delivered in place of the old ones. Where a file is overwritten in place, use `io::copy`.
/// * From a file it is faster, and it takes little of the processor. Between sockets it is a copy through a buffer.
///
/// The wait for a socket or pipe blocks the fiber, and obeys the socket's timeouts; a file is read or written on a
/// thread of the runtime's pool. While it runs, a socket or pipe is in the kernel's non-blocking mode (`O_NONBLOCK`),
/// which duplicates of the descriptor in std's hands, and in other processes, share.
///
/// # Errors
///
/// The error does not say how much was copied.
///
/// * [`WouldBlock`](io::ErrorKind::WouldBlock): a timeout of either socket has passed; or an end is in non-blocking mode.
/// * [`WriteZero`](io::ErrorKind::WriteZero): the writer takes no more bytes.
/// * [`BrokenPipe`](io::ErrorKind::BrokenPipe): the writer's peer has gone. There is no `SIGPIPE`.
/// * [`StorageFull`](io::ErrorKind::StorageFull) and other errors of reading or writing either end.
///
/// A fiber that is cancelled while it waits unwinds.
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
    let again = (reader.opened_again(), writer.opened_again());
    let reader = again.0.as_ref().map_or(reader, End::descriptor);
    let writer = again.1.as_ref().map_or(writer, End::descriptor);
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
        (Some(Kind::Pipe), _) | (_, Some(Kind::Pipe)) => {
            let mut splice = |from: BorrowedFd<'_>, to: BorrowedFd<'_>, _: &AtomicUsize| splice(from, to);
            repeat(|| direct(reader, writer, &mut splice))?
        }
        _ => 0,
    };
    // Between sockets this copies everything. Otherwise it finds the end, or copies the rest where the kernel could not: a
    // file of procfs, whose size is 0, or what follows a byte of urgent data.
    Ok(copied + through_a_buffer(reader, writer, BUFFER_BYTES)?)
}

/// Calls `step` until it copies nothing, at the end or because the kernel cannot.
fn repeat(mut step: impl FnMut() -> io::Result<usize>) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        match step() {
            Ok(0) => return Ok(copied),
            Ok(length) => {
                copied += length as u64;
                // It may go on for ever without a wait.
                cancel::checkpoint();
            }
            Err(error) if copy::is_unsupported(&error) => return Ok(copied),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

type Transfer = fn(BorrowedFd<'_>, BorrowedFd<'_>, usize) -> io::Result<usize>;

/// A file never returns `WouldBlock`, so if the call does, the writer would block.
fn from_file(reader: End<'_>, writer: End<'_>, transfer: Transfer) -> io::Result<usize> {
    writer
        .call(Direction::Write, &mut |to| reader.call(Direction::Read, &mut |from| transfer(from, to, CHUNK)))
}

/// A step from one end to the other, which does not wait. It may store how many bytes it asked the reader for.
type Move<'a> = &'a mut (dyn FnMut(BorrowedFd<'_>, BorrowedFd<'_>, &AtomicUsize) -> io::Result<Moved> + Send);

/// The result of a [`Move`].
enum Moved {
    /// A number of bytes; none at the end.
    Bytes(usize),
    ReaderBlocks,
    WriterBlocks,
}

/// Splices, and finds out which end would block, since the kernel does not say.
///
/// The ends are asked after the splice. An end that is not ready then gets an event later, when it becomes ready.
fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<Moved> {
    for _ in 0..TRIES {
        match copy::splice(from, to, CHUNK) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.map(Moved::Bytes),
        }
        if !epoll::wait_one(from, true, Some(Duration::ZERO))? {
            return Ok(Moved::ReaderBlocks);
        }
        if !epoll::wait_one(to, false, Some(Duration::ZERO))? {
            return Ok(Moved::WriterBlocks);
        }
    }
    // Both ends are ready, and splice still would block: the next byte is urgent data, which splice does not pass.
    Ok(Moved::Bytes(0))
}

/// One step, for which either end may have to be waited for.
fn direct(reader: End<'_>, writer: End<'_>, step: Move<'_>) -> io::Result<usize> {
    let wanted = AtomicUsize::new(0);
    let mut is_writers = false;
    // Returns `WouldBlock` if the reader would block; if the writer would, it sets `is_writers`.
    let mut unless_full = |from: BorrowedFd<'_>, to: BorrowedFd<'_>, is_writers: &mut bool| {
        wanted.store(0, Ordering::Relaxed);
        *is_writers = false;
        match step(from, to, &wanted)? {
            Moved::Bytes(length) => Ok(length),
            Moved::ReaderBlocks => Err(io::ErrorKind::WouldBlock.into()),
            Moved::WriterBlocks => {
                *is_writers = true;
                Ok(0)
            }
        }
    };
    let unless =
        |is_writers, copied| if is_writers { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(copied) };
    if writer.descriptor.is_none() {
        // Only the reader can be waited for. The wait is outside, where it can be cancelled, and the job for the pool inside.
        // A writer that somebody has made non-blocking cannot be waited for: that is an error.
        let copied = reader.call_hinted(Direction::Read, &wanted, &mut |from| {
            writer.call(Direction::Write, &mut |to| unless_full(from, to, &mut is_writers))
        })?;
        return unless(is_writers, copied);
    }
    writer.call(Direction::Write, &mut |to| {
        let copied = reader
            .call_hinted(Direction::Read, &wanted, &mut |from| unless_full(from, to, &mut is_writers))?;
        unless(is_writers, copied)
    })
}

/// Copies through a buffer of `bytes`, and takes from the reader only what the writer has.
pub(super) fn through_a_buffer(reader: End<'_>, writer: End<'_>, bytes: usize) -> io::Result<u64> {
    let mut preview = Preview::new(reader.fd, writer.fd, bytes)?;
    let mut own = Vec::new();
    let mut step = |from: BorrowedFd<'_>, to: BorrowedFd<'_>, wanted: &AtomicUsize| {
        let mut left = reader.descriptor.map(Waiting::left);
        Ok(match preview.step(from, to, left.as_deref_mut().unwrap_or(&mut own))? {
            Step::ReaderBlocks => Moved::ReaderBlocks,
            Step::WriterBlocks => Moved::WriterBlocks,
            Step::Moved { length, is_all } => {
                wanted.store(if is_all { bytes } else { 0 }, Ordering::Relaxed);
                Moved::Bytes(length)
            }
        })
    };
    let mut copied = 0;
    loop {
        match direct(reader, writer, &mut step) {
            Ok(0) => return Ok(copied),
            Ok(length) => {
                copied += length as u64;
                cancel::checkpoint();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
