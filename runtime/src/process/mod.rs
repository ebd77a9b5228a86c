//! Child processes: the shape of [`std::process`], with waits that block the fiber.
//!
//! A [`Child`] is waited for through a pidfd, and its pipes through the poller, so that a thousand children need no
//! thread. The extension methods of [`std::os::unix::process::CommandExt`], which others cannot implement, are methods of
//! [`Command`].
//!
//! A child is started off the worker, since a fork copies the tables of a large process, and an exec may have to wait for a
//! disk: on a thread that runs nothing else, so that the child inherits what the worker had of its creator. That thread is
//! the child's *parent thread*, whose end `PR_SET_PDEATHSIG` tells of. It lives until the child's end is known, also beyond the end
//! of the runtime, so such a child dies with this process and not before. On a plain thread, children are started by that
//! thread, as by std.
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
mod orphans;
mod streams;
mod ward;

#[doc(no_inline)]
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};

pub use child::Child;
pub use command::Command;
pub use streams::{ChildStderr, ChildStdin, ChildStdout};
