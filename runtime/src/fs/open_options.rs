//! The options of opening a file.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{File, fifo};
use crate::blocking;
use crate::os::nowait;

/// Options of opening a file. Mirrors [`std::fs::OpenOptions`].
///
/// ```
/// # let path = std::env::temp_dir().join(format!("abaca-options-{}", std::process::id()));
/// # let path = &path;
/// # abaca::run(|| {
/// use abaca::fs::OpenOptions;
/// let file = OpenOptions::new().write(true).create_new(true).open(path).unwrap();
/// assert!(OpenOptions::new().write(true).create_new(true).open(path).is_err());
/// # drop(file);
/// # abaca::fs::remove_file(path).unwrap();
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    inner: std::fs::OpenOptions,
    reads: bool,
    writes: bool,
    appends: bool,
    flags: i32,
}

impl OpenOptions {
    /// Options that are all off.
    #[expect(clippy::new_without_default, reason = "std's has none either")]
    pub fn new() -> Self {
        let inner = std::fs::OpenOptions::new();
        Self { inner, reads: false, writes: false, appends: false, flags: 0 }
    }

    /// Sets whether the file is opened for reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.inner.read(read);
        self.reads = read;
        self
    }

    /// Sets whether the file is opened for writing. Writes replace the bytes at the position.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.inner.write(write);
        self.writes = write;
        self
    }

    /// Sets whether the file is opened for writing at its end. Each write goes to the end that the file has then.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.inner.append(append);
        self.appends = append;
        self
    }

    /// Sets whether the file is emptied when it is opened.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.inner.truncate(truncate);
        self
    }

    /// Sets whether the file is made if it does not exist.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.inner.create(create);
        self
    }

    /// Sets whether the file is made, and opening fails if it exists.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.inner.create_new(create_new);
        self
    }

    /// Opens the file.
    ///
    /// If it is a FIFO, this blocks until the other end is opened, and notices that within 32 ms, or later by a 32nd of the
    /// time that it has waited, 256 ms at most. A fiber that is cancelled meanwhile leaves nothing behind.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): the file does not exist and is not to be made, or its directory does not exist.
    /// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): it exists, and [`create_new`](Self::create_new) is set.
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not open it in this way.
    /// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory, and is opened for writing.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): neither reading nor writing nor appending is set, or options that
    ///   contradict each other are.
    /// * An error without a kind of its own: the process has no more descriptors (EMFILE, ENFILE).
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path = path.as_ref();
        if blocking::has_pool() { fifo::open(self, path) } else { self.inner.open(path).map(File::from) }
    }

    /// Opens the file on the calling thread.
    pub(super) fn open_in_place(&self, path: &Path) -> io::Result<std::fs::File> {
        self.inner.open(path)
    }

    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    pub(super) fn flags(&self) -> i32 {
        self.flags
    }

    /// Whether opening a FIFO in this way waits for the other end.
    pub(super) fn waits_for_the_other_end(&self) -> bool {
        self.reads != (self.writes || self.appends) && self.flags & nowait::OPENS == 0
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.inner.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.inner.custom_flags(flags);
        self.flags = flags;
        self
    }
}
