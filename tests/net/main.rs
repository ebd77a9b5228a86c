//! Sockets and pollable descriptors: against std's sockets on plain threads as peers, and (`mirror`) by what the same
//! code observes on either.

mod accept;
mod bodies;
mod cancel;
mod closing;
mod connect;
mod conversions;
mod convert;
mod copy;
mod copy_fd;
mod copy_steps;
mod drain;
mod kinds;
mod line;
mod lossless;
mod mirror;
mod placement;
mod pollable;
mod property;
mod random;
#[path = "../transparent/descriptors/room.rs"]
mod room;
mod runtimes;
mod serve;
mod sharing;
mod stream;
mod stress;
mod unix;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use socket2::{Domain, Socket, Type};

/// A connected pair on loopback: a fiber's stream, and its peer, std's.
fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// A bound socket that does not listen, and its address: connections are refused there for as long as it lives, since
/// nobody else gets the port.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A listener whose queue is full, so that a connect waits; its address, and the streams that fill it.
fn full() -> (Socket, SocketAddr, Vec<TcpStream>) {
    let (listener, address) = refusing();
    listener.listen(0).unwrap();
    // The kernel completes one connection more than the backlog, however long that takes it, and drops the packets of
    // further ones. Only then does a time that is up tell that the queue is full, and not that the machine is busy.
    let mut queued = vec![TcpStream::connect(address).unwrap()];
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(20)) {
        queued.push(stream);
    }
    (listener, address, queued)
}

/// A loopback address with a free port, of which no other test binds any: a port that is given up is not taken by
/// another test before the one that looks.
fn own_address() -> SocketAddr {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let [.., high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::from(([127, 1, high, low], 0))
}

/// Runs `f` on a plain thread while the calling fiber is parked.
fn on_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = abaca::channel::bounded(1);
    let thread = std::thread::spawn(move || sender.send(f()).map_err(drop).unwrap());
    let result = receiver.recv().expect("the thread does not panic");
    thread.join().unwrap();
    result
}

fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Serves echo on a new listener until the runtime ends.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    abaca::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            abaca::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

/// A folder of this test's own, which is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("abaca-net-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
