//! Directories: reading their entries, making and removing them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::paths::at;
use crate::blocking;

/// The number of entries that are fetched at once.
const BATCH: usize = 64;

/// Returns an iterator over the entries of a directory, without `.` and `..`, in the file system's order. Mirrors
/// [`std::fs::read_dir`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): the directory does not exist.
/// * [`NotADirectory`](io::ErrorKind::NotADirectory): it is no directory.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not read it.
///
/// Items of the iterator are errors if fetching them fails.
///
/// ```
/// # abaca::run(|| {
/// let names: Vec<_> = abaca::fs::read_dir("/proc/self").unwrap().map(|entry| entry.unwrap().file_name()).collect();
/// assert!(names.contains(&"status".into()));
/// # });
/// ```
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let inner = blocking::run_owned(move || fs::read_dir(path))?;
    Ok(ReadDir(Arc::new(Mutex::new(Entries { inner, fetched: VecDeque::new(), at_end: false }))))
}

/// An iterator over the entries of a directory; see [`read_dir`]. Mirrors [`std::fs::ReadDir`].
///
/// Entries are fetched in batches. As in std, an entry that appears or vanishes meanwhile may or may not be seen.
pub struct ReadDir(Arc<Mutex<Entries>>);

/// The state that is shared with the thread that fetches. If the caller leaves meanwhile, the entries are there for the next
/// call.
struct Entries {
    inner: fs::ReadDir,
    fetched: VecDeque<io::Result<DirEntry>>,
    at_end: bool,
}

// Entries are moved in and out whole: a panic leaves none half-way.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl Entries {
    /// Fetches entries until the batch is full, the directory ends, or an error occurs.
    fn fetch(&mut self) {
        // A caller that was cancelled may have left its entries.
        if !self.fetched.is_empty() {
            return;
        }
        while self.fetched.len() < BATCH && !self.at_end {
            match self.inner.next() {
                Some(Ok(entry)) => self.fetched.push_back(Ok(DirEntry::new(entry))),
                Some(Err(error)) => return self.fetched.push_back(Err(error)),
                None => self.at_end = true,
            }
        }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        // Does not wait for the lock: a call that was left behind may hold it and fetch.
        if let Ok(mut entries) = self.0.try_lock()
            && (entries.at_end || !entries.fetched.is_empty())
        {
            return entries.fetched.pop_front();
        }
        let entries = Arc::clone(&self.0);
        blocking::run_owned(move || entries.lock().unwrap_or_else(PoisonError::into_inner).fetch());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fetched.pop_front()
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.try_lock() {
            Ok(entries) => entries.inner.fmt(f),
            Err(_) => f.debug_tuple("ReadDir").finish_non_exhaustive(),
        }
    }
}

/// One entry of a directory. Mirrors [`std::fs::DirEntry`].
pub struct DirEntry {
    inner: Arc<fs::DirEntry>,
    /// Most file systems tell it with the name. For the others it was asked for on the pool, where that stalls nobody.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn new(inner: fs::DirEntry) -> Self {
        let file_type = inner.file_type().ok();
        Self { inner: Arc::new(inner), file_type }
    }

    /// The path of the entry: that of the directory, as it was given, joined with the entry's name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// The metadata of the entry. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): the entry is gone.
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not search the directory.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = Arc::clone(&self.inner);
        blocking::run_owned(move || inner.metadata())
    }

    /// The type of the entry. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata), on file systems that do not tell the type with the name.
    pub fn file_type(&self) -> io::Result<FileType> {
        let ask = || {
            let inner = Arc::clone(&self.inner);
            blocking::run_owned(move || inner.file_type())
        };
        self.file_type.map_or_else(ask, Ok)
    }

    /// The name of the entry, without the path of the directory.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.inner.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Makes an empty directory. Mirrors [`std::fs::create_dir`].
///
/// # Errors
///
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at the path.
/// * [`NotFound`](io::ErrorKind::NotFound): its parent does not exist.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its parent.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-create_dir-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::create_dir(folder.join("new")).unwrap();
/// let error = fs::create_dir(folder.join("new")).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::create_dir(path))
}

/// Makes a directory and its missing parents. It is no error if the directory exists. Mirrors [`std::fs::create_dir_all`].
///
/// # Errors
///
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something that is no directory is at the path.
/// * [`NotADirectory`](io::ErrorKind::NotADirectory): one of its parents is no directory.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to the first parent that exists.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-create_dir_all-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::create_dir_all(folder.join("deep/down")).unwrap();
/// fs::create_dir_all(folder.join("deep/down")).unwrap();
/// assert!(fs::metadata(folder.join("deep/down")).unwrap().is_dir());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::create_dir_all(path))
}

/// Removes an empty directory. Mirrors [`std::fs::remove_dir`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`NotADirectory`](io::ErrorKind::NotADirectory): it is no directory.
/// * [`DirectoryNotEmpty`](io::ErrorKind::DirectoryNotEmpty): it is not empty.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its parent.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-remove_dir-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::create_dir(folder.join("new")).unwrap();
/// fs::remove_dir(folder.join("new")).unwrap();
/// assert!(!fs::exists(folder.join("new")).unwrap());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir(path))
}

/// Removes a directory and everything in it. Symbolic links are removed, not followed. Mirrors [`std::fs::remove_dir_all`].
///
/// # Errors
///
/// The error of the first removal that fails, as [`remove_dir`] and [`remove_file`](super::remove_file). What was removed
/// before stays removed.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-remove_dir_all-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::create_dir_all(folder.join("deep/down")).unwrap();
/// fs::remove_dir_all(folder.join("deep")).unwrap();
/// assert!(!fs::exists(folder.join("deep")).unwrap());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir_all(path))
}

/// Settings for making directories. Mirrors [`std::fs::DirBuilder`].
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("abaca-builder-{}", std::process::id()));
/// # let folder = &folder;
/// # abaca::run(|| {
/// use abaca::fs::DirBuilder;
/// DirBuilder::new().recursive(true).create(folder.join("deep/down")).unwrap();
/// # abaca::fs::remove_dir_all(folder).unwrap();
/// # });
/// ```
#[derive(Debug)]
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl DirBuilder {
    /// Settings for one directory, not recursive, with the mode 0o777 without the bits of the umask.
    #[expect(clippy::new_without_default, reason = "std's has none either")]
    pub fn new() -> Self {
        Self { recursive: false, mode: 0o777 }
    }

    /// Sets whether missing parents are made as well. A directory that exists is then no error.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// As [`create_dir`], or if it is recursive [`create_dir_all`].
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref().to_owned();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(self.recursive).mode(self.mode);
        blocking::run_owned(move || builder.create(path))
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }
}
