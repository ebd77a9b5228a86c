//! How a child process is started.

#![expect(unsafe_code, reason = "`pre_exec` is unsafe, as in std")]

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::Child;
use crate::{blocking, cancel};

/// Starts child processes. Mirrors [`std::process::Command`], with the methods of
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
    /// Which of the standard streams were set: `output` chooses others for those that were not.
    is_set: [bool; 3],
    kill_on_drop: bool,
}

impl Command {
    /// A command that runs `program`, found through `PATH` unless it is a path, with the parent's environment, directory and
    /// standard streams.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self { inner: process::Command::new(program), is_set: [false; 3], kill_on_drop: false }
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
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

    /// Takes a variable out of the child's environment, whether it was set here or is the parent's.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.inner.env_remove(key);
        self
    }

    /// Empties the child's environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Sets the child's working directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.inner.current_dir(directory);
        self
    }

    /// Sets what the child reads. Default: the parent's for [`spawn`](Self::spawn) and [`status`](Self::status), nothing for
    /// [`output`](Self::output).
    pub fn stdin<T: Into<Stdio>>(&mut self, stdin: T) -> &mut Self {
        self.is_set[0] = true;
        self.inner.stdin(stdin);
        self
    }

    /// Sets where the child writes. Default: as the parent for [`spawn`](Self::spawn) and [`status`](Self::status), a pipe
    /// for [`output`](Self::output).
    pub fn stdout<T: Into<Stdio>>(&mut self, stdout: T) -> &mut Self {
        self.is_set[1] = true;
        self.inner.stdout(stdout);
        self
    }

    /// Sets where the child writes errors. Default: as for [`stdout`](Self::stdout).
    pub fn stderr<T: Into<Stdio>>(&mut self, stderr: T) -> &mut Self {
        self.is_set[2] = true;
        self.inner.stderr(stderr);
        self
    }

    /// Starts the child.
    ///
    /// A child that was started is never lost: a fiber that is cancelled meanwhile has it, and unwinds from its next
    /// blocking call.
    ///
    /// # Errors
    ///
    /// What fork(2) and exec(2) say, such as that there is no such program.
    pub fn spawn(&mut self) -> io::Result<Child> {
        cancel::checkpoint();
        self.spawn_shielded()
    }

    fn spawn_shielded(&mut self) -> io::Result<Child> {
        let (child, lease) = cancel::shield(|| blocking::run_and_stay(|| self.inner.spawn()));
        child.map(|child| Child::new(child, lease, self.kill_on_drop))
    }

    /// Runs the child to its end and collects what it writes.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    pub fn output(&mut self) -> io::Result<Output> {
        // Here rather than in `spawn`, which would leave the streams as they are chosen for this call.
        cancel::checkpoint();
        let [stdin, stdout, stderr] = self.is_set;
        self.choose([(stdin, Stdio::null), (stdout, Stdio::piped), (stderr, Stdio::piped)]);
        let child = self.spawn_shielded();
        self.choose([(stdin, Stdio::inherit), (stdout, Stdio::inherit), (stderr, Stdio::inherit)]);
        child?.wait_with_output()
    }

    /// Chooses the streams that were not set.
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

    /// Runs the child to its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Whether dropping the [`Child`] ends the child with SIGKILL, also when a fiber that waits for it is cancelled, or runs out
    /// of time. Default: no. Mirrors tokio's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use abaca::process::Command;
    /// # abaca::run(|| {
    /// let mut sleep = Command::new("sleep");
    /// sleep.arg("3600").kill_on_drop(true);
    /// // The child ends with the attempt to wait for it.
    /// assert!(abaca::time::timeout(Duration::from_millis(10), || sleep.status()).is_err());
    /// # });
    /// ```
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Self {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments, without the program.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables that were set, or taken out (`None`).
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The working directory, if it was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// Sets the child's user.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// Sets the child's group.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// Adds a closure that the child runs between fork(2) and exec(2).
    ///
    /// # Safety
    ///
    /// As for [`CommandExt::pre_exec`]: after a fork of a process with threads, the closure may do no more than a signal handler;
    /// it must not allocate, lock, or use this runtime.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller keeps to the same contract.
        unsafe { self.inner.pre_exec(f) };
        self
    }

    /// Becomes the program, in place of this process; returns only if that fails. No destructor runs.
    pub fn exec(&mut self) -> io::Error {
        self.inner.exec()
    }

    /// Sets the child's argument 0, which is otherwise the program.
    pub fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg0(arg);
        self
    }

    /// Sets the child's process group; 0 is a new one.
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
