//! An open file.
//!
//! The caller must learn the result of a call that moves bytes or the position, or takes a lock, even if it is cancelled
//! meanwhile. So such calls are waited for once they have begun (`transfer.rs`). All other calls own what they use, and a
//! caller that is cancelled leaves them behind: the open file lives until the last of them has ended.

mod conversion;
mod opened;
mod transfer;

use std::fs::{self, FileTimes, Metadata, Permissions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

pub(super) use opened::Opened;

use super::OpenOptions;
use crate::blocking;
use crate::io::SharedFile;
use crate::os::{reopen, socket};
use crate::time::{self, Pauses};

/// An open file. Mirrors [`std::fs::File`].
///
/// Reads, writes and seeks work on shared references too. Each is one job of the [blocking pool](crate::blocking),
/// which uses the caller's buffer. So are `read_to_end`, `read_exact` and `write_all`, however many system calls they take.
///
/// A fiber that is cancelled waits for a read or write that a thread of the pool has begun, since its bytes must not be lost.
/// It waits for no other call. Reads and writes of a file that is not on a disk (a FIFO, a terminal, a device) park the fiber
/// without a thread, and are cancelled like those of a socket.
///
/// Dropping it closes it. Errors of the close are lost, as in std: call [`sync_all`](Self::sync_all) to see them.
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
    /// `Some` of a file that is not on a disk. Set by the first operation.
    special: OnceLock<Option<Box<SharedFile<Arc<Opened>>>>>,
}

impl File {
    pub(super) fn new(opened: Opened) -> Self {
        Self { opened: Arc::new(opened), special: OnceLock::new() }
    }

    fn get(&self) -> &fs::File {
        self.opened.get()
    }

    /// Makes a call on the blocking pool. Once it has begun, the caller gets its result, even if it is cancelled.
    fn call<T: Send>(&self, call: impl FnOnce(&fs::File) -> T + Send) -> T {
        // The caller must learn that a call has moved the position, or taken a lock.
        blocking::run_and_keep(|| call(self.get()))
    }

