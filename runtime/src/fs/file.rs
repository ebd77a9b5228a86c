//! An open file.

#![expect(unsafe_code, reason = "the descriptor traits have an unsafe constructor")]

use std::fmt;
use std::fs::{self, FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::OpenOptions;
use crate::io::{End, Sealed};
use crate::{blocking, current};

/// An open file. Mirrors [`std::fs::File`].
///
/// Reads, writes and seeks go through shared references too. Each is one job of the [blocking pool](crate::blocking),
/// which uses the caller's buffer; so are `read_to_end`, `read_exact` and `write_all`, however many system calls they take.
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
pub struct File(fs::File);

/// How long a wait for a lock sleeps before it looks again: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

impl File {
    /// Makes a call on the blocking pool.
    fn call<T: Send>(&self, call: impl FnOnce(&fs::File) -> T + Send) -> T {
        // A call that has moved the position, or taken a lock, has to say so.
        blocking::run_and_keep(|| call(&self.0))
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
        self.call(fs::File::sync_all)
    }

    /// Waits until the contents are on the disk, with the metadata that reading them takes.
    ///
    /// # Errors
    ///
    /// What fdatasync(2) says, which may be an earlier write's failure.
    pub fn sync_data(&self) -> io::Result<()> {
        self.call(fs::File::sync_data)
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
                Err(_) => current::sleep(pause),
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
        self.call(fs::File::unlock)
    }

    /// Cuts the file off at so many bytes, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// What ftruncate(2) says; `InvalidInput` for more than `i64::MAX`.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.call(|file| file.set_len(size))
    }

    /// Size, kind, times and permissions.
    ///
    /// # Errors
    ///
    /// What fstat(2) says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call(fs::File::metadata)
    }

    /// A second descriptor of the same open file: position and locks are shared.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sets the permissions.
    ///
    /// # Errors
    ///
    /// What fchmod(2) says.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.call(|file| file.set_permissions(permissions))
    }

    /// Sets the times of the last access and modification.
    ///
    /// # Errors
    ///
    /// What futimens(2) says.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call(|file| file.set_times(times))
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
        self.0.is_terminal()
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(|mut file| file.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.call(|mut file| file.read_vectored(buffers))
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.call(|mut file| file.read_to_end(bytes))
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.call(|mut file| file.read_to_string(text))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.call(|mut file| file.read_exact(buffer))
    }
}

impl Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|mut file| file.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(|mut file| file.write_vectored(slices))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.call(|mut file| file.write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        // There is no buffer.
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Not in place: the kernel lets it wait for a read of the same open file that is under way.
        self.call(|mut file| file.seek(to))
    }
}

/// Delegates a method of a trait for `File` to the one for `&File`.
macro_rules! through_a_reference {
    ($($name:ident($($argument:ident: $t:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, $($argument: $t),*) -> io::Result<$result> {
            (&*self).$name($($argument),*)
        })*
    };
}

impl Read for File {
    through_a_reference! {
        read(buffer: &mut [u8]) -> usize;
        read_vectored(buffers: &mut [IoSliceMut<'_>]) -> usize;
        read_to_end(bytes: &mut Vec<u8>) -> usize;
        read_to_string(text: &mut String) -> usize;
        read_exact(buffer: &mut [u8]) -> ();
    }
}

impl Write for File {
    through_a_reference! {
        write(bytes: &[u8]) -> usize;
        write_vectored(slices: &[IoSlice<'_>]) -> usize;
        write_all(bytes: &[u8]) -> ();
        flush() -> ();
    }
}

impl Seek for File {
    through_a_reference! {
        seek(to: SeekFrom) -> u64;
    }
}

impl FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.read_at(buffer, offset))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.call(|file| file.read_exact_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.write_at(bytes, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.call(|file| file.write_all_at(bytes, offset))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self(file)
    }
}

impl From<File> for fs::File {
    fn from(file: File) -> Self {
        file.0
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        file.0.into()
    }
}

/// For the standard streams of a [`Command`](crate::process::Command).
impl From<File> for Stdio {
    fn from(file: File) -> Self {
        file.0.into()
    }
}

/// An end of [`copy_fd`](crate::io::copy_fd).
impl Sealed for File {
    fn end(&self) -> End<'_> {
        End::file(&self.0)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the trait's contract.
        Self(unsafe { fs::File::from_raw_fd(fd) })
    }
}
