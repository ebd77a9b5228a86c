//! How a file is opened.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{File, fifo};
use crate::blocking;
use crate::os::nowait;

/// How a file is opened. Mirrors [`std::fs::OpenOptions`].
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
    /// All options are off at first.
    #[expect(clippy::new_without_default, reason = "std's has none either")]
    pub fn new() -> Self {
        let inner = std::fs::OpenOptions::new();
        Self { inner, reads: false, writes: false, appends: false, flags: 0 }
    }

    /// Opens for reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.inner.read(read);
        self.reads = read;
        self
    }

    /// Opens for writing, over what is there.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.inner.write(write);
        self.writes = write;
        self
    }

    /// Opens for writing at the end, wherever that is when a write happens.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.inner.append(append);
        self.appends = append;
        self
    }

    /// Empties the file first.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.inner.truncate(truncate);
        self
    }

    /// Makes the file if it does not exist.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.inner.create(create);
        self
    }

    /// Makes the file, and fails if it exists.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.inner.create_new(create_new);
        self
    }

    /// Opens the file. Of a FIFO it blocks until somebody opens the other end, and finds out within 32 ms of that; a fiber
    /// that is cancelled meanwhile leaves nothing behind.
    ///
    /// # Errors
    ///
    /// What open(2) says; `InvalidInput` for options that make no sense together.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path = path.as_ref();
        if blocking::has_pool() { fifo::open(self, path) } else { self.inner.open(path).map(File::from) }
    }

    /// On the calling thread.
    pub(super) fn open_in_place(&self, path: &Path) -> io::Result<std::fs::File> {
        self.inner.open(path)
    }

    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    pub(super) fn flags(&self) -> i32 {
        self.flags
    }

    /// Whether to open a FIFO in this way waits for somebody else.
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
