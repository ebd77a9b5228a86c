//! The delay server: the backend that the models wait for. A line `ms\n` is answered with [`ANSWER`] after that many
//! milliseconds.
//!
//! One thread, one epoll set, one heap of deadlines: less work per request than any model does, so that it is never
//! what a measurement measures. A connection has one line in flight at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::service::ANSWER;

/// The listener's key in the epoll set; connections count from 1.
const LISTENER: u64 = 0;

/// The longest line that is a number.
const LINE_BYTES: usize = 16;

struct Connection {
    stream: TcpStream,
    line: Vec<u8>,
}

struct DelayServer {
    epoll: OwnedFd,
    connections: HashMap<u64, Connection>,
    next_key: u64,
    /// When whom to answer, the earliest first.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
}

/// Serves until the process ends.
///
/// # Errors
///
/// What epoll and the listener say.
pub fn serve(listener: TcpListener) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener.as_fd(), epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut server =
        DelayServer { epoll, connections: HashMap::new(), next_key: 1, deadlines: BinaryHeap::new() };
    let mut events = Vec::with_capacity(1024);
    loop {
        let timeout = server.deadlines.peek().map(|Reverse((at, _))| {
            let rest = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: rest.subsec_nanos().into() }
        });
        events.clear();
        match epoll::wait(&server.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Err(Errno::INTR) => continue,
            waited => waited?,
        };
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(&listener)?,
                key => server.hear(key),
            }
        }
        server.answer_the_due();
    }
}

impl DelayServer {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return crate::models::after_failed_accept(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = epoll::EventData::new_u64(self.next_key);
            epoll::add(&self.epoll, stream.as_fd(), data, epoll::EventFlags::IN)?;
            self.connections.insert(self.next_key, Connection { stream, line: Vec::new() });
            self.next_key += 1;
        }
    }

    fn hear(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        match connection.hear() {
            Ok(Some(delay)) => self.deadlines.push(Reverse((Instant::now() + delay, key))),
            Ok(None) => {}
            // Dropping the stream takes it out of the epoll set.
            Err(_) => drop(self.connections.remove(&key)),
        }
    }

    fn answer_the_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, key))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            // One byte fits into the empty buffer of a socket. Whoever has gone needs no answer.
            let Some(connection) = self.connections.get_mut(&key) else { continue };
            if connection.stream.write_all(ANSWER).is_err() {
                self.connections.remove(&key);
            }
        }
    }
}

impl Connection {
    /// Reads what there is; the delay, if that ends a line.
    fn hear(&mut self) -> io::Result<Option<Duration>> {
        let mut buffer = [0; LINE_BYTES];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        self.line.extend_from_slice(&buffer[..length]);
        if self.line.last() != Some(&b'\n') {
            return if self.line.len() < LINE_BYTES { Ok(None) } else { Err(ErrorKind::InvalidData.into()) };
        }
        let number = std::str::from_utf8(&self.line).ok().and_then(|line| line.trim_end().parse().ok());
        self.line.clear();
        number.map(|ms| Some(Duration::from_millis(ms))).ok_or(ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_delay_is_answered_first_and_no_answer_is_early() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || serve(listener));
        let began = Instant::now();
        let ask = |ms: &str| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(ms.as_bytes()).expect("it reads");
            stream
        };
        let (mut long, mut short) = (ask("60\n"), ask("20\n"));
        short.read_exact(&mut [0; 1]).expect("an answer");
        assert!(began.elapsed() >= Duration::from_millis(20));
        long.set_nonblocking(true).expect("an open socket");
        let early = long.read(&mut [0; 1]);
        assert!(early.is_err() || began.elapsed() >= Duration::from_millis(60));
        long.set_nonblocking(false).expect("an open socket");
        if early.is_err() {
            long.read_exact(&mut [0; 1]).expect("an answer");
        }
        assert!(began.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn nonsense_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || serve(listener));
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"soon\n").expect("it reads");
        assert_eq!(stream.read(&mut [0; 1]).expect("the end"), 0);
    }
}
