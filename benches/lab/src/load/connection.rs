//! One connection of the load generator: requests out, answers in, over abaca's blocking sockets.

use std::io::{Read, Write};
use std::time::Duration;

use abaca::net::TcpStream;

use super::plan::{Plan, Protocol, Target};

/// How long a connection may take to be established.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request has no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Broken,
    Status,
}

/// A connection that is opened when it is needed.
pub(super) struct Connection<'a> {
    target: &'a Target,
    protocol: Protocol,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// The bytes of a request for `path`.
pub(super) fn request(plan: &Plan, path: &str) -> Vec<u8> {
    if let Protocol::Echo(bytes) = plan.protocol {
        return vec![b'e'; bytes];
    }
    let connection = if plan.keep_alive { "" } else { "Connection: close\r\n" };
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{connection}\r\n", plan.target.address).into_bytes()
}

impl<'a> Connection<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { target: &plan.target, protocol: plan.protocol, stream: None, buffer: vec![0; 1024] }
    }

    /// Connects, unless it is connected.
    pub(super) fn connect(&mut self) -> Result<(), Failure> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.target.address, CONNECT_TIMEOUT);
            let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
            self.stream = Some(stream.map_err(|_| Failure::Connect)?);
        }
        Ok(())
    }

    /// Sends the request and reads the whole answer. A connection that fails, or ends with the answer, is closed.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.connect()?;
        let mut stream = self.stream.take().expect("it is connected");
        stream.write_all(request).map_err(|_| Failure::Broken)?;
        if let Protocol::Echo(bytes) = self.protocol {
            self.buffer.resize(bytes, 0);
            stream.read_exact(&mut self.buffer).map_err(|_| Failure::Broken)?;
            self.stream = Some(stream);
            return if self.buffer == request { Ok(()) } else { Err(Failure::Status) };
        }
        let answer = self.read_answer(&mut stream)?;
        if !answer.closes {
            self.stream = Some(stream);
        }
        if answer.status == 200 { Ok(()) } else { Err(Failure::Status) }
    }

    fn read_answer(&mut self, stream: &mut TcpStream) -> Result<Answer, Failure> {
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            match stream.read(&mut self.buffer[filled..]) {
                Ok(0) | Err(_) => return Err(Failure::Broken),
                Ok(length) => filled += length,
            }
            if let Some(answer) = Answer::parse(&self.buffer[..filled])?
                && filled >= answer.bytes
            {
                return Ok(answer);
            }
        }
    }
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Of head and body.
    bytes: usize,
    closes: bool,
}

/// An answer of more bytes than this is none of the service.
const MAX_ANSWER_BYTES: usize = 16 << 20;

impl Answer {
    /// `None` while the head is not complete. An answer must tell its length.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let head_bytes = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Failure::Status),
        };
        let mut body_bytes: Option<usize> = None;
        let mut closes = head.version == Some(0);
        for header in head.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                body_bytes = std::str::from_utf8(header.value).ok().and_then(|value| value.parse().ok());
            } else if header.name.eq_ignore_ascii_case("connection") {
                closes = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        match (head.code, body_bytes) {
            (Some(status), Some(body)) if body < MAX_ANSWER_BYTES => {
                Ok(Some(Self { status, bytes: head_bytes + body, closes }))
            }
            _ => Err(Failure::Status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_length_and_whether_it_is_the_last() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(Answer::parse(&whole[..20]), Ok(None));
        assert_eq!(Answer::parse(whole), Ok(Some(Answer { status: 200, bytes: whole.len(), closes: false })));
        let last = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: CLOSE\r\n\r\n";
        let answer = Answer::parse(last).expect("an answer").expect("whole");
        assert!(answer.closes && answer.status == 404);
        assert_eq!(Answer::parse(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Failure::Status));
        assert_eq!(Answer::parse(b"hello?\r\n\r\n"), Err(Failure::Status));
    }
}
