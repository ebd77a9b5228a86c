//! What is measured of one server: the clients are one thread and one epoll set.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::process::Server;
use crate::serve::{self, ANSWER, REQUEST, run_on};

/// One round of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// With 64 connections, and with 1,000.
    pub(crate) request_us: [f64; 2],
    /// The same with the clients on the server's processor: then the server finds a request of each connection whenever it runs, and
    /// never sleeps with some answered and some on their way.
    pub(crate) crowded_us: [f64; 2],
    /// Until all are served, as the clients see it: their own part is in it.
    pub(crate) accept_ms: f64,
    /// Of the server's processor time, for each of them.
    pub(crate) accept_us: f64,
    pub(crate) idle_bytes: f64,
    /// With 16 KiB for each thread of the kernel.
    pub(crate) idle_bytes_with_stacks: f64,
}

const CONNECTIONS: [usize; 2] = [64, 1000];
/// How many new connections are under way at a time.
const AT_ONCE: usize = 64;
/// The stack that x86_64's kernel gives a thread.
const KERNEL_STACK: f64 = 16.0 * 1024.0;
/// The processor of the clients.
const PROCESSOR: usize = 1;

/// Measures a server of this kind under load for so long, and with so many connections that are idle.
pub(crate) fn measure(kind: &str, time: Duration, many: usize) -> io::Result<Figures> {
    run_on(PROCESSOR)?;
    let mut figures = Figures::default();
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        let server = Server::start(kind)?;
        let mut clients = open(&server, connections)?;
        figures.request_us[at] = request_us(&server, &mut clients, time)?;
        run_on(serve::PROCESSOR)?;
        figures.crowded_us[at] = request_us(&server, &mut clients, time)?;
        run_on(PROCESSOR)?;
    }
    let server = Server::start(kind)?;
    // What the first connections make it allocate once is not theirs.
    let _first = open(&server, AT_ONCE)?;
    let (memory, threads) = (server.memory()?, server.threads()?);
    let (begun, before) = (Instant::now(), server.cpu_us()?);
    let held = open(&server, many)?;
    figures.accept_ms = begun.elapsed().as_secs_f64() * 1e3;
    figures.accept_us = (server.cpu_us()? - before) / held.len() as f64;
    figures.idle_bytes = (server.memory()? - memory) / held.len() as f64;
    let stacks = server.threads()?.saturating_sub(threads) as f64 * KERNEL_STACK;
    figures.idle_bytes_with_stacks = figures.idle_bytes + stacks / held.len() as f64;
    Ok(figures)
}

/// The server's processor time for each request, in microseconds.
fn request_us(server: &Server, clients: &mut [TcpStream], time: Duration) -> io::Result<f64> {
    drive(clients, time / 5)?;
    let before = server.cpu_us()?;
    let answered = drive(clients, time)?;
    Ok((server.cpu_us()? - before) / answered as f64)
}

/// Opens so many connections, each of which is served once.
fn open(server: &Server, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(count);
    while held.len() < count {
        let begun = held.len();
        for _ in 0..AT_ONCE.min(count - begun) {
            let mut stream = TcpStream::connect(server.address)?;
            stream.set_nodelay(true)?;
            stream.write_all(REQUEST)?;
            held.push(stream);
        }
        for mut stream in &held[begun..] {
            stream.read_exact(&mut [0; ANSWER.len()])?;
        }
    }
    Ok(held)
}

/// Keeps one request in flight on each connection for so long, and returns how many were answered.
fn drive(clients: &mut [TcpStream], time: Duration) -> io::Result<u64> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, client) in clients.iter_mut().enumerate() {
        epoll::add(&set, &*client, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        client.write_all(REQUEST)?;
    }
    let (begun, mut answered, mut answer) = (Instant::now(), 0, [0; ANSWER.len()]);
    let mut events = Vec::with_capacity(clients.len());
    // At the end, the requests in flight are still answered.
    let mut in_flight = clients.len();
    while in_flight > 0 {
        events.clear();
        epoll::wait(&set, rustix::buffer::spare_capacity(&mut events), None)?;
        let is_over = begun.elapsed() >= time;
        for event in &events {
            let client = &mut clients[event.data.u64() as usize];
            client.read_exact(&mut answer)?;
            answered += 1;
            if is_over {
                in_flight -= 1;
            } else {
                client.write_all(REQUEST)?;
            }
        }
    }
    Ok(answered)
}
