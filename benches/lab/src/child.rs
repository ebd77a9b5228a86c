//! Models and delay servers in processes of their own, which never outlive this one.
//!
//! A child is this program with other arguments. It prints the address it listens on as its first line, and serves
//! until it is killed, until its standard input ends, or until the thread that started it ends: so **start children
//! from a thread that lives as long as they should**.
//!
//! A child that does not start, crashes or hangs is a [`StartError`] or a [`Server::failure`] with the child's own
//! words, never a panic.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::models::{Model, Options};

/// How long a child may take to listen. Virtual machines start slowly on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a child that has closed its output may take to exit and be told apart from one that hangs.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a child whose connections have ended may take to end itself.
const ENDING: Duration = Duration::from_millis(200);

/// How much of a child's standard error is kept.
const KEPT_BYTES: usize = 4096;

/// Why a child does not serve.
#[derive(Debug)]
pub enum StartError {
    /// It cannot run here: no such command, or the kernel refuses.
    Unavailable(String),
    /// There is no process for it.
    Spawn(io::Error),
    /// It ended before it listened.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        said: String,
    },
    /// It did not listen within this time.
    Hung(Duration),
    /// Its first line is no address.
    Nonsense(String),
    /// It listens, and gives no answer.
    Mute(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "not available: {why}"),
            Self::Spawn(error) => write!(f, "no process: {error}"),
            Self::Exited { status, said } if said.is_empty() => write!(f, "it ended at once: {status}"),
            Self::Exited { status, said } => write!(f, "it ended at once: {status}: {said}"),
            Self::Hung(after) => write!(f, "it does not listen after {} s", after.as_secs()),
            Self::Nonsense(line) => write!(f, "it printed no address but {line:?}"),
            Self::Mute(why) => write!(f, "it listens, but does not answer: {why}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Starts children.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    start_timeout: Duration,
    /// The CPU of models; all that there are if `None`.
    cpu: Option<usize>,
}

impl Launcher {
    /// Starts children from this very program, which must be `abaca-lab`.
    ///
    /// # Errors
    ///
    /// The path of the program is unknown.
    pub fn of_this_program() -> io::Result<Self> {
        Ok(Self::new(&std::env::current_exe()?))
    }

    /// Starts children from the program `abaca-lab` at this path.
    #[must_use]
    pub fn new(program: &Path) -> Self {
        Self { program: program.into(), start_timeout: START_TIMEOUT, cpu: None }
    }

    /// Another limit of the time that a child may take to listen.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Models that it starts run on this CPU only.
    #[must_use]
    pub fn on_cpu(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Starts a model, and has it answer once: what is another program announces its address before it has started.
    ///
    /// # Errors
    ///
    /// Why it does not serve.
    pub fn model(&self, model: &Model, options: &Options) -> Result<Server, StartError> {
        model.available().map_err(StartError::Unavailable)?;
        let mut command = Command::new(&self.program);
        command.args(["serve", model.name]);
        command.arg(format!("--backend={}", options.backend));
        command.arg(format!("--workers={}", options.workers));
        command.arg(format!("--pool={}", options.pool));
        command.arg(format!("--iterations-per-us={}", options.busy_loop.iterations_per_us));
        command.args(self.cpu.map(|cpu| format!("--cpu={cpu}")));
        self.start_and_ask(command)
    }

    /// Starts `command`, which prints an address and serves, and waits for its first answer.
    ///
    /// # Errors
    ///
    /// Why it does not serve.
    pub fn start_and_ask(&self, command: Command) -> Result<Server, StartError> {
        let mut server = self.start(command)?;
        let mut answer = ask(server.address, self.start_timeout);
        // One that binds a listener of its own may not have it yet, or have let go of the one that took this connection.
        if answer.as_ref().is_err_and(has_met_nobody) && server.wait(ENDING).is_none() {
            answer = ask(server.address, self.start_timeout);
        }
        match answer {
            Ok(answer) if !answer.is_empty() => Ok(server),
            Ok(_) => Err(StartError::Mute(server.last_failure("it closed the connection"))),
            Err(error) => Err(StartError::Mute(server.last_failure(&error.to_string()))),
        }
    }

    /// Starts a delay server: the backend of the models.
    ///
    /// # Errors
    ///
    /// Why it does not serve.
    pub fn delay_server(&self) -> Result<Server, StartError> {
        let mut command = Command::new(&self.program);
        command.arg("delay");
        self.start(command)
    }

    /// Starts `command`, which prints an address and serves.
    ///
    /// # Errors
    ///
    /// Why it does not serve.
    pub fn start(&self, mut command: Command) -> Result<Server, StartError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C at the terminal goes to a whole process group: it shall end the run, and not the model that is measured.
        command.process_group(0);
        match self.start_once(&mut command) {
            // A child is of its parent's group for a moment, and a Ctrl-C that falls into it was meant for the parent.
            Err(StartError::Exited { status, .. }) if status.signal() == Some(Signal::INT.as_raw()) => {
                self.start_once(&mut command)
            }
            outcome => outcome,
        }
    }

