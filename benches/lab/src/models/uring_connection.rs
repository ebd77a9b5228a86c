//! A connection of the io_uring model: which entry is in flight, and what its completion means.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::{io, mem};

use io_uring::{opcode, squeue::Entry, types::Fd};
use socket2::{SockAddr, Socket, Type};

use super::Options;
use crate::service::{ANSWER, Conversation, Step, question};

/// A connection has one entry in flight, or it is over. While one is, its buffers stay where they are.
pub(super) struct Connection {
    client: TcpStream,
    backend: Option<Socket>,
    backend_address: SockAddr,
    conversation: Conversation,
    answer: [u8; ANSWER.len()],
    point: Point,
}

/// What is in flight.
enum Point {
    Receive,
    /// Sends output; then does what the step says.
    Send(Step),
    /// Connects to the backend; then asks.
    Connect(String),
    Ask(String),
    Hear,
}

impl Connection {
    pub(super) fn new(client: TcpStream, options: &Options) -> Self {
        Self {
            client,
            backend: None,
            backend_address: options.backend.into(),
            conversation: Conversation::new(options.busy_loop),
            answer: [0; ANSWER.len()],
            point: Point::Receive,
        }
    }

    /// The entry that says what is to be done next, without a key.
    pub(super) fn entry(&mut self) -> Entry {
        let client = Fd(self.client.as_raw_fd());
        let backend = Fd(self.backend.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        match &self.point {
            Point::Receive => {
                let room = self.conversation.room();
                opcode::Recv::new(client, room.as_mut_ptr(), room.len() as u32).build()
            }
            Point::Send(_) => send(client, self.conversation.output()),
            Point::Connect(_) => {
                let address = &self.backend_address;
                opcode::Connect::new(backend, address.as_ptr().cast(), address.len()).build()
            }
            Point::Ask(question) => send(backend, question.as_bytes()),
            Point::Hear => opcode::Recv::new(backend, self.answer.as_mut_ptr(), ANSWER.len() as u32).build(),
        }
    }

    /// Goes on with the result of the entry that was in flight. False when the connection is over.
    pub(super) fn complete(&mut self, result: i32) -> bool {
        self.go_on(result).unwrap_or(false)
    }

    fn go_on(&mut self, result: i32) -> io::Result<bool> {
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        let length = result as usize;
        let step = match mem::replace(&mut self.point, Point::Receive) {
            Point::Receive | Point::Hear if length == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Point::Receive => {
                self.conversation.received(length);
                self.conversation.step()
            }
            Point::Hear => self.conversation.step(),
            Point::Send(step) => {
                self.conversation.sent(length);
                step
            }
            Point::Connect(question) => {
                self.point = Point::Ask(question);
                return Ok(true);
            }
            Point::Ask(mut question) => {
                question.drain(..length);
                self.point = if question.is_empty() { Point::Hear } else { Point::Ask(question) };
                return Ok(true);
            }
        };
        self.point = match step {
            _ if !self.conversation.output().is_empty() => Point::Send(step),
            Step::Read => Point::Receive,
            Step::Close => return Ok(false),
            Step::Wait(wait) if self.backend.is_some() => Point::Ask(question(wait)),
            Step::Wait(wait) => {
                let socket = Socket::new(self.backend_address.domain(), Type::STREAM, None)?;
                socket.set_tcp_nodelay(true)?;
                self.backend = Some(socket);
                Point::Connect(question(wait))
            }
        };
        Ok(true)
    }
}

fn send(to: Fd, bytes: &[u8]) -> Entry {
    opcode::Send::new(to, bytes.as_ptr(), bytes.len() as u32).flags(libc::MSG_NOSIGNAL).build()
}
