//! Directories: their entries, and how they are made.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking;

/// How many entries are fetched at once.
const BATCH: usize = 64;

/// The entries of a directory, `.` and `..` left out, in the file system's order. Mirrors [`std::fs::read_dir`].
///
/// # Errors
///
/// What opendir(3) says: it does not exist, is no directory, or permission is missing.
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

/// Iterates over a directory's entries; see [`read_dir`]. Mirrors [`std::fs::ReadDir`].
///
/// Entries are fetched in batches, so one that appears or goes meanwhile may or may not be seen, as ever.
pub struct ReadDir(Arc<Mutex<Entries>>);

/// What is shared with the thread that fetches. If its caller goes, what it fetches is there for the next call.
struct Entries {
    inner: fs::ReadDir,
    fetched: VecDeque<io::Result<DirEntry>>,
    at_end: bool,
}

// Entries are moved in and out whole; a panic leaves none half-way.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl Entries {
    /// Fetches entries until the batch is full, the directory ends, or there is an error to tell of.
    fn fetch(&mut self) {
        // An earlier caller may have gone, and left its entries.
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
        // While a call that was left behind fetches, the lock is not to be waited for here.
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
    /// Most file systems tell it with the name; it was asked for where a call for the others stalls nobody.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn new(inner: fs::DirEntry) -> Self {
        let file_type = inner.file_type().ok();
        Self { inner: Arc::new(inner), file_type }
    }

    /// The directory's path, as it was given, with the entry's name.
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// The entry's metadata; a symbolic link's own.
    ///
    /// # Errors
    ///
    /// What fstatat(2) says, such as that it is gone.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = Arc::clone(&self.inner);
        blocking::run_owned(move || inner.metadata())
    }

    /// What the entry is; a symbolic link is a link.
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata), where the file system does not tell it with the name.
    pub fn file_type(&self) -> io::Result<FileType> {
        let ask = || {
            let inner = Arc::clone(&self.inner);
            blocking::run_owned(move || inner.file_type())
        };
        self.file_type.map_or_else(ask, Ok)
    }

    /// The name in the directory.
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

/// How a directory is made. Mirrors [`std::fs::DirBuilder`].
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
    /// Makes one directory, with the mode 0o777 less the umask, unless told otherwise.
    #[expect(clippy::new_without_default, reason = "std's has none either")]
    pub fn new() -> Self {
        Self { recursive: false, mode: 0o777 }
    }

    /// Makes those above it as well, and minds no directory that exists.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// What mkdir(2) says.
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
