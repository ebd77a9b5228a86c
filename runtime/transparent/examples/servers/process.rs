//! A server in a process of its own, and what the kernel says of it.

use std::fs::read_to_string;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// It ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: &str) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // Without others that would be started for it, the workers are as many as the processors.
        command.args(["serve", kind]).env_remove("ABACA_WORKERS").stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| io::Error::other(format!("{kind} does not serve")))?;
        Ok(Self { child, address })
    }

    fn read(&self, file: &str) -> io::Result<String> {
        read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }

    /// Processor time so far, in microseconds: exact for the threads that are alive.
    pub(crate) fn cpu_us(&self) -> io::Result<f64> {
        let mut all = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let text = read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            all += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(all as f64 / 1e3)
    }

    pub(crate) fn threads(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?.count())
    }

    /// Resident memory and page tables, in bytes.
    pub(crate) fn memory(&self) -> io::Result<f64> {
        let kib = |text: &str, label: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
            line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0)
        };
        let (rollup, status) = (self.read("smaps_rollup")?, self.read("status")?);
        Ok(1024.0 * (kib(&rollup, "Pss:") + kib(&status, "VmPTE:")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It never ends by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
