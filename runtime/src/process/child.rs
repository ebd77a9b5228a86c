//! The handle of a child process.

use std::fmt;
use std::io::{self, Read};
use std::process::{self, ExitStatus, Output};
use std::time::{Duration, Instant};

use super::owned_child::OwnedChild;
use super::streams::read_both;
use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::park::{self, Cost};
use crate::pool::Lease;

/// A child process, which runs or has ended. Mirrors [`std::process::Child`].
///
/// As in std, dropping it neither ends the child nor waits for it; with [`Command::kill_on_drop`](super::Command::kill_on_drop)
/// it ends the child. Unlike in std, a child whose handle was dropped leaves no zombie: as in tokio, it is waited for in the
/// background. A fiber that is cancelled while it waits leaves the child running, and the child can still be waited for.
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
    /// The write end of the child's standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The read end of the child's standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The read end of the child's standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    child: OwnedChild,
}

impl Child {
    /// `lease` is that of the thread that started the child.
    pub(super) fn new(mut inner: process::Child, lease: Option<Lease>, kill_on_drop: bool) -> Self {
        Self {
            stdin: inner.stdin.take().map(ChildStdin::from),
            stdout: inner.stdout.take().map(ChildStdout::from),
            stderr: inner.stderr.take().map(ChildStderr::from),
            child: OwnedChild::new(inner, lease, kill_on_drop),
        }
    }

    /// Ends the child with SIGKILL. It does not wait for the child. It is no error if the child has ended.
    ///
    /// # Errors
    ///
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the child runs as another user.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let mut child = abaca::process::Command::new("sleep").arg("3600").spawn().unwrap();
    /// child.kill().unwrap();
    /// assert_eq!(child.wait().unwrap().code(), None); // ended by a signal
    /// # });
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// The process id of the child.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes the child's standard input, if that is a pipe in [`stdin`](Self::stdin), and blocks until the child has ended.
    /// Once it has, further calls return the same status.
    ///
    /// # Errors
    ///
    /// * An error without a kind of its own: other code of this process has waited for the child already (ECHILD).
    ///
    /// ```
    /// # abaca::run(|| {
    /// let mut child = abaca::process::Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    /// assert_eq!(child.wait().unwrap().code(), Some(3));
    /// # });
    /// ```
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let status = self.child.wait_until(None)?;
        Ok(status.expect("a wait without a deadline ends with the child"))
    }

    /// Like [`wait`](Self::wait), for at most `timeout`, and without closing anything. Returns `None` if the time is up first;
    /// the child then goes on. std has no such call.
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
        self.child.wait_until(Instant::now().checked_add(timeout))
    }

    /// The exit status of the child if it has ended, else `None`. It does not wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// # abaca::run(|| {
    /// let mut child = abaca::process::Command::new("sleep").arg("3600").spawn().unwrap();
    /// assert_eq!(child.try_wait().unwrap(), None);
    /// child.kill().unwrap();
    /// child.wait().unwrap();
    /// assert!(child.try_wait().unwrap().is_some());
    /// # });
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.child.try_wait();
        park::spend(if matches!(ended, Ok(None)) { Cost::TryFailed } else { Cost::SystemCall });
        ended
    }

    /// Closes the child's standard input, reads its standard output and standard error to their ends, and waits for the child.
    /// The two outputs are read at the same time, as far as they are pipes in this handle.
    ///
    /// If it fails, or the fiber is cancelled meanwhile, the child is dropped.
    ///
    /// # Errors
    ///
    /// * Those of reading a pipe.
    /// * Those of [`wait`](Self::wait).
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::process::{Command, Stdio};
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn().unwrap();
    /// assert_eq!(child.wait_with_output().unwrap().stdout, b"hello\n");
    /// # });
    /// ```
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
