//! Opening a FIFO, which waits for somebody to open the other end.
//!
//! Such an open keeps a thread until somebody comes, and no signal of ours may call it back. A fiber that gave up would
//! leave the thread behind, and what comes later would be taken for nobody. So a FIFO is opened in non-blocking mode, in which
//! open(2) does not wait, and the wait is the fiber's:
//!
//! * To read, the open succeeds. There has been a writer when poll(2) finds bytes or an end, or when tee(2) says that
//!   the pipe is only empty, and not at its end.
//! * To write, the open fails with ENXIO while nobody reads.
//!
//! Nothing tells of the other end's open by itself, so both ask again after 1 ms, then 2, and so on up to 32; bytes end the
//! wait for a writer at once. Afterwards the file is in the blocking mode, as if it had been waited for.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::OpenOptions;
use super::file::{File, Opened};
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::{copy, epoll, nowait, socket};
use crate::poller::Way;
use crate::{blocking, time};

/// How long a wait sleeps before it asks again: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// What came of an attempt to open something, whatever it is.
enum Attempt {
    Opened(Opened),
    /// A FIFO for reading, in non-blocking mode.
    Reader(fs::File),
    /// A FIFO that nobody reads.
    NoReader,
}

/// Opens what is at `path`, and waits for the other end of a FIFO.
pub(super) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let mut pause = FIRST_PAUSE;
    loop {
        let (options, path) = (options.clone(), path.to_owned());
        match blocking::run_owned(move || attempt(&options, &path))? {
            Attempt::Opened(opened) => return Ok(File::new(opened)),
            Attempt::Reader(file) => return wait_for_a_writer(file),
            Attempt::NoReader => time::sleep(pause),
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Whether what is at the path is no file on a disk, so that to open, read or write it may wait for somebody. Not on a plain
/// thread, which may wait. For the pool's threads.
pub(super) fn may_wait(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        !(kind.is_file() || kind.is_dir() || kind.is_block_device())
    })
}

/// On a thread that may wait.
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
        // Somebody has put something else in its place.
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
    let mut pause = FIRST_PAUSE;
    loop {
        let soon = Instant::now() + pause;
        match file.retry(Way::Read, Reason::Open, Some(soon), look, |()| false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => break result?,
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    let file = file.into_inner();
    socket::set_nonblocking(file.as_fd(), false)?;
    Ok(File::new(Opened::new(file)))
}
