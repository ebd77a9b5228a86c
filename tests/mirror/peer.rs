//! What examples talk to, in place of the fixed addresses in their text. A template, like `runner.rs`.
//!
//! Everything lives in the example's own process: servers that greet with twenty bytes and then echo, clients that
//! knock until somebody listens, and sources of datagrams. Ports are chosen for the process, paths are in its folder.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

fn serve(mut stream: impl Read + Write) {
    let mut bytes = [0; 128];
    drop(stream.write_all(&[b'.'; 20]));
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        drop(stream.write_all(&bytes[..read]));
    }
}

/// Goes on until `attempt` succeeds.
fn knock(mut attempt: impl FnMut() -> bool + Send + 'static) {
    thread::spawn(move || {
        while !attempt() {
            thread::sleep(Duration::from_millis(1));
        }
    });
}

fn server() -> SocketAddr {
    static HERE: OnceLock<SocketAddr> = OnceLock::new();
    *HERE.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("an address");
        thread::spawn(move || listener.incoming().for_each(|stream| drop(thread::spawn(|| serve(stream.unwrap())))));
        here
    })
}

/// Where a server listens.
pub fn address() -> String {
    server().to_string()
}

/// The port of [`address`].
pub fn port() -> u16 {
    server().port()
}

/// An address of this process alone: below the ports that the system gives out, and found by the process's id.
fn vacant() -> SocketAddr {
    static VACANT: OnceLock<SocketAddr> = OnceLock::new();
    *VACANT.get_or_init(|| {
        let first = 10_000 + (std::process::id() % 20_000) as u16;
        let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
        (first..).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).find(is_free).expect("a free port")
    })
}

/// Where nobody listens yet; the first listener gets one connection.
pub fn knocked() -> String {
    let vacant = vacant();
    knock(move || TcpStream::connect(vacant).is_ok());
    vacant.to_string()
}

/// The port of [`knocked`] and of [`sprinkled`].
pub fn vacant_port() -> u16 {
    vacant().port()
}

/// A name of this process alone, for a socket that has no path.
pub fn name() -> [u8; 4] {
    std::process::id().to_ne_bytes()
}

fn sprinkler() -> SocketAddr {
    static HERE: OnceLock<SocketAddr> = OnceLock::new();
    *HERE.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let here = socket.local_addr().expect("an address");
        knock(move || {
            let _ = socket.send_to(b"greetings", vacant());
            false
        });
        here
    })
}

/// Where nobody is bound yet; the first socket gets datagrams from [`source`].
pub fn sprinkled() -> String {
    sprinkler();
    vacant().to_string()
}

/// Where the datagrams come from.
pub fn source() -> String {
    sprinkler().to_string()
}

/// The path where a server listens.
pub fn path() -> &'static str {
    static HERE: OnceLock<()> = OnceLock::new();
    HERE.get_or_init(|| {
        let listener = UnixListener::bind("server").expect("an empty folder");
        thread::spawn(move || listener.incoming().for_each(|stream| drop(thread::spawn(|| serve(stream.unwrap())))));
    });
    "server"
}

/// A path where a server listens that says no more than its greeting.
pub fn curt_path() -> &'static str {
    let listener = UnixListener::bind("curt").expect("an empty folder");
    let greet = |mut stream: UnixStream| {
        let _ = stream.write_all(&[b'.'; 20]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.read_to_end(&mut Vec::new());
    };
    thread::spawn(move || listener.incoming().for_each(|stream| greet(stream.unwrap())));
    "curt"
}

/// A path where nobody listens yet; the first listener gets one connection.
pub fn knocked_path() -> &'static str {
    knock(|| UnixStream::connect("knocked").is_ok());
    "knocked"
}

/// A path where nobody is bound yet; the first socket gets datagrams.
pub fn sprinkled_path() -> &'static str {
    knock(|| {
        let socket = UnixDatagram::unbound().expect("a socket");
        let _ = socket.set_write_timeout(Some(Duration::from_millis(10)));
        let _ = socket.send_to(b"greetings", "sprinkled");
        false
    });
    "sprinkled"
}

/// A path where datagrams are taken.
pub fn sink_path() -> &'static str {
    let socket = UnixDatagram::bind("sink").expect("an empty folder");
    thread::spawn(move || while socket.recv(&mut [0; 100]).is_ok() {});
    "sink"
}
