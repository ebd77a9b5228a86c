//! Links: symbolic and hard ones.

use std::fs;
use std::io;
use std::os::unix::fs as unix;
use std::path::{Path, PathBuf};

use super::paths::{at, between};

/// Gives a file a second name, `link`. Mirrors [`std::fs::hard_link`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at `original`.
/// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): something is at `link`.
/// * [`CrossesDevices`](io::ErrorKind::CrossesDevices): the two are on different file systems.
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): `original` is a directory, or the process may not write to the
///   directory of `link`.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-hard_link-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// fs::hard_link(folder.join("file"), folder.join("link")).unwrap();
/// assert_eq!(fs::read(folder.join("link")).unwrap(), b"hello");
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| fs::hard_link(original, link))
}

/// Returns the path that a symbolic link leads to. Mirrors [`std::fs::read_link`].
///
/// # Errors
///
/// * [`NotFound`](io::ErrorKind::NotFound): nothing is at the path.
/// * [`InvalidInput`](io::ErrorKind::InvalidInput): it is no symbolic link.
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-read_link-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::symlink("elsewhere", folder.join("link")).unwrap();
/// assert_eq!(fs::read_link(folder.join("link")).unwrap().to_str(), Some("elsewhere"));
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    at(path, |path| fs::read_link(path))
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
///
/// ```
/// # let folder = &std::env::temp_dir().join(format!("abaca-doc-symlink-{}", std::process::id()));
/// # std::fs::create_dir_all(folder).unwrap();
/// # abaca::run(|| {
/// use abaca::fs;
/// fs::write(folder.join("file"), "hello").unwrap();
/// fs::symlink(folder.join("file"), folder.join("link")).unwrap();
/// assert_eq!(fs::read(folder.join("link")).unwrap(), b"hello");
/// # });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between(original, link, |original, link| unix::symlink(original, link))
}
