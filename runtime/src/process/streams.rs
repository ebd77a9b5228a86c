//! The parent's ends of a child's pipes, and reading two of them at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::Duration;

use crate::cell::Reason;
use crate::io::shared_file::{reads_shared_file, shared_file_traits, writes_shared_file};
use crate::io::{Descriptor, Kind, Read, SharedFile};
use crate::os::epoll::{Epoll, EventBuffer};
use crate::os::{nowait, socket};
use crate::poller::Direction;
use crate::time::{self, Pauses};
use crate::{blocking, cancel, fiber};

/// The write end of the child's standard input. Mirrors [`std::process::ChildStdin`]. When it is dropped, the child reads the
/// end of its input.
pub struct ChildStdin(SharedFile<process::ChildStdin>);

/// The read end of the child's standard output. Mirrors [`std::process::ChildStdout`].
pub struct ChildStdout(SharedFile<process::ChildStdout>);

/// The read end of the child's standard error. Mirrors [`std::process::ChildStderr`].
pub struct ChildStderr(SharedFile<process::ChildStderr>);

writes_shared_file!(ChildStdin);
writes_shared_file!(&ChildStdin);
shared_file_traits!(ChildStdin, process::ChildStdin);
reads_shared_file!(ChildStdout);
shared_file_traits!(ChildStdout, process::ChildStdout);
reads_shared_file!(ChildStderr);
shared_file_traits!(ChildStderr, process::ChildStderr);

/// Reads both pipes to their ends, as their bytes come: if one were read after the other, a child that fills the other would
/// wait for ever.
pub(super) fn read_both(stdout: ChildStdout, stderr: ChildStderr) -> io::Result<(Vec<u8>, Vec<u8>)> {
    // Without a descriptor for an epoll instance nothing reports output: then it is looked for, ever more rarely.
    let epoll = Epoll::new().ok();
    let mut outputs =
        [Stream::new(epoll.as_ref(), stdout.into())?, Stream::new(epoll.as_ref(), stderr.into())?];
    // Readable when the epoll instance has an event of either pipe.
    let events = epoll.map(|epoll| Descriptor::new(epoll, Kind::Other));
    let mut pauses = Pauses::new();
    let mut buffer = EventBuffer::new(outputs.len());
    loop {
        let mut has_more = false;
        for output in &mut outputs {
            has_more |= output.drain()?;
        }
        if has_more {
            // A child that writes faster than this reads must not keep the worker, nor put off a cancellation.
            fiber::yield_now();
            cancel::checkpoint();
            pauses = Pauses::new();
            continue;
        }
        if outputs.iter().all(|output| output.pipe.is_none()) {
            let [stdout, stderr] = outputs;
            return Ok((stdout.bytes, stderr.bytes));
        }
        let Some(events) = &events else {
            time::sleep(pauses.next_pause());
            continue;
        };
        let take = |epoll: &Epoll| match epoll.wait(&mut buffer, Some(Duration::ZERO), |_| ())? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        };
        events.retry(Direction::Read, Reason::Read, None, take, |()| false)?;
    }
}

/// The most bytes of one stream that are read in one turn.
const TURN_BYTES: u64 = 1 << 20;

/// One of the two pipes.
struct Stream {
    /// `None` at its end.
    pipe: Option<std::fs::File>,
    /// Whether it is a file that the user has put in the pipe's place: epoll cannot watch it, and its reads wait for a disk.
    is_file: bool,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(epoll: Option<&Epoll>, pipe: OwnedFd) -> io::Result<Self> {
        let is_file = match epoll.map_or(Ok(()), |epoll| epoll.add(pipe.as_fd(), 0)) {
            Err(error) if nowait::is_unpollable(&error) => true,
            result => result.map(|()| false)?,
        };
        if !is_file {
            // The mode of this end affects nobody else: the child has the other end.
            socket::set_nonblocking(pipe.as_fd(), true)?;
        }
        Ok(Self { pipe: Some(pipe.into()), is_file, bytes: Vec::new() })
    }

    /// Reads the bytes that are there, at most those of one turn. Returns whether there may be more.
    fn drain(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        let mut read = || pipe.take(TURN_BYTES).read_to_end(&mut self.bytes);
        match if self.is_file { blocking::run(read) } else { read() } {
            Ok(length) if length as u64 == TURN_BYTES => return Ok(true),
            Ok(_) => self.pipe = None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}
