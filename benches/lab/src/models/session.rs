//! A connection over sockets that do not block: an explicit state machine, which goes on as far as it can and says what
//! it waits for. The models with loops and readiness share it and differ in how they learn of readiness.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Socket, Type};

use super::Options;
use crate::service::{ANSWER, Conversation, Step, question};

/// One of the two descriptors of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Backend,
}

/// What a descriptor is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
}

/// What a session waits for.
pub(super) type Wants = (Side, Way);

/// A connection of a client, and the one to the backend that belongs to it.
#[derive(Debug)]
pub(super) struct Session {
    client: TcpStream,
    backend: Option<TcpStream>,
    backend_address: SocketAddr,
    conversation: Conversation,
    point: Point,
}

/// Where a session is: what it does when it is advanced.
#[derive(Debug)]
enum Point {
    /// Receives requests.
    Receive,
    /// Sends the output, then does what the step says.
    Send(Step),
    /// Sends a question to the backend, of which this is left.
    Ask(String),
    /// Receives the backend's answer.
    Hear,
}

impl Session {
    pub(super) fn new(client: TcpStream, options: &Options) -> Self {
        let conversation = Conversation::new(options.busy_loop);
        Self { client, backend: None, backend_address: options.backend, conversation, point: Point::Receive }
    }

    /// What a new session waits for.
    pub(super) const FIRST: Wants = (Side::Client, Way::Read);

    /// The descriptor of a side. A session waits for its backend only while it has one.
    pub(super) fn descriptor(&self, side: Side) -> BorrowedFd<'_> {
        match (side, &self.backend) {
            (Side::Backend, Some(backend)) => backend.as_fd(),
            _ => self.client.as_fd(),
        }
    }

    /// Goes on as far as it can. `None` when the connection is over, be it by an error.
    pub(super) fn advance(&mut self) -> Option<Wants> {
        self.run().unwrap_or_default()
    }

    /// What comes next is never tried at once after an answer: the client has not seen it yet, so it would be in vain.
    fn run(&mut self) -> io::Result<Option<Wants>> {
        loop {
            match &mut self.point {
                Point::Receive => match unless_it_blocks(self.client.read(self.conversation.room()))? {
                    None => return Ok(Some((Side::Client, Way::Read))),
                    Some(0) => return Ok(None),
                    Some(length) => {
                        self.conversation.received(length);
                        self.point = Point::Send(self.conversation.step());
                    }
                },
                Point::Send(step) => {
                    let step = *step;
                    while !self.conversation.output().is_empty() {
                        match unless_it_blocks(self.client.write(self.conversation.output()))? {
                            None => return Ok(Some((Side::Client, Way::Write))),
                            Some(length) => self.conversation.sent(length),
                        }
                    }
                    match step {
                        Step::Close => return Ok(None),
                        Step::Read => {
                            self.point = Point::Receive;
                            return Ok(Some((Side::Client, Way::Read)));
                        }
                        Step::Wait(wait) => self.point = Point::Ask(question(wait)),
                    }
                }
                Point::Ask(question) => {
                    let backend = match &mut self.backend {
                        Some(backend) => backend,
                        none => none.insert(connect(self.backend_address)?),
                    };
                    match unless_it_blocks(backend.write(question.as_bytes()))? {
                        None => return Ok(Some((Side::Backend, Way::Write))),
                        Some(length) => drop(question.drain(..length)),
                    }
                    if question.is_empty() {
                        self.point = Point::Hear;
                        return Ok(Some((Side::Backend, Way::Read)));
                    }
                }
                Point::Hear => {
                    let backend = self.backend.as_mut().ok_or(ErrorKind::NotConnected)?;
                    match unless_it_blocks(backend.read(&mut [0; ANSWER.len()]))? {
                        None => return Ok(Some((Side::Backend, Way::Read))),
                        Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                        Some(_) => self.point = Point::Send(self.conversation.step()),
                    }
                }
            }
        }
    }
}

/// `None` for a call that would have blocked.
pub(super) fn unless_it_blocks<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins to connect. Until that is done, writing would block.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        _ => {
            socket.set_tcp_nodelay(true)?;
            Ok(socket.into())
        }
    }
}

/// The next connection of a listener that does not block; `None` if there is none.
pub(super) fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match unless_it_blocks(listener.accept()) {
        Ok(Some((client, _))) => {
            client.set_nonblocking(true)?;
            client.set_nodelay(true)?;
            Ok(Some(client))
        }
        Ok(None) => Ok(None),
        Err(error) => super::after_failed_accept(error).map(|()| None),
    }
}
