//! A child process that was started.

use std::fmt;
use std::io::{self, Read};
use std::process::{self, ExitStatus, Output};
use std::time::{Duration, Instant};

use super::streams::read_both;
use super::ward::Ward;
use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::park::{self, Cost};
use crate::pool::Lease;

/// A running or ended child process. Mirrors [`std::process::Child`].
///
/// Dropping it neither ends the child nor waits for it, as in std; [`Command::kill_on_drop`](super::Command::kill_on_drop)
/// ends it. Unlike std's, a child whose handle was dropped leaves no zombie: it is waited for in the background, as tokio
/// does. A fiber that is cancelled in a wait leaves the child running, and waitable.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// use std::io::{Read, Write};
/// use abaca::process::{Command, Stdio};
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"meow")?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "meow");
/// assert!(child.wait()?.success());
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Child {
    /// What the child reads, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// What the child writes to its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// What the child writes to its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    ward: Ward,
}

impl Child {
    /// `lease` is of the thread that started it.
    pub(super) fn new(mut inner: process::Child, lease: Option<Lease>, kill_on_drop: bool) -> Self {
        Self {
            stdin: inner.stdin.take().map(ChildStdin::from),
            stdout: inner.stdout.take().map(ChildStdout::from),
            stderr: inner.stderr.take().map(ChildStderr::from),
            ward: Ward::new(inner, lease, kill_on_drop),
        }
    }

    /// Ends the child with SIGKILL.
    ///
    /// # Errors
    ///
    /// What kill(2) says; no error if the child has ended and was waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.ward.kill()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.ward.id()
    }

    /// Closes the child's standard input, if it is a pipe here, and blocks until the child has ended.
    ///
    /// # Errors
    ///
    /// What waitpid(2) says, such as that somebody else has waited for the child.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let status = self.ward.wait_until(None)?;
        Ok(status.expect("a wait without a deadline ends with the child"))
    }

    /// [`wait`](Self::wait) for at most `timeout`, without closing anything; `None` when the time is up. std has no such
    /// call.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # abaca::run(|| {
    /// let mut child = abaca::process::Command::new("sleep").arg("3600").spawn().unwrap();
    /// assert_eq!(child.wait_timeout(Duration::from_millis(1)).unwrap(), None);
    /// child.kill().unwrap();
    /// assert!(!child.wait().unwrap().success());
    /// # });
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.ward.wait_until(Instant::now().checked_add(timeout))
    }

    /// How the child ended, if it has.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.ward.try_wait();
        park::spend(if matches!(ended, Ok(None)) { Cost::InVain } else { Cost::InputOutput });
        ended
    }

    /// Closes the child's standard input, reads both outputs, as far as they are pipes here, to their ends, at the same time,
    /// and waits for the child.
    ///
    /// # Errors
    ///
    /// What reading says, and [`wait`](Self::wait). The child is then dropped, as it is when the fiber is cancelled meanwhile.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        match (self.stdout.take(), self.stderr.take()) {
            (Some(out), Some(err)) => (stdout, stderr) = read_both(out, err)?,
            (Some(mut out), None) => drop(out.read_to_end(&mut stdout)?),
            (None, Some(mut err)) => drop(err.read_to_end(&mut stderr)?),
            (None, None) => {}
        }
        let status = self.wait()?;
        Ok(Output { status, stdout, stderr })
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
