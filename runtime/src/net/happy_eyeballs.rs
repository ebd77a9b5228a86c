//! Connecting to the first of several addresses that answers: "happy eyeballs", RFC 8305.
//!
//! One fiber makes all attempts. They are watched by an epoll instance of their own, whose descriptor the fiber waits
//! for; all that is open belongs to the [`Race`], so however it is left, losers are closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::TcpStream;
use super::connect::{is_in_progress, outcome};
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::epoll::{Epoll, EventBuffer};
use crate::poller::Way;

/// How long an attempt has the field for itself: the RFC's Connection Attempt Delay.
const HEAD_START: Duration = Duration::from_millis(250);

/// How many outcomes are looked at together.
const BATCH: usize = 16;

/// The attempts that are under way.
struct Race {
    epoll: Descriptor<Epoll>,
    events: EventBuffer,
    /// By key; `None` once one has failed.
    attempts: Vec<Option<std::net::TcpStream>>,
    running: usize,
    last_error: Option<io::Error>,
}

/// The first stream that is connected.
///
/// # Errors
///
/// The failure that came last, when all have failed; `InvalidInput` without an address.
pub(super) fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut race = Race::new()?;
    let mut waiting = alternating(addresses).into_iter();
    loop {
        let next = waiting.next();
        let has_next = next.is_some();
        if let Some(address) = next
            && let Some(winner) = race.start(address)?
        {
            return race.won_by(winner);
        }
        if race.running == 0 && !has_next {
            let none = || io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses");
            return Err(race.last_error.take().unwrap_or_else(none));
        }
        if race.running > 0 {
            let deadline = (waiting.len() > 0).then(|| Instant::now() + HEAD_START);
            if let Some(winner) = race.wait(deadline)? {
                return race.won_by(winner);
            }
        }
    }
}

impl Race {
    fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Descriptor::new(Epoll::new()?, Kind::Other),
            events: EventBuffer::new(BATCH),
            attempts: Vec::new(),
            running: 0,
            last_error: None,
        })
    }

    /// Starts an attempt; the stream, if it is connected at once.
    fn start(&mut self, address: SocketAddr) -> io::Result<Option<std::net::TcpStream>> {
        let kind = Type::STREAM.nonblocking().cloexec();
        // A family that this machine does not have is an attempt that has failed.
        let socket = match Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP)) {
            Ok(socket) => socket,
            Err(error) => {
                self.last_error = Some(error);
                return Ok(None);
            }
        };
        match socket.connect(&SockAddr::from(address)) {
            Ok(()) => return Ok(Some(socket.into())),
            Err(error) if is_in_progress(&error) => {
                self.epoll.get().add(socket.as_fd(), self.attempts.len() as u64)?;
                self.attempts.push(Some(socket.into()));
                self.running += 1;
            }
            Err(error) => self.last_error = Some(error),
        }
        Ok(None)
    }

    /// Waits until an attempt has come to its end, or until `deadline`; the stream, if it is connected.
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<std::net::TcpStream>> {
        let mut keys = Vec::new();
        let (epoll, events) = (&self.epoll, &mut self.events);
        let look =
            |epoll: &Epoll| match epoll.wait(events, Some(Duration::ZERO), |event| keys.push(event.key))? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            };
        match epoll.retry(Way::Read, Reason::Connect, deadline, look, |_| false) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        for key in keys {
            let attempt = &mut self.attempts[usize::try_from(key).expect("keys are indices")];
            match attempt.as_ref().map(outcome) {
                Some(Ok(())) => return Ok(attempt.take()),
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.last_error = Some(error);
                    self.running -= 1;
                    *attempt = None;
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn won_by(self, winner: std::net::TcpStream) -> io::Result<TcpStream> {
        drop(self);
        // From here on each call says that it must not block; see `TcpStream`.
        winner.set_nonblocking(false)?;
        Ok(TcpStream::fresh(winner))
    }
}

/// The addresses with the families in turns, beginning with that of the first; within a family in their order.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return addresses };
    let is_v6 = first.is_ipv6();
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_v6);
    let mut order = Vec::with_capacity(preferred.len() + other.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let before = order.len();
        order.extend(preferred.next());
        order.extend(other.next());
        if order.len() == before {
            return order;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let order = |texts: &[&str]| {
            let addresses = texts.iter().map(|text| text.parse().unwrap()).collect();
            alternating(addresses).into_iter().map(|address| address.to_string()).collect::<Vec<_>>()
        };
        let mixed = ["[::1]:1", "[::1]:2", "[::1]:3", "127.0.0.1:4", "127.0.0.1:5"];
        assert_eq!(order(&mixed), ["[::1]:1", "127.0.0.1:4", "[::1]:2", "127.0.0.1:5", "[::1]:3"]);
        assert_eq!(order(&["127.0.0.1:1", "[::1]:2", "[::1]:3"]), ["127.0.0.1:1", "[::1]:2", "[::1]:3"]);
        assert_eq!(order(&["[::1]:1", "[::1]:2"]), ["[::1]:1", "[::1]:2"]);
        assert!(order(&[]).is_empty());
    }
}
