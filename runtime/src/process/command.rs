//! The settings of a child process, and its start.

#![expect(unsafe_code, reason = "`pre_exec` is unsafe, as in std")]

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::Child;
use crate::io::with_all_given_back;
use crate::{blocking, cancel};

/// Settings of a child process, which start it any number of times. Mirrors [`std::process::Command`], and has the methods of
/// [`CommandExt`].
///
/// ```
/// # abaca::run(|| {
/// let status = abaca::process::Command::new("sh").args(["-c", "exit $CODE"]).env("CODE", "3").status().unwrap();
/// assert_eq!(status.code(), Some(3));
/// # });
/// ```
pub struct Command {
    inner: process::Command,
    /// Whether each of the standard streams was set: `output` chooses others for those that were not.
    is_set: [bool; 3],
    kill_on_drop: bool,
}

impl Command {
    /// A command that runs `program` with the parent's environment, working directory and standard streams. A `program` without
    /// a slash is looked up in `PATH`.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self { inner: process::Command::new(program), is_set: [false; 3], kill_on_drop: false }
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds several arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env<K, V>(&mut self, key: K, value: V) -> &mut Self
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(variables);
        self
    }

    /// Removes a variable from the child's environment, whether it was set here or is inherited.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.inner.env_remove(key);
        self
    }

    /// Removes all variables from the child's environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Sets the child's working directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.inner.current_dir(directory);
        self
    }

    /// Sets the child's standard input. Default: inherited for [`spawn`](Self::spawn) and [`status`](Self::status), empty for
    /// [`output`](Self::output).
    pub fn stdin<T: Into<Stdio>>(&mut self, stdin: T) -> &mut Self {
        self.is_set[0] = true;
        self.inner.stdin(stdin);
        self
    }

    /// Sets the child's standard output. Default: inherited for [`spawn`](Self::spawn) and [`status`](Self::status), a pipe
    /// for [`output`](Self::output).
    pub fn stdout<T: Into<Stdio>>(&mut self, stdout: T) -> &mut Self {
        self.is_set[1] = true;
        self.inner.stdout(stdout);
        self
    }

    /// Sets the child's standard error. Default: as for [`stdout`](Self::stdout).
    pub fn stderr<T: Into<Stdio>>(&mut self, stderr: T) -> &mut Self {
        self.is_set[2] = true;
        self.inner.stderr(stderr);
        self
    }

    /// Starts the child.
    ///
    /// A child that was started is never lost: a fiber that is cancelled meanwhile gets it, and unwinds from its next
    /// blocking call.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): there is no such program, or no such working directory.
    /// * [`PermissionDenied`](io::ErrorKind::PermissionDenied): the program may not be executed.
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): the program, an argument or a variable contains a NUL.
    /// * [`ArgumentListTooLong`](io::ErrorKind::ArgumentListTooLong): arguments and environment are too large for the system.
    /// * [`WouldBlock`](io::ErrorKind::WouldBlock): the user has too many processes (EAGAIN of fork(2)).
    /// * [`OutOfMemory`](io::ErrorKind::OutOfMemory): there is no memory for the child.
    /// * An error without a kind of its own: the process has no more descriptors (EMFILE), or the file is no program (ENOEXEC).
    /// * The error that a closure of [`pre_exec`](Self::pre_exec) returned.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::process::Command;
    /// assert!(Command::new("true").spawn().unwrap().wait().unwrap().success());
    /// let error = Command::new("no such program").spawn().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// # });
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        cancel::checkpoint();
        self.spawn_shielded()
    }

    fn spawn_shielded(&mut self) -> io::Result<Child> {
        let (child, lease) = cancel::shield(|| blocking::run_and_stay(|| self.inner.spawn()));
        child.map(|child| Child::new(child, lease, self.kill_on_drop))
    }

    /// Runs the child to its end and collects its outputs.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`]. An exit status that is not zero is no error.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let output = abaca::process::Command::new("echo").arg("hello").output().unwrap();
    /// assert_eq!(output.stdout, b"hello\n");
    /// # });
    /// ```
    pub fn output(&mut self) -> io::Result<Output> {
        // Here and not in `spawn`, which would unwind with the streams that are chosen for this call.
        cancel::checkpoint();
        let [stdin, stdout, stderr] = self.is_set;
        self.choose([(stdin, Stdio::null), (stdout, Stdio::piped), (stderr, Stdio::piped)]);
        let child = self.spawn_shielded();
        self.choose([(stdin, Stdio::inherit), (stdout, Stdio::inherit), (stderr, Stdio::inherit)]);
        child?.wait_with_output()
    }

    /// Sets the streams that the user has not set.
    fn choose(&mut self, [stdin, stdout, stderr]: [(bool, fn() -> Stdio); 3]) {
        if !stdin.0 {
            self.inner.stdin(stdin.1());
        }
        if !stdout.0 {
            self.inner.stdout(stdout.1());
        }
        if !stderr.0 {
            self.inner.stderr(stderr.1());
        }
    }

    /// Runs the child to its end and returns its exit status.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`]. An exit status that is not zero is no error.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Sets whether dropping the [`Child`] ends the child with SIGKILL. [`status`](Self::status) and [`output`](Self::output)
    /// drop it if their fiber is cancelled or its time is up. Default: no. Mirrors tokio's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use abaca::process::Command;
    /// # abaca::run(|| {
    /// let mut sleep = Command::new("sleep");
    /// sleep.arg("3600").kill_on_drop(true);
    /// // The child ends when the wait for it does.
    /// assert!(abaca::time::timeout(Duration::from_millis(10), || sleep.status()).is_err());
    /// # });
    /// ```
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Self {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments, without the program.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables that were set, and those that were removed (`None`).
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The working directory, if it was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// Sets the user id of the child.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// Sets the group id of the child.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// Adds a closure that the child runs between fork(2) and exec(2).
    ///
    /// # Safety
    ///
    /// As for [`CommandExt::pre_exec`]: after a fork of a process with threads, the closure may do only what a signal handler
    /// may do. It must not allocate, lock, or use this runtime.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller's contract is the same.
        unsafe { self.inner.pre_exec(f) };
        self
    }

    /// Replaces this process with the program. Returns only if that fails, with the errors of [`spawn`](Self::spawn). No
    /// destructor runs, but what the program inherits is in its old mode (see [`Pollable`](crate::io::Pollable)).
    pub fn exec(&mut self) -> io::Error {
        with_all_given_back(|| self.inner.exec())
    }

    /// Sets the child's argument 0. Default: the program.
    pub fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg0(arg);
        self
    }

    /// Sets the child's process group; 0 makes a new group.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.inner.process_group(group);
        self
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
