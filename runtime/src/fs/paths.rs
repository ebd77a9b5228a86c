//! The free functions: each makes std's call of the same name on the blocking pool.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs as unix;
use std::path::{Path, PathBuf};

use super::{File, fifo};
use crate::blocking;

/// A call about one path, which a caller that is cancelled leaves behind.
fn at<T: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.as_ref().to_owned();
    blocking::run_owned(move || call(&path))
}

/// A call about two paths.
fn between<T: Send + 'static>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    call: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    blocking::run_owned(move || call(&from, &to))
}

/// The contents of what is at the path: a file on a disk is read by `call`, of what may wait for somebody the bytes are
/// collected, and are `made` into the result.
fn whole<T: Send + 'static>(
    path: &Path,
    call: fn(&Path) -> io::Result<T>,
    make: fn(File) -> io::Result<T>,
) -> io::Result<T> {
    let done = at(path, move |path| match fifo::may_wait(path) {
        true => Ok(None),
        false => call(path).map(Some),
    });
    match done? {
        Some(contents) => Ok(contents),
        None => make(File::open(path)?),
    }
}

/// The absolute form of a path, without symbolic links. Mirrors [`std::fs::canonicalize`].
///
/// # Errors
///
/// What realpath(3) says: the path does not exist, or one of its parts is no directory.
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    at(path, |path| fs::canonicalize(path))
}

/// Changes owner and group; `None` leaves one as it is. Mirrors [`std::os::unix::fs::chown`].
///
/// # Errors
///
/// What chown(2) says.
pub fn chown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    at(path, move |path| unix::chown(path, uid, gid))
}

/// Copies a file's contents and permissions; returns the number of bytes. Mirrors [`std::fs::copy`].
///
/// # Errors
///
/// What opening, reading and writing say; a `from` that is no file.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let done = between(from, to, |from, to| match fifo::may_wait(from) {
        // That it is none, std says as well, once it has opened it.
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the source path is neither a regular file nor a symlink to a regular file",
        )),
        false if fifo::may_wait(to) => Ok(None),
        false => fs::copy(from, to).map(Some),
    });
    match done? {
        Some(length) => Ok(length),
        None => io::copy(&mut File::open(from)?, &mut File::create(to)?),
    }
}

/// Makes an empty directory. Mirrors [`std::fs::create_dir`].
///
/// # Errors
///
/// What mkdir(2) says: it exists, its parent does not, or permission is missing.
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::create_dir(path))
}

/// Makes a directory and those above it that are missing. Mirrors [`std::fs::create_dir_all`].
///
/// # Errors
///
/// What mkdir(2) says of the first that cannot be made.
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::create_dir_all(path))
}

/// Whether something is at the path, following symbolic links. Mirrors [`std::fs::exists`].
///
/// # Errors
///
/// When that cannot be found out.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    at(path, |path| fs::exists(path))
}

/// Changes owner and group of an open file; `None` leaves one as it is. Mirrors [`std::os::unix::fs::fchown`].
///
/// # Errors
///
/// What fchown(2) says.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    match fd.as_fd().try_clone_to_owned() {
        Ok(fd) => blocking::run_owned(move || unix::fchown(fd, uid, gid)),
        Err(_) => {
            let fd = fd.as_fd();
            blocking::run_and_keep(|| unix::fchown(fd, uid, gid))
        }
    }
}

/// Makes a second name of a file. Mirrors [`std::fs::hard_link`].
///
/// # Errors
///
/// What link(2) says.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| fs::hard_link(original, link))
}

/// [`chown`] that does not follow a symbolic link. Mirrors [`std::os::unix::fs::lchown`].
///
/// # Errors
///
/// What lchown(2) says.
pub fn lchown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    at(path, move |path| unix::lchown(path, uid, gid))
}

/// Size, kind, times and permissions, following symbolic links. Mirrors [`std::fs::metadata`].
///
/// # Errors
///
/// What stat(2) says.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    at(path, |path| fs::metadata(path))
}

/// The contents of a file. Mirrors [`std::fs::read`].
///
/// # Errors
///
/// What opening and reading say.
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let contents = |mut file: File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    whole(path.as_ref(), |path| fs::read(path), contents)
}

/// Where a symbolic link leads. Mirrors [`std::fs::read_link`].
///
/// # Errors
///
/// What readlink(2) says: it is no link, or does not exist.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    at(path, |path| fs::read_link(path))
}

/// The contents of a text file. Mirrors [`std::fs::read_to_string`].
///
/// # Errors
///
/// What opening and reading say; `InvalidData` if it is not UTF-8.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    whole(path.as_ref(), |path| fs::read_to_string(path), io::read_to_string)
}

/// Removes an empty directory. Mirrors [`std::fs::remove_dir`].
///
/// # Errors
///
/// What rmdir(2) says.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir(path))
}

/// Removes a directory and all that is in it; links are removed, not followed. Mirrors [`std::fs::remove_dir_all`].
///
/// # Errors
///
/// What the first removal that fails says.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir_all(path))
}

/// Removes a file's name, and the file with its last one. Mirrors [`std::fs::remove_file`].
///
/// # Errors
///
/// What unlink(2) says.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_file(path))
}

/// Renames, replacing what has the new name already. Mirrors [`std::fs::rename`].
///
/// # Errors
///
/// What rename(2) says; the two are on one file system.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    between(from, to, |from, to| fs::rename(from, to))
}

/// Sets the permissions. Mirrors [`std::fs::set_permissions`].
///
/// # Errors
///
/// What chmod(2) says.
pub fn set_permissions<P: AsRef<Path>>(path: P, permissions: Permissions) -> io::Result<()> {
    at(path, move |path| fs::set_permissions(path, permissions))
}

/// The old name of [`symlink`]. Mirrors [`std::fs::soft_link`].
///
/// # Errors
///
/// What symlink(2) says.
#[deprecated(note = "use `abaca::fs::symlink`")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    symlink(original, link)
}

/// Makes a symbolic link that leads to `original`. Mirrors [`std::os::unix::fs::symlink`].
///
/// # Errors
///
/// What symlink(2) says.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| unix::symlink(original, link))
}

/// [`metadata`] of a symbolic link itself. Mirrors [`std::fs::symlink_metadata`].
///
/// # Errors
///
/// What lstat(2) says.
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    at(path, |path| fs::symlink_metadata(path))
}

/// Makes a file of those contents, in place of what it contained. Mirrors [`std::fs::write`].
///
/// # Errors
///
/// What opening and writing say; what was written before a failure stays.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    // The contents are the caller's, so a write that has begun is waited for.
    let done = blocking::run_and_keep(|| match fifo::may_wait(path) {
        true => Ok(None),
        false => fs::write(path, contents).map(Some),
    });
    match done? {
        Some(()) => Ok(()),
        None => File::create(path)?.write_all(contents),
    }
}
