//! A Redis of one's own: on a Unix socket in a folder that is thrown away, with a log that is on the disk before an answer is given.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A redis-server that ends with this value.
pub(crate) struct Server {
    folder: PathBuf,
    child: Child,
}

/// How long it may take to read its log.
const MOST_TIME: Duration = Duration::from_secs(60);

impl Server {
    /// # Errors
    ///
    /// There is no redis-server on this machine, or it does not start.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(folder)
            .arg("--unixsocket")
            .arg(folder.join("redis"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for those who are to finish with it first.
            .process_group(0)
            .spawn();
        let child = child.map_err(|error| {
            let hint = "install it (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install redis), or name a Redis that runs \
                        to the commands work, produce and status";
            io::Error::new(error.kind(), format!("cannot start redis-server: {error}; {hint}"))
        })?;
        let mut server = Self { folder: folder.to_owned(), child };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.join("redis").display())
    }

    /// Kills it, as a crash would, and starts it again with what it has on disk.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        *self = Self::start(&self.folder.clone())?;
        Ok(())
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        // Its socket may be there from before.
        while UnixStream::connect(self.folder.join("redis")).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("redis-server has ended: {status}")));
            }
            if begun.elapsed() > MOST_TIME {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "redis-server does not listen"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
