//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes these bytes the file at `path`. They are written under another name in the same directory, which is the file's in the end: an
/// error leaves what was there. A device, a pipe or a symbolic link is written to as it is.
///
/// # Errors
///
/// * The operating system's.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    let (part, mut file) = part_beside(path)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(part);
    }
    written
}

/// A new file in the directory of `path`.
fn part_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        // Relaxed: a number.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = path.with_file_name(format!(".abaca-{}-{number}.part", process::id()));
        match File::create_new(&part) {
            // Of a process that was killed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return Ok((part, made?)),
        }
    }
}
