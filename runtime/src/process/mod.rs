//! Child processes: the shape of [`std::process`], with waits that block the fiber.
//!
//! A [`Child`] is waited for through a pidfd, and its pipes through the poller, so that a thousand children need no
//! thread. The extension methods of [`std::os::unix::process::CommandExt`], which others cannot implement, are methods of
//! [`Command`].
//!
//! A child is started on a thread of the [blocking pool](crate::blocking), since a fork copies the tables of a large
//! process, and an exec may have to wait for a disk. So the child's *parent thread*, whose end `PR_SET_PDEATHSIG` tells
//! of, is one that ends when it is idle: start children that use it from a plain thread.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # abaca::run(|| {
//! use abaca::process::Command;
//! let output = Command::new("echo").arg("hello").output()?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok(())
//! # })
//! # }
//! ```

mod child;
mod command;
mod streams;

#[doc(no_inline)]
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};

pub use child::Child;
pub use command::Command;
pub use streams::{ChildStderr, ChildStdin, ChildStdout};
