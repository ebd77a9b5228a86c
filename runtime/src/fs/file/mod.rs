//! An open file.
//!
//! What moves bytes or the position, or takes a lock, is said to the caller whatever happens meanwhile, so those calls
//! are waited for once they have begun (`transfer.rs`). All others own what they use, and a caller that is cancelled leaves
//! them behind: the open file lives until the last of them has ended.

mod conversion;
mod opened;
mod transfer;

use std::fs::{self, FileTimes, Metadata, Permissions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

pub(super) use opened::Opened;

use super::OpenOptions;
use crate::io::SharedFile;
use crate::os::{reopen, socket};
use crate::{blocking, time};

/// An open file. Mirrors [`std::fs::File`].
///
/// Reads, writes and seeks go through shared references too. Each is one job of the [blocking pool](crate::blocking),
/// which uses the caller's buffer; so are `read_to_end`, `read_exact` and `write_all`, however many system calls they take.
/// A read or write that a thread of the pool has begun is not cancelled, since what it moves must not be lost; every
/// other call is. Of what is no file on a disk (a FIFO, a terminal, a device), reads and writes are waited for by the poller
/// as far as it takes them, and are cancelled like those of a socket.
///
/// ```
/// use std::io::{Read, Seek, Write};
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("abaca-file-{}", std::process::id()));
/// # let path = &path;
/// # abaca::run(|| {
/// use abaca::fs::File;
/// let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
/// file.write_all(b"hello")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # abaca::fs::remove_file(path)
/// # })
/// # }
/// ```
pub struct File {
    opened: Arc<Opened>,
    /// What is no file on a disk. Made by the first operation.
    special: OnceLock<Option<Box<SharedFile<Arc<Opened>>>>>,
}

/// How long a wait for a lock sleeps before it looks again: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

impl File {
    pub(super) fn new(opened: Opened) -> Self {
        Self { opened: Arc::new(opened), special: OnceLock::new() }
    }

    fn get(&self) -> &fs::File {
        self.opened.get()
    }

    /// Makes a call on the blocking pool, of which it is told what came of it once it has begun.
    fn call<T: Send>(&self, call: impl FnOnce(&fs::File) -> T + Send) -> T {
        // A call that has moved the position, or taken a lock, has to say so.
        blocking::run_and_keep(|| call(self.get()))
    }

    /// Makes a call on the blocking pool, which a caller that is cancelled leaves behind.
    fn call_owned<T: Send + 'static>(&self, call: impl FnOnce(&fs::File) -> T + Send + 'static) -> T {
        let opened = Arc::clone(&self.opened);
        blocking::run_owned(move || call(opened.get()))
    }

    /// `Some` if it is no file on a disk, and its operations may wait for somebody.
    fn special(&self) -> Option<&SharedFile<Arc<Opened>>> {
        let special = || {
            let is_regular = socket::is_regular(self.opened.get().as_fd()).unwrap_or(true);
            (!is_regular).then(|| Box::new(SharedFile::new(Arc::clone(&self.opened))))
        };
        self.special.get_or_init(special).as_deref()
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// What open(2) says.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().read(true).open(path)
    }

    /// Opens a file for writing, empty: made if it does not exist, emptied if it does.
    ///
    /// # Errors
    ///
    /// What open(2) says.
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file, for reading and writing.
    ///
    /// # Errors
    ///
    /// What open(2) says; `AlreadyExists` if there is one.
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().read(true).write(true).create_new(true).open(path)
    }

    /// Options that are all off.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until contents and metadata are on the disk.
    ///
    /// # Errors
    ///
    /// What fsync(2) says, which may be an earlier write's failure.
    pub fn sync_all(&self) -> io::Result<()> {
        self.call_owned(fs::File::sync_all)
    }

    /// Waits until the contents are on the disk, with the metadata that reading them takes.
    ///
    /// # Errors
    ///
    /// What fdatasync(2) says, which may be an earlier write's failure.
    pub fn sync_data(&self) -> io::Result<()> {
        self.call_owned(fs::File::sync_data)
    }

    /// Waits until nobody else has a lock on the file, and locks it, until [`unlock`](Self::unlock) or the file's last
    /// descriptor is closed. The lock is advisory.
    ///
    /// Nothing tells of a lock that becomes free other than a thread that waits in the kernel, and such threads could use
    /// up the pool, on which the lock's holder may depend. So this asks again after 1 ms, then 2, and so on up
    /// to 32; the wait takes no thread and is cancelled like any other.
    ///
    /// # Errors
    ///
    /// What flock(2) says.
    pub fn lock(&self) -> io::Result<()> {
        self.lock_by(fs::File::try_lock)
    }

    /// [`lock`](Self::lock) that tolerates others that are shared as well.
    ///
    /// # Errors
    ///
    /// What flock(2) says.
    pub fn lock_shared(&self) -> io::Result<()> {
        self.lock_by(fs::File::try_lock_shared)
    }

    fn lock_by(&self, attempt: fn(&fs::File) -> Result<(), TryLockError>) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.call(attempt) {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error);
                }
                Err(_) => time::sleep(pause),
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Locks the file if nobody else has a lock on it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody has; what else flock(2) says.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.call(fs::File::try_lock)
    }

    /// Locks the file if nobody else has a lock on it that is not shared.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody has; what else flock(2) says.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.call(fs::File::try_lock_shared)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// What flock(2) says.
    pub fn unlock(&self) -> io::Result<()> {
        self.call_owned(fs::File::unlock)
    }

    /// Cuts the file off at so many bytes, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// What ftruncate(2) says; `InvalidInput` for more than `i64::MAX`.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.call_owned(move |file| file.set_len(size))
    }

    /// Size, kind, times and permissions.
    ///
    /// # Errors
    ///
    /// What fstat(2) says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call_owned(fs::File::metadata)
    }

    /// A second descriptor of the same open file: position and locks are shared.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.opened.try_clone().map(Self::new)
    }

    /// Sets the permissions.
    ///
    /// # Errors
    ///
    /// What fchmod(2) says.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.call_owned(move |file| file.set_permissions(permissions))
    }

    /// Sets the times of the last access and modification.
    ///
    /// # Errors
    ///
    /// What futimens(2) says.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call_owned(move |file| file.set_times(times))
    }

    /// Sets the time of the last modification.
    ///
    /// # Errors
    ///
    /// What futimens(2) says.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Whether it is a terminal. Mirrors [`std::io::IsTerminal`], which others cannot implement.
    pub fn is_terminal(&self) -> bool {
        reopen::is_terminal(self.as_fd())
    }
}
