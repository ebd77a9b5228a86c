//! The file system, in the shape of [`std::fs`], on the [blocking pool](crate::blocking).
//!
//! The kernel calls a file "ready" even if a read of it has to wait for the disk, so there is nothing to poll. Each operation
//! that may touch a disk is made by a thread of the pool, while its fiber is parked. Buffers are borrowed, not copied. On a
//! plain thread everything is as in std.
//!
//! To hand an operation over takes some microseconds, so move much at once: whole files ([`read`], [`write`](fn@write)), or
//! through a [`BufReader`](crate::io::BufReader) and [`BufWriter`](crate::io::BufWriter). [`read_dir`] fetches entries in
//! batches.
//!
//! The extension traits of [`std::os::unix::fs`] are implemented for the types here. A file is closed when it is dropped: in
//! place if that takes no time, else on the pool, and the fiber waits for it.
//!
//! # Errors
//!
//! The errors are those of the system, unchanged, with the kinds that std gives them. Each function lists its own. Any function
//! that takes a path can fail with:
//!
//! * [`NotFound`](crate::io::ErrorKind::NotFound): nothing is at the path, or a directory on the way to it does not exist.
//! * [`NotADirectory`](crate::io::ErrorKind::NotADirectory): something on the way is no directory.
//! * [`PermissionDenied`](crate::io::ErrorKind::PermissionDenied): the process may not do that, or may not pass a directory on
//!   the way.
//! * [`InvalidInput`](crate::io::ErrorKind::InvalidInput): the path contains a NUL.
//! * [`InvalidFilename`](crate::io::ErrorKind::InvalidFilename): the path, or a name in it, is too long.
//! * [`ReadOnlyFilesystem`](crate::io::ErrorKind::ReadOnlyFilesystem): a change on a file system that is mounted read-only.
//! * [`StorageFull`](crate::io::ErrorKind::StorageFull), [`QuotaExceeded`](crate::io::ErrorKind::QuotaExceeded): there is no
//!   room for it.
//!
//! # Cancellation
//!
//! A fiber that is cancelled unwinds, and does not wait for a call of this module that a thread has begun. The call goes on
//! without it: its changes are still made, and its result is dropped. There is one exception: a call that moves bytes of a file
//! on a disk is waited for, so that no bytes are lost; disks answer.
//!
//! A file that is not on a disk (a FIFO, a terminal, a device) may have nobody at its other end. Opening a FIFO, and reading
//! from or writing to such a file, are waits of the fiber: they take no thread, and are cancelled like those of a socket.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("abaca-doc-{}", std::process::id()));
//! # let folder = &folder;
//! # abaca::run(|| {
//! use abaca::fs;
//! fs::create_dir(folder)?;
//! fs::write(folder.join("greeting"), "hello")?;
//! assert_eq!(fs::read_to_string(folder.join("greeting"))?, "hello");
//! fs::remove_dir_all(folder)
//! # })
//! # }
//! ```

mod directory;
mod fifo;
mod file;
mod links;
mod open_options;
mod paths;

#[doc(no_inline)]
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

pub use directory::{
    DirBuilder, DirEntry, ReadDir, create_dir, create_dir_all, read_dir, remove_dir, remove_dir_all,
};
pub use file::File;
#[expect(deprecated, reason = "std has it too")]
pub use links::soft_link;
pub use links::{hard_link, read_link, symlink};
pub use open_options::OpenOptions;
pub use paths::{
    canonicalize, chown, copy, exists, fchown, lchown, metadata, read, read_to_string, remove_file, rename,
    set_permissions, symlink_metadata, write,
};
