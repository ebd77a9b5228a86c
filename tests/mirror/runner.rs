//! The program that plays one example: `play NUMBER fiber|thread`. A template; `stage.rs` writes the examples beside it.
//!
//! It ends with the example's own exit code, with 101 when the example panics, and with 75 when it does not end.

#![allow(warnings)]

mod examples;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// How long an example may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(25);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let number: usize = arguments.next().expect("a number").parse().expect("a number");
    let place = arguments.next().expect("a place");
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("did not end in {PATIENCE:?}");
        std::process::exit(75);
    });
    let (_, play) = *examples::ALL.iter().find(|(known, _)| *known == number).expect("an example of that number");
    match place.as_str() {
        "fiber" => abaca::run(play),
        "thread" => play(),
        place => panic!("{place}: play in a fiber or in a thread"),
    }
}

/// What examples talk to instead of the fixed addresses in their text.
pub mod peer {
    use super::*;

    fn here() -> SocketAddr {
        static HERE: OnceLock<SocketAddr> = OnceLock::new();
        *HERE.get_or_init(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let here = listener.local_addr().expect("an address");
            thread::spawn(move || listener.incoming().for_each(|stream| drop(thread::spawn(|| serve(stream)))));
            here
        })
    }

    /// Greets with twenty bytes, then echoes.
    fn serve(stream: std::io::Result<TcpStream>) {
        let mut stream = stream.expect("a stream");
        let mut bytes = [0; 128];
        drop(stream.write_all(&[b'.'; 20]));
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            drop(stream.write_all(&bytes[..read]));
        }
    }

    /// Where a server listens.
    pub fn address() -> String {
        here().to_string()
    }

    /// The port of [`address`].
    pub fn port() -> u16 {
        here().port()
    }

    fn vacant() -> SocketAddr {
        static VACANT: OnceLock<SocketAddr> = OnceLock::new();
        *VACANT.get_or_init(|| {
            let vacant = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
            thread::spawn(move || {
                while TcpStream::connect(vacant).is_err() {
                    thread::yield_now();
                }
            });
            vacant
        })
    }

    /// Where nobody listens yet; the first listener gets one connection.
    pub fn knocked() -> String {
        vacant().to_string()
    }

    /// The port of [`knocked`].
    pub fn knocked_port() -> u16 {
        vacant().port()
    }
}
