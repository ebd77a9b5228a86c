//! A server that records what arrives and when, for the tests of the load generator.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// What a recording server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicU64,
    arrivals: Mutex<Vec<(Instant, String)>>,
}

impl Seen {
    /// When requests have arrived, the first one first.
    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        let arrivals = self.arrivals.lock().expect("no panic");
        let mut arrivals: Vec<Instant> = arrivals.iter().map(|(at, _path)| *at).collect();
        arrivals.sort_unstable();
        arrivals
    }

    /// What they asked for, in no order.
    #[allow(
        dead_code,
        reason = "each test binary that records compiles this file, and not each asks for the paths"
    )]
    pub(crate) fn paths(&self) -> Vec<String> {
        self.arrivals.lock().expect("no panic").iter().map(|(_at, path)| path.clone()).collect()
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A server that records requests and answers with `answer`, and closes the connection after `requests_each`.
pub(crate) fn record(answer: &'static str, requests_each: usize) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Seen::default());
    let all = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let seen = Arc::clone(&all);
            seen.connections.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                // An answer that waits for the acknowledgement of the one before it would be late by the client's timer.
                let _ = stream.set_nodelay(true);
                let mut lines = BufReader::new(stream.try_clone().expect("an open socket")).lines();
                for _ in 0..requests_each {
                    // "GET / HTTP/1.1", and some more lines: a request ends with an empty one.
                    let Some(Ok(first)) = lines.next() else { return };
                    if !lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()) {
                        return;
                    }
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.arrivals.lock().expect("no panic").push((Instant::now(), path));
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, seen)
}
