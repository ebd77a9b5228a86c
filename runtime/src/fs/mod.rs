//! The file system: the shape of [`std::fs`], on the [blocking pool](crate::blocking).
//!
//! Files are always "ready" and block all the same, so there is nothing to poll: each operation that may touch a disk is
//! made by a thread of the pool while its fiber is parked. Buffers are borrowed, not copied; errors are the system's,
//! unchanged. On a plain thread everything is as in std.
//!
//! A hand-over costs some microseconds, so move much at once: whole files ([`read`], [`write`](fn@write)), or through a
//! [`BufReader`](crate::io::BufReader) and [`BufWriter`](crate::io::BufWriter). [`read_dir`] fetches entries in batches.
//!
//! The extension traits of [`std::os::unix::fs`] are implemented for the types here. Closing a file, when it is dropped,
//! happens in place where it takes no time, and else on the pool: the fiber waits for it.
//!
//! # Cancellation
//!
//! A fiber that is cancelled does not wait for a call of this module that a thread has begun, with one exception: what moves
//! bytes of a file on a disk. The call goes on without it, so what it was to change may still change, and what it returns
//! is dropped. A read or write of a file on a disk is waited for, so that what it moves is not lost; disks answer.
//!
//! What is no file on a disk may have nobody at the other end: a FIFO, a terminal, a device. To open a FIFO, to read from and
//! to write to such a file are waits of the fiber, which take no thread, and are cancelled like those of a socket.
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
mod open_options;
mod paths;

#[doc(no_inline)]
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

pub use directory::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::File;
pub use open_options::OpenOptions;
#[expect(deprecated, reason = "std has it too")]
pub use paths::soft_link;
pub use paths::{
    canonicalize, chown, copy, create_dir, create_dir_all, exists, fchown, hard_link, lchown, metadata, read,
    read_link, read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink,
    symlink_metadata, write,
};
