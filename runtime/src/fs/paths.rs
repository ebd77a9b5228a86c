//! The functions on paths. Each makes std's call of the same name on the blocking pool.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs as unix;
use std::path::{Path, PathBuf};

use super::{File, fifo};
use crate::blocking;

/// Makes a call about one path on the pool. A caller that is cancelled leaves it behind.
pub(super) fn at<T: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.as_ref().to_owned();
    blocking::run_owned(move || call(&path))
}

/// Makes a call about two paths on the pool. A caller that is cancelled leaves it behind.
pub(super) fn between<T: Send + 'static>(
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-canonicalize-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "").unwrap();
/// let path = fs::canonicalize(folder.join(".").join("file")).unwrap();
/// assert!(path.is_absolute() && path.ends_with("file"));
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-copy-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("from"), "hello").unwrap();
/// assert_eq!(fs::copy(folder.join("from"), folder.join("to")).unwrap(), 5);
/// assert_eq!(fs::read(folder.join("to")).unwrap(), b"hello");
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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

/// Whether something is at the path. Symbolic links are followed: a link that leads nowhere gives `false`. Mirrors
/// [`std::fs::exists`].
///
/// # Errors
///
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not search a directory of the path, so it cannot
///   know.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-exists-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// assert!(fs::exists(folder).unwrap());
/// assert!(!fs::exists(folder.join("none")).unwrap());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-metadata-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// let metadata = fs::metadata(folder.join("file")).unwrap();
/// assert!(metadata.is_file() && metadata.len() == 5);
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-read-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), [1, 2, 3]).unwrap();
/// assert_eq!(fs::read(folder.join("file")).unwrap(), [1, 2, 3]);
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let contents = |mut file: File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    whole(path.as_ref(), |path| fs::read(path), contents)
}

/// Returns the contents of a text file. Mirrors [`std::fs::read_to_string`].
///
/// # Errors
///
/// As [`read`]; and
///
/// * [`InvalidData`](io::ErrorKind::InvalidData): the contents are not UTF-8.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-read_to_string-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "hello");
/// fs::write(folder.join("file"), [0xff]).unwrap();
/// let error = fs::read_to_string(folder.join("file")).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    whole(path.as_ref(), |path| fs::read_to_string(path), io::read_to_string)
}

/// Removes the name of a file. With its last name, and its last descriptor, the file itself is gone. Mirrors
/// [`std::fs::remove_file`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`IsADirectory`](io::ErrorKind::IsADirectory): it is a directory.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the process may not write to its directory.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-remove_file-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// fs::remove_file(folder.join("file")).unwrap();
/// assert!(!fs::exists(folder.join("file")).unwrap());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-rename-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("old"), "hello").unwrap();
/// fs::rename(folder.join("old"), folder.join("new")).unwrap();
/// assert_eq!(fs::read(folder.join("new")).unwrap(), b"hello");
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    between(from, to, |from, to| fs::rename(from, to))
}

/// Sets the permissions of a file. Mirrors [`std::fs::set_permissions`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the file belongs to another user.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-set_permissions-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// let mut permissions = fs::metadata(folder.join("file")).unwrap().permissions();
/// permissions.set_readonly(true);
/// fs::set_permissions(folder.join("file"), permissions).unwrap();
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn set_permissions<P: AsRef<Path>>(path: P, permissions: Permissions) -> io::Result<()> {
    at(path, move |path| fs::set_permissions(path, permissions))
}

/// Like [`metadata`], without following a symbolic link. Mirrors [`std::fs::symlink_metadata`].
///
/// # Errors
///
/// As [`metadata`].
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-symlink_metadata-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::symlink("nowhere", folder.join("link")).unwrap();
/// assert!(fs::symlink_metadata(folder.join("link")).unwrap().is_symlink());
/// assert!(fs::metadata(folder.join("link")).is_err());
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-write-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// fs::write(folder.join("file"), "bye").unwrap();
/// assert_eq!(fs::read(folder.join("file")).unwrap(), b"bye");
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
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
