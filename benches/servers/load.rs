//! A closed-loop client of an echo server: many connections, one message of 64 bytes in flight on each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::epoll;
use serde::{Deserialize, Serialize};

const MESSAGE: [u8; 64] = [7; 64];

/// What a load has seen, as the line of JSON that the load process prints.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// One connection and when its message went out.
struct Connection {
    stream: TcpStream,
    sent: Instant,
    received: usize,
}

/// Connects, sends one message on each connection (that is the idle state which memory is measured in), says
/// `ready`, waits for a line on standard input, then loads and prints what it saw. It keeps the connections open until
/// standard input ends, so that closing them is no part of the measurement and no thread of the server takes its CPU
/// time with it.
pub(crate) fn run(server: SocketAddr, count: usize, seconds: f64) {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let mut connections: Vec<_> = (0..count)
        .map(|key| {
            let mut stream = TcpStream::connect(server).expect("the server listens");
            stream.set_nodelay(true).expect("an open socket");
            stream.write_all(&MESSAGE).expect("the server reads");
            stream.read_exact(&mut [0; MESSAGE.len()]).expect("the server answers");
            stream.set_nonblocking(true).expect("an open socket");
            let data = epoll::EventData::new_u64(key as u64);
            epoll::add(&poller, stream.as_fd(), data, epoll::EventFlags::IN).expect("an open socket");
            Connection { stream, sent: Instant::now(), received: 0 }
        })
        .collect();
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).expect("the measuring process says when");

    let began = Instant::now();
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds");
    for connection in &mut connections {
        send(connection);
    }
    let mut events = Vec::with_capacity(256);
    let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    while began.elapsed() < Duration::from_secs_f64(seconds) {
        events.clear();
        epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), Some(&second)).expect("epoll_wait");
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            let length = connection.stream.read(&mut [0; MESSAGE.len()]).unwrap_or(0);
            assert!(length > 0, "the server has closed a connection");
            connection.received += length;
            if connection.received == MESSAGE.len() {
                latencies.saturating_record(connection.sent.elapsed().as_nanos() as u64);
                send(connection);
            }
        }
    }
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    let seen = Seen {
        requests: latencies.len(),
        seconds: began.elapsed().as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
    };
    println!("{}", serde_json::to_string(&seen).expect("numbers"));
    std::io::stdin().read_line(&mut String::new()).expect("the measuring process ends it");
}

fn send(connection: &mut Connection) {
    connection.sent = Instant::now();
    connection.received = 0;
    connection.stream.write_all(&MESSAGE).expect("64 bytes fit into a socket's empty buffer");
}
