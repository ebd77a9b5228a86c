//! The free functions. Each makes std's call of the same name on the blocking pool.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs as unix;
use std::path::{Path, PathBuf};

use super::{File, fifo};
use crate::blocking;

/// Makes a call about one path on the pool. A caller that is cancelled leaves it behind.
fn at<T: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.as_ref().to_owned();
    blocking::run_owned(move || call(&path))
}

/// Makes a call about two paths on the pool. A caller that is cancelled leaves it behind.
fn between<T: Send + 'static>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    call: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    blocking::run_owned(move || call(&from, &to))
}

/// Reads the whole file at the path: by
/// `call` if it is on a disk. A file that may wait for another process is opened here, and `make` reads it.
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

/// Returns the absolute form of a path, without symbolic links. Mirrors [`std::fs::canonicalize`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`NotADirectory`](io::ErrorKind::NotADirectory): a part of the path that is not the last is no directory.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not search a directory of the path.
/// * An error without a stable kind: symbolic links form a loop (ELOOP).
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    at(path, |path| fs::canonicalize(path))
}

/// Changes the owner and the group of a file; `None` leaves either as it is. Mirrors [`std::os::unix::fs::chown`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not change them.
pub fn chown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    at(path, move |path| unix::chown(path, uid, gid))
}

/// Copies the contents and the permissions of a file; returns the number of bytes. A file that is at `to` is replaced. Mirrors
/// [`std::fs::copy`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at `from`, or the directory of `to` does not exist.
/// * [`InvalidInput`](io::ErrorKind::InvalidInput): `from` is no regular file.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not read `from` or write `to`.
/// * The errors of reading and writing, such as [`StorageFull`](io::ErrorKind::StorageFull). Part of the file may then have
///   been copied.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let done = between(from, to, |from, to| match fifo::may_wait(from) {
        // std fails in the same way, after it has opened the file.
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
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at the path.
/// * [`NotFound`](io::ErrorKind::NotFound): its parent does not exist.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its parent.
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
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::create_dir_all(path))
}

/// Whether something is at the path. Symbolic links are followed: a link that leads nowhere gives `false`. Mirrors
/// [`std::fs::exists`].
///
/// # Errors
///
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not search a directory of the path, so it cannot
///   know.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    at(path, |path| fs::exists(path))
}

/// Changes the owner and the group of an open file; `None` leaves either as it is. Mirrors [`std::os::unix::fs::fchown`].
///
/// # Errors
///
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not change them.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    match fd.as_fd().try_clone_to_owned() {
        Ok(fd) => blocking::run_owned(move || unix::fchown(fd, uid, gid)),
        Err(_) => {
            let fd = fd.as_fd();
            blocking::run_and_keep(|| unix::fchown(fd, uid, gid))
        }
    }
}

/// Gives a file a second name, `link`. Mirrors [`std::fs::hard_link`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at `original`.
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at `link`.
/// * [`CrossesDevices`](io::ErrorKind::CrossesDevices): the two are on different file systems.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): `original` is a directory, or the process may not write to the
///   directory of `link`.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| fs::hard_link(original, link))
}

/// Like [`chown`], without following a symbolic link. Mirrors [`std::os::unix::fs::lchown`].
///
/// # Errors
///
/// As [`chown`].
pub fn lchown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    at(path, move |path| unix::lchown(path, uid, gid))
}

/// Returns the metadata of a file: size, type, times, permissions. Symbolic links are followed. Mirrors [`std::fs::metadata`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not search a directory of the path.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    at(path, |path| fs::metadata(path))
}

/// Returns the contents of a file. Mirrors [`std::fs::read`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not read the file.
/// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory.
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let contents = |mut file: File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    whole(path.as_ref(), |path| fs::read(path), contents)
}

/// Returns the path that a symbolic link leads to. Mirrors [`std::fs::read_link`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`InvalidInput`](io::ErrorKind::InvalidInput): it is no symbolic link.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    at(path, |path| fs::read_link(path))
}

/// Returns the contents of a text file. Mirrors [`std::fs::read_to_string`].
///
/// # Errors
///
/// As [`read`]; and
///
/// * [`InvalidData`](io::ErrorKind::InvalidData): the contents are not UTF-8.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    whole(path.as_ref(), |path| fs::read_to_string(path), io::read_to_string)
}

/// Removes an empty directory. Mirrors [`std::fs::remove_dir`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`NotADirectory`](io::ErrorKind::NotADirectory): it is no directory.
/// * [`DirectoryNotEmpty`](io::ErrorKind::DirectoryNotEmpty): it is not empty.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its parent.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir(path))
}

/// Removes a directory and everything in it. Symbolic links are removed, not followed. Mirrors [`std::fs::remove_dir_all`].
///
/// # Errors
///
/// The error of the first removal that fails, as [`remove_dir`] and [`remove_file`]. What was removed before stays removed.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_dir_all(path))
}

/// Removes the name of a file. With its last name, and its last descriptor, the file itself is gone. Mirrors
/// [`std::fs::remove_file`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its directory.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    at(path, |path| fs::remove_file(path))
}

/// Renames a file or directory. A file that has the new name is replaced. Mirrors [`std::fs::rename`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at `from`, or the directory of `to` does not exist.
/// * [`CrossesDevices`](io::ErrorKind::CrossesDevices): the two are on different file systems.
/// * [`DirectoryNotEmpty`](io::ErrorKind::DirectoryNotEmpty): `to` is a directory that is not empty.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to one of the directories.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    between(from, to, |from, to| fs::rename(from, to))
}

/// Sets the permissions of a file. Mirrors [`std::fs::set_permissions`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the file belongs to another user.
pub fn set_permissions<P: AsRef<Path>>(path: P, permissions: Permissions) -> io::Result<()> {
    at(path, move |path| fs::set_permissions(path, permissions))
}

/// The old name of [`symlink`]. Mirrors [`std::fs::soft_link`].
///
/// # Errors
///
/// As [`symlink`].
#[deprecated(note = "use `abaca::fs::symlink`")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    symlink(original, link)
}

/// Makes a symbolic link, `link`, that leads to `original`. Mirrors [`std::os::unix::fs::symlink`].
///
/// # Errors
///
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at `link`.
/// * [`NotFound`](io::ErrorKind::NotFound): the directory of `link` does not exist. That nothing is at `original` is no error.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to the directory of `link`.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| unix::symlink(original, link))
}

/// Like [`metadata`], without following a symbolic link. Mirrors [`std::fs::symlink_metadata`].
///
/// # Errors
///
/// As [`metadata`].
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    at(path, |path| fs::symlink_metadata(path))
}

/// Writes `contents` as the whole contents of a file, which is made if it does not exist. Mirrors [`std::fs::write`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): its directory does not exist.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to it.
/// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory.
/// * The errors of writing, such as [`StorageFull`](io::ErrorKind::StorageFull). The bytes that were written before stay.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    // The contents are borrowed from the caller, so a write that has begun is waited for.
    let done = blocking::run_and_keep(|| match fifo::may_wait(path) {
        true => Ok(None),
        false => fs::write(path, contents).map(Some),
    });
    match done? {
        Some(()) => Ok(()),
        None => File::create(path)?.write_all(contents),
    }
}