    fn start_once(&self, command: &mut Command) -> Result<Server, StartError> {
        let mut child = command.spawn().map_err(StartError::Spawn)?;
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let said = Arc::default();
        let hearing = keep_end_of(child.stderr.take().expect("it is piped"), Arc::clone(&said));
        // From here on, dropping it kills the child.
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Server { child, _input: input, address: unspecified, said, hearing };
        match first_line(output).recv_timeout(self.start_timeout) {
            Ok(line) => {
                server.address = line.trim().parse().map_err(|_| StartError::Nonsense(line))?;
                Ok(server)
            }
            Err(RecvTimeoutError::Timeout) => Err(StartError::Hung(self.start_timeout)),
            // Its output has ended without a line.
            Err(RecvTimeoutError::Disconnected) => match server.wait(EXIT_TIMEOUT) {
                Some(status) => Err(StartError::Exited { status, said: server.last_words() }),
                None => Err(StartError::Hung(EXIT_TIMEOUT)),
            },
        }
    }
}

/// Asks for the first page on a connection of its own; the beginning of what comes back.
fn ask(address: SocketAddr, timeout: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n")?;
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

fn has_met_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// Sends the first line of `output` when it comes. Then reads on, so that a child that prints more never blocks.
fn first_line(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        if output.read_line(&mut line).is_ok_and(|length| length > 0) {
            let _ = sender.send(line);
        }
        drop(sender);
        let _ = io::copy(&mut output, &mut io::sink());
    });
    receiver
}

/// Keeps the end of `errors` in `said`.
fn keep_end_of(mut errors: impl Read + Send + 'static, said: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok(length @ 1..) = errors.read(&mut buffer) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(&buffer[..length]);
            let surplus = said.len().saturating_sub(KEPT_BYTES);
            said.drain(..surplus);
        }
    })
}

/// A child that serves. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its end tells the child that this process is gone.
    _input: ChildStdin,
    address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
    /// Ends when standard error does.
    hearing: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process. Models may have more: see [`processes`](Self::processes).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process and all that descend from it.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.pid()];
        let mut next = 0;
        while let Some(pid) = found.get(next) {
            found.extend(children_of(*pid));
            next += 1;
        }
        found
    }

    /// How it has ended, in words, if it has: a model that crashed.
    pub fn failure(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let said = self.last_words();
        Some(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") })
    }

    /// How it has ended, if it does so at once, or else `why`.
    fn last_failure(&mut self, why: &str) -> String {
        self.wait(ENDING).and_then(|_status| self.failure()).unwrap_or_else(|| why.to_owned())
    }

    /// The end of what it wrote to standard error.
    #[must_use]
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// What a child that has ended wrote, which may still be on its way. A process that it left behind may keep its
    /// standard error open, so the wait has an end.
    fn last_words(&self) -> String {
        let until = Instant::now() + EXIT_TIMEOUT;
        while !self.hearing.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        self.said()
    }

    fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + timeout;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let children = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("children")));
    let children: String = children.map(Result::unwrap_or_default).collect();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Starts a delay server that ends when this process does, whatever it becomes by exec(2), or with the standard input that
/// they share. For models that are served by hand.
///
/// # Errors
///
/// There is no process for it, or it does not say where it listens.
pub fn delay_server_beside() -> io::Result<SocketAddr> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg("delay").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
    line.trim().parse().map_err(io::Error::other)
}

/// Ties this process to its parent: it ends when the parent's thread that started it ends, or when its standard input
/// does.
pub fn end_with_parent() {
    // The end of standard input does the same.
    end_with_starter();
    thread::spawn(|| {
        // An error is no end: a process that is about to become another program has a listener there.
        if io::copy(&mut io::stdin(), &mut io::sink()).is_ok() {
            std::process::exit(0);
        }
    });
}

/// Ties this process to the thread of its parent that started it.
pub fn end_with_starter() {
    // Fails on no Linux.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}
