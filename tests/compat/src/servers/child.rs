//! A server that is a process.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a server shows that it is there: it accepts connections.
pub(crate) enum Ready {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

pub(crate) struct Server {
    command: Command,
    ready: Ready,
    child: Option<Child>,
}

impl Server {
    /// Starts it. `None` if it is not installed, or does not start.
    pub(crate) fn new(command: Command, ready: Ready) -> Option<Self> {
        let mut server = Self { command, ready, child: None };
        server.start().then_some(server)
    }

    /// Whether it runs, and accepts connections.
    pub(crate) fn start(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let Some(child) = &mut self.child else {
                let Ok(child) = self.command.spawn() else { return false };
                self.child = Some(child);
                continue;
            };
            if self.ready.is_reached() {
                return true;
            }
            // After it was killed, what is left of it may be in the way for a while.
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                self.child = None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Kills it, with the processes that it has started.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let mut pids = descendants(child.id());
            pids.push(child.id());
            let _ = quiet(Command::new("kill").arg("-KILL").args(pids.iter().map(u32::to_string))).status();
            let _ = child.wait();
        }
        if let Ready::Unix(path) = &self.ready {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Ready {
    fn is_reached(&self) -> bool {
        match self {
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
            Self::Tcp(address) => TcpStream::connect(address).is_ok(),
        }
    }
}

fn descendants(pid: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &pid.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let children: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let further: Vec<u32> = children.iter().flat_map(|child| descendants(*child)).collect();
    children.into_iter().chain(further).collect()
}

pub(crate) fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// A port that was free a moment ago, for a server that does not tell which one it has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

/// What a program prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