    /// Makes a call on the blocking pool. A caller that is cancelled leaves it behind.
    fn call_owned<T: Send + 'static>(&self, call: impl FnOnce(&fs::File) -> T + Send + 'static) -> T {
        let opened = Arc::clone(&self.opened);
        blocking::run_owned(move || call(opened.get()))
    }

    /// `Some` if the file is not on a disk, so that its operations may wait for another process.
    fn special(&self) -> Option<&SharedFile<Arc<Opened>>> {
        let special = || {
            let is_regular = socket::is_regular(self.opened.get().as_fd()).unwrap_or(true);
            (!is_regular).then(|| Box::new(SharedFile::new(Arc::clone(&self.opened))))
        };
        self.special.get_or_init(special).as_deref()
    }

    /// Opens a file for reading. A FIFO blocks until it has a writer; see [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not read it.
    /// * The others of [`OpenOptions::open`].
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().read(true).open(path)
    }

    /// Opens an empty file for writing. It is made if it does not exist, and emptied if it does.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): its directory does not exist.
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to it, or to its directory.
    /// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory.
    /// * The others of [`OpenOptions::open`].
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a new file and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at the path.
    /// * The others of [`create`](Self::create).
    ///
    /// ```
    /// # let folder = &std::env::temp_dir().join(format!("abaca-doc-create-new-{}", std::process::id()));
    /// # std::fs::create_dir_all(folder).unwrap();
    /// # abaca::run(|| {
    /// use abaca::fs::File;
    /// let path = folder.join("file");
    /// File::create_new(&path).unwrap();
    /// let error = File::create_new(&path).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// # });
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// ```
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options().read(true).write(true).create_new(true).open(path)
    }

    /// Options for opening a file, all of them off.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until contents and metadata are on the disk.
    ///
    /// # Errors
    ///
    /// * The error of the disk or file system, such as [`StorageFull`](io::ErrorKind::StorageFull). It may be that of an earlier
    ///   write.
    pub fn sync_all(&self) -> io::Result<()> {
        self.call_owned(fs::File::sync_all)
    }

    /// Waits until the contents are on the disk, with the metadata that is needed to read them.
    ///
    /// # Errors
    ///
    /// As [`sync_all`](Self::sync_all).
    pub fn sync_data(&self) -> io::Result<()> {
        self.call_owned(fs::File::sync_data)
    }

    /// Locks the file exclusively, and waits until nobody else has a lock on it. The lock ends with [`unlock`](Self::unlock),
    /// or when the last descriptor of this open file is closed. It is advisory.
    ///
    /// Only a thread that waits in the kernel is told when a lock becomes free, and such threads could use
    /// up the pool, on which the holder of the lock may depend. So this looks again after 1 ms, then 2, and so on up
    /// to 32. The wait takes no thread and can be cancelled like any other.
    ///
    /// # Errors
    ///
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the file system has no locks.
    /// * The error of flock(2), if the kernel has no memory for the lock.
    ///
    /// ```
    /// # let folder = &std::env::temp_dir().join(format!("abaca-doc-lock-{}", std::process::id()));
    /// # std::fs::create_dir_all(folder).unwrap();
    /// # abaca::run(|| {
    /// use abaca::fs::File;
    /// let file = File::create(folder.join("file")).unwrap();
    /// file.lock().unwrap();
    /// let other = File::open(folder.join("file")).unwrap();
    /// assert!(other.try_lock().is_err());
    /// file.unlock().unwrap();
    /// other.lock().unwrap();
    /// # });
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// ```
    pub fn lock(&self) -> io::Result<()> {
        self.lock_by(fs::File::try_lock)
    }

    /// Like [`lock`](Self::lock), for a shared lock: others may have shared locks at the same time.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn lock_shared(&self) -> io::Result<()> {
        self.lock_by(fs::File::try_lock_shared)
    }

    fn lock_by(&self, attempt: fn(&fs::File) -> Result<(), TryLockError>) -> io::Result<()> {
        let mut pauses = Pauses::new();
        loop {
            match self.call(attempt) {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error);
                }
                Err(_) => time::sleep(pauses.next_pause()),
            }
        }
    }

    /// Locks the file exclusively, if nobody else has a lock on it.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: another open file has a lock on it.
    /// * [`TryLockError::Error`]: as [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.call(fs::File::try_lock)
    }

    /// Takes a shared lock on the file, if nobody else has an exclusive one.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: another open file has an exclusive lock on it.
    /// * [`TryLockError::Error`]: as [`lock`](Self::lock).
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.call(fs::File::try_lock_shared)
    }

    /// Releases the lock. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the file system has no locks.
    pub fn unlock(&self) -> io::Result<()> {
        self.call_owned(fs::File::unlock)
    }

    /// Sets the size of the file in bytes. It is cut off, or filled up with zeros.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): the size is more than `i64::MAX`, or the file is not open for writing.
    /// * [`FileTooLarge`](io::ErrorKind::FileTooLarge): the file system has no files of that size.
    ///
    /// ```
    /// # let folder = &std::env::temp_dir().join(format!("abaca-doc-set-len-{}", std::process::id()));
    /// # std::fs::create_dir_all(folder).unwrap();
    /// # abaca::run(|| {
    /// use abaca::fs::File;
    /// let file = File::create(folder.join("file")).unwrap();
    /// file.set_len(100).unwrap();
    /// assert_eq!(file.metadata().unwrap().len(), 100);
    /// # });
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// ```
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.call_owned(move |file| file.set_len(size))
    }

    /// The metadata of the file: size, type, times, permissions.
    ///
    /// # Errors
    ///
    /// * The error of the file system, if it cannot tell: one of a network, for example.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call_owned(fs::File::metadata)
    }

    /// A second descriptor of the same open file. The two share its position and locks.
    ///
    /// # Errors
    ///
    /// * An error without a kind of its own: the process has no more descriptors (EMFILE).
    pub fn try_clone(&self) -> io::Result<Self> {
        self.opened.try_clone().map(Self::new)
    }

    /// Sets the permissions of the file.
    ///
    /// # Errors
    ///
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the file belongs to another user.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.call_owned(move |file| file.set_permissions(permissions))
    }

    /// Sets the times of the last access and modification.
    ///
    /// # Errors
    ///
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the file belongs to another user.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call_owned(move |file| file.set_times(times))
    }

    /// Sets the time of the last modification.
    ///
    /// # Errors
    ///
    /// As [`set_times`](Self::set_times).
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Whether it is a terminal. Mirrors [`std::io::IsTerminal`], a trait that only std can implement.
    pub fn is_terminal(&self) -> bool {
        reopen::is_terminal(self.as_fd())
    }
}
