//! The processes of a demonstration: this program again, with other arguments.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// One process, which does not outlive this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(arguments: &[String], output: &Path) -> io::Result<Self> {
        let output = std::fs::File::options().append(true).create(true).open(output)?;
        let child = Command::new(std::env::current_exe()?)
            .args(arguments)
            // Some jobs panic on purpose, and their names suffice.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing of it runs after this.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, which it takes as a wish.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("it has ended already")) }
    }

    pub(crate) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
