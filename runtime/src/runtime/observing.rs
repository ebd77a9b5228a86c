//! The socket at which a runtime can be observed.

use std::path::PathBuf;

use super::Builder;

impl Builder {
    /// Lets a program of the same user look at the runtime while it runs: `abaca-top` shows workers, fibers, waits and who holds what
    /// they wait for. Default: the environment variable `ABACA_OBSERVE`, else no. It listens on a Unix socket at `path`, whose file has
    /// the mode 0600 and is removed when the runtime shuts down. Peers of other users are turned away.
    ///
    /// What is asked is answered by plain threads; a client that stops reading holds up nobody else.
    ///
    /// A socket of the same user at which nobody listens any more, such as a program that was killed leaves there, is replaced. If there is
    /// another file at `path`, [`build`](Self::build) fails with [`AddrInUse`](std::io::ErrorKind::AddrInUse). With a path of the
    /// environment variable it does not fail for such a reason: a line on standard error says that the runtime is not observed, and why.
    ///
    /// ```
    /// use std::io::{BufRead, BufReader, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let path = std::env::temp_dir().join(format!("observed-{}", std::process::id()));
    /// let runtime = abaca::Runtime::builder().observe_at(&path).build().unwrap();
    /// let mut client = UnixStream::connect(&path).unwrap();
    /// client.write_all(b"metrics\n").unwrap();
    /// let mut answer = String::new();
    /// BufReader::new(client).read_line(&mut answer).unwrap();
    /// assert!(answer.starts_with("ok ")); // and so many bytes of JSON
    /// drop(runtime);
    /// assert!(!path.exists());
    /// ```
    pub fn observe_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.observe_at = Some(path.into());
        self
    }
}
