//! The ends of a child's pipes that the parent keeps, and how two of them are read at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::Duration;

use crate::cell::Reason;
use crate::io::shared_file::{reads_shared_file, shared_file_traits, writes_shared_file};
use crate::io::{Descriptor, Kind, Read, SharedFile};
use crate::os::epoll::{Epoll, EventBuffer};
use crate::os::socket;
use crate::poller::Way;
use crate::{cancel, fiber, time};

/// What the child reads. Mirrors [`std::process::ChildStdin`]; dropping it is the child's end of input.
pub struct ChildStdin(SharedFile<process::ChildStdin>);

/// What the child writes to its standard output. Mirrors [`std::process::ChildStdout`].
pub struct ChildStdout(SharedFile<process::ChildStdout>);

/// What the child writes to its standard error. Mirrors [`std::process::ChildStderr`].
pub struct ChildStderr(SharedFile<process::ChildStderr>);

writes_shared_file!(ChildStdin);
writes_shared_file!(&ChildStdin);
shared_file_traits!(ChildStdin, process::ChildStdin);
reads_shared_file!(ChildStdout);
shared_file_traits!(ChildStdout, process::ChildStdout);
reads_shared_file!(ChildStderr);
shared_file_traits!(ChildStderr, process::ChildStderr);

/// Reads both to their ends, whichever has something: a child that fills one pipe while we read the other would wait for
/// ever.
pub(super) fn read_both(stdout: ChildStdout, stderr: ChildStderr) -> io::Result<(Vec<u8>, Vec<u8>)> {
    // Without a descriptor for it there is nothing to tell of output: then it is looked for, ever more rarely.
    let epoll = Epoll::new().ok();
    let mut outputs =
        [Stream::new(epoll.as_ref(), stdout.into())?, Stream::new(epoll.as_ref(), stderr.into())?];
    // Readable when the poller has an event of either.
    let events = epoll.map(|epoll| Descriptor::new(epoll, Kind::Other));
    let mut pause = FIRST_PAUSE;
    let mut buffer = EventBuffer::new(outputs.len());
    loop {
        let mut has_more = false;
        for output in &mut outputs {
            has_more |= output.drain()?;
        }
        if has_more {
            // A child that writes faster than we read must not have the worker for itself, nor outlast a cancellation.
            fiber::yield_now();
            cancel::checkpoint();
            pause = FIRST_PAUSE;
            continue;
        }
        if outputs.iter().all(|output| output.pipe.is_none()) {
            let [stdout, stderr] = outputs;
            return Ok((stdout.bytes, stderr.bytes));
        }
        let Some(events) = &events else {
            time::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
            continue;
        };
        let take = |epoll: &Epoll| match epoll.wait(&mut buffer, Some(Duration::ZERO), |_| ())? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        };
        events.retry(Way::Read, Reason::Read, None, take, |()| false)?;
    }
}

/// How long is slept between two looks for output that nothing tells of.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// How much of one stream is read in one go.
const TURN_BYTES: u64 = 1 << 20;

/// One of them.
struct Stream {
    /// `None` at its end.
    pipe: Option<std::fs::File>,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(epoll: Option<&Epoll>, pipe: OwnedFd) -> io::Result<Self> {
        // This end's mode is its own: the child has the other, and nobody else has this one.
        socket::set_nonblocking(pipe.as_fd(), true)?;
        epoll.map_or(Ok(()), |epoll| epoll.add(pipe.as_fd(), 0))?;
        Ok(Self { pipe: Some(pipe.into()), bytes: Vec::new() })
    }

    /// Reads what there is, up to a turn's worth; whether there may be more.
    fn drain(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        match pipe.take(TURN_BYTES).read_to_end(&mut self.bytes) {
            Ok(length) if length as u64 == TURN_BYTES => return Ok(true),
            Ok(_) => self.pipe = None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}
