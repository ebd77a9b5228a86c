//! Child processes, in the shape of [`std::process`]. Waits block the fiber only.
//!
//! A thousand children need no thread: a wait for a [`Child`], or for its pipes, parks the fiber. The extension methods of
//! [`std::os::unix::process::CommandExt`], a trait that only std can implement, are methods of [`Command`].
//!
//! # The parent thread
//!
//! A fork copies the page tables of a large process, and an exec may have to wait for a disk. So a child is started by a thread
//! of the [blocking pool](crate::blocking) that runs nothing else, and the child inherits what a worker would have passed on.
//! For the kernel, that thread is the child's parent, whose end `PR_SET_PDEATHSIG` reports. It lives until the child's end is
//! known, even beyond the end of the runtime: such a child dies with this process and not before. A plain thread starts its
//! children itself, as in std.
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it waits for a child unwinds; the child goes on and can still be waited for. With
//! [`kill_on_drop`](Command::kill_on_drop), the child ends when its handle is dropped. A child whose handle was dropped leaves
//! no zombie.
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
mod owned_child;
mod streams;

#[doc(no_inline)]
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};

pub use child::Child;
pub use command::Command;
pub use streams::{ChildStderr, ChildStdin, ChildStdout};
