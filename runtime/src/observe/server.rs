//! The server behind [`runtime::Builder::observe_at`](crate::runtime::Builder::observe_at): it tells clients of the same user what the
//! runtime does.
//!
//! A client sends a line, and gets a line `ok LENGTH` and so many bytes, or a line `error TEXT`. The requests:
//!
//! | line | answer |
//! |---|---|
//! | `metrics` | [`Metrics::to_json`](super::Metrics::to_json) |
//! | `dump` | [`Dump::to_json`](super::Dump::to_json), of all runtimes of the process |
//! | `dump text` | the same as text |
//! | `leaks` | the text of [`leaks`](fn@super::leaks) |
//! | `recording html`, `recording perfetto` | the two forms of a [`Recording`] |
//!
//! The server and each client have a plain thread. None of them is on the way of a fiber: a client that stops reading holds up its
//! own thread, for five seconds, and is then left. If all places are taken, one that has asked nothing for half a minute gives its place to
//! the next that comes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::flight::Recording;
use super::{Metrics, dump, leaks};
use crate::os::private_socket::{PrivateSocket, Quiet};
use crate::os::service;
use crate::scheduler::Shared;

/// How many clients are served at once; more are turned away.
const MOST_CLIENTS: usize = 8;

/// How long a client may ask nothing while another one waits for its place.
const MOST_IDLE: Duration = Duration::from_secs(30);

/// How long a client may not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request.
const LONGEST: u64 = 256;

/// A server of one runtime; dropping it ends it.
pub(crate) struct Server {
    socket: Arc<PrivateSocket>,
    clients: Arc<Clients>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clients(Mutex<Vec<Client>>);

struct Client {
    stream: UnixStream,
    thread: JoinHandle<()>,
    busy: Arc<Busy>,
}

impl Client {
    /// Ends its connection, and waits for the end of its thread.
    fn end(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.join();
    }
}

/// When a client was last seen to do something.
struct Busy(Mutex<Instant>);

impl Busy {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Vec<Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for one more client. Returns whether there is.
    fn make_room(all: &mut Vec<Client>, most_idle: Duration) -> bool {
        all.retain(|client| !client.thread.is_finished());
        if all.len() < MOST_CLIENTS {
            return true;
        }
        let idlest = (0..all.len()).min_by_key(|index| all[*index].busy.last());
        match idlest.filter(|index| all[*index].busy.last().elapsed() >= most_idle) {
            Some(index) => {
                all.swap_remove(index).end();
                true
            }
            None => false,
        }
    }
}

impl Server {
    /// Serves the runtime at `path`.
    pub(crate) fn start(path: &Path, shared: Weak<Shared>) -> io::Result<Self> {
        Self::start_with(path, shared, MOST_IDLE)
    }

    fn start_with(path: &Path, shared: Weak<Shared>, most_idle: Duration) -> io::Result<Self> {
        let with_path = |error: io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    ": a file of that name exists, perhaps of another program that listens there"
                }
                _ => "",
            };
            let text = format!("cannot listen at {}: {error}{hint}", path.display());
            io::Error::new(error.kind(), text)
        };
        let socket = Arc::new(PrivateSocket::bind(path).map_err(with_path)?);
        let clients = Arc::new(Clients::default());
        let thread = service::start("abaca-observe".into(), {
            let (socket, clients) = (Arc::clone(&socket), Arc::clone(&clients));
            move || accept(&socket, &clients, &shared, most_idle)
        })?;
        Ok(Self { socket, clients, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.socket.close();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: the process would have ended.
            let _ = thread.join();
        }
        self.clients.lock().drain(..).for_each(Client::end);
    }
}

/// Takes clients until the socket is closed.
fn accept(socket: &PrivateSocket, clients: &Clients, shared: &Weak<Shared>, most_idle: Duration) {
    loop {
        let stream = match socket.accept() {
            Ok(stream) => stream,
            // Closed.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // Out of descriptors, most likely: that may pass.
            Err(_) => {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let mut all = clients.lock();
        if !Clients::make_room(&mut all, most_idle) {
            let _ = write_error(&stream, "too many clients");
            continue;
        }
        let (Ok(theirs), shared) = (stream.try_clone(), shared.clone()) else { continue };
        let busy = Arc::new(Busy(Mutex::new(Instant::now())));
        let seen = Arc::clone(&busy);
        // A client that cannot be served is turned away.
        if let Ok(thread) = service::start("abaca-observe".into(), move || _ = serve(theirs, &shared, &seen))
        {
            all.push(Client { stream, thread, busy });
        }
    }
}

/// Answers one client until it goes.
fn serve(stream: UnixStream, shared: &Weak<Shared>, busy: &Busy) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut requests = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        if requests.by_ref().take(LONGEST).read_line(&mut line)? == 0 {
            return Ok(());
        }
        busy.note();
        let answered = answer(line.trim(), shared);
        // The time that it may take to read this is much shorter than that for which it may be idle.
        busy.note();
        match answered {
            Ok(bytes) => {
                writeln!(Quiet(&stream), "ok {}", bytes.len())?;
                Quiet(&stream).write_all(&bytes)?;
            }
            Err(text) => write_error(&stream, text)?,
        }
    }
}

fn write_error(stream: &UnixStream, text: &str) -> io::Result<()> {
    writeln!(Quiet(stream), "error {text}")
}

fn answer(request: &str, shared: &Weak<Shared>) -> Result<Vec<u8>, &'static str> {
    let shared = shared.upgrade().ok_or("the runtime has ended")?;
    let recording = || Recording::of(&shared).ok_or("the runtime's flight recorder is off");
    let mut bytes = Vec::new();
    match request {
        "metrics" => bytes = Metrics::of(&shared).to_json().into_bytes(),
        "dump" => bytes = dump().to_json().into_bytes(),
        "dump text" => bytes = dump().to_string().into_bytes(),
        "leaks" => bytes = leaks().to_string().into_bytes(),
        "recording html" => recording()?.write_html(&mut bytes).expect("a vector takes all bytes"),
        "recording perfetto" => recording()?.write_perfetto(&mut bytes).expect("a vector takes all bytes"),
        _ => return Err("unknown request"),
    }
    Ok(bytes)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_asks_nothing_gives_its_place_to_who_comes() {
        let path = std::env::temp_dir().join(format!("abaca-idle-{}", std::process::id()));
        let connect = || BufReader::new(UnixStream::connect(&path).unwrap());
        let ask = |client: &mut BufReader<UnixStream>| {
            // It may have been turned away already.
            let _ = client.get_mut().write_all(b"metrics\n");
            let mut line = String::new();
            client.read_line(&mut line).unwrap();
            line
        };
        for (most_idle, answer) in
            [(Duration::ZERO, "error the runtime has ended\n"), (MOST_IDLE, "error too many clients\n")]
        {
            let server = Server::start_with(&path, Weak::new(), most_idle).unwrap();
            let mut all: Vec<_> = (0..MOST_CLIENTS).map(|_| connect()).collect();
            all.iter_mut().for_each(|client| assert_eq!(ask(client), "error the runtime has ended\n"));
            assert_eq!(ask(&mut connect()), answer);
            // It was the first that had been idle for longest.
            let ended = if most_idle.is_zero() { &all[..1] } else { &[] };
            ended.iter().for_each(|client| assert_eq!(client.get_ref().read(&mut [0]).unwrap(), 0));
            drop(server);
        }
    }
}
