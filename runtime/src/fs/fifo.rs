//! Opening a FIFO, which waits until the other end is opened.
//!
//! A blocking open(2) keeps its thread until then, and no signal of ours may interrupt it. A fiber that is cancelled would
//! leave the thread behind, and the later open would take the other end's bytes for nobody. So a FIFO is opened in non-blocking
//! mode, in which open(2) does not wait, and the fiber waits:
//!
//! * To read, the open succeeds. There is or was a writer if poll(2) finds bytes or an end, or if tee(2) reports that
//!   the pipe is empty, and not at its end.
//! * To write, the open fails with ENXIO while there is no reader.
//!
//! The kernel does not notify of the other end's open. So both look again after a pause (`time/pauses.rs`); bytes end the wait for a
//! writer at once. Afterwards the file is put into blocking mode, as if open(2) had waited.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::OpenOptions;
use super::file::{File, Opened};
use crate::blocking;
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::{copy, epoll, nowait, socket};
use crate::poller::Direction;
use crate::time::{self, Pauses};

/// The result of an attempt to open a file of any kind.
enum Attempt {
    Opened(Opened),
    /// A FIFO that was opened for reading, in non-blocking mode.
    Reader(fs::File),
    /// A FIFO for writing that has no reader.
    NoReader,
}

/// Opens the file at `path`. If it is a FIFO, waits for its other end.
pub(super) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let mut pauses = Pauses::new();
    loop {
        let (options, path) = (options.clone(), path.to_owned());
        match blocking::run_owned(move || attempt(&options, &path))? {
            Attempt::Opened(opened) => return Ok(File::new(opened)),
            Attempt::Reader(file) => return wait_for_a_writer(file),
            Attempt::NoReader => time::sleep(pauses.next_pause()),
        }
    }
}

/// Whether the file at the path is not on a disk, so that opening, reading or writing it may wait for another process. It is
/// called on threads of the pool; `false` on a plain thread, which may wait.
pub(super) fn may_wait(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        !(kind.is_file() || kind.is_dir() || kind.is_block_device())
    })
}

/// Tries to open the file. It is called on a thread that may block.
fn attempt(options: &OpenOptions, path: &Path) -> io::Result<Attempt> {
    let is_fifo = |metadata: io::Result<fs::Metadata>| metadata.is_ok_and(|it| it.file_type().is_fifo());
    if !options.waits_for_the_other_end() || !is_fifo(fs::metadata(path)) {
        return options.open_in_place(path).map(Opened::new).map(Attempt::Opened);
    }
    let file = match options.clone().custom_flags(options.flags() | nowait::OPEN).open_in_place(path) {
        Err(error) if nowait::has_no_reader(&error) => return Ok(Attempt::NoReader),
        result => result?,
    };
    if !is_fifo(file.metadata()) {
        // The FIFO has been replaced by another file meanwhile.
        return options.open_in_place(path).map(Opened::new).map(Attempt::Opened);
    }
    if options.reads() {
        return Ok(Attempt::Reader(file));
    }
    socket::set_nonblocking(file.as_fd(), false)?;
    Ok(Attempt::Opened(Opened::new(file)))
}

fn wait_for_a_writer(file: fs::File) -> io::Result<File> {
    let (_output, input) = io::pipe()?;
    let look = |file: &fs::File| {
        if epoll::wait_one(file.as_fd(), true, Some(Duration::ZERO))? {
            return Ok(());
        }
        match copy::tee(file.as_fd(), input.as_fd(), 1) {
            // No writer.
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    };
    let file = Descriptor::new(file, Kind::Other);
    let mut pauses = Pauses::new();
    loop {
        let soon = Instant::now() + pauses.next_pause();
        match file.retry(Direction::Read, Reason::Open, Some(soon), look, |()| false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => break result?,
        }
    }
    let file = file.into_inner();
    socket::set_nonblocking(file.as_fd(), false)?;
    Ok(File::new(Opened::new(file)))
}
