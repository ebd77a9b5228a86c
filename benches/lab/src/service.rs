//! The service that every model serves, without its I/O: requests in, answers and waits out.
//!
//! `GET /` answers at once. `GET /work?cpu_us=C&wait_ms=W` uses C microseconds of CPU, waits W milliseconds for the
//! backend, and answers. HTTP/1.1 with keep-alive and pipelining; HTTP/1.0 and `Connection: close` end the connection
//! after the answer; what is no request gets 400 and ends it too.
//!
//! A [`Conversation`] is one connection's part of it. It performs no I/O, so that a model decides how to wait:
//!
//! 1. call [`step`](Conversation::step),
//! 2. send all of [`output`](Conversation::output), then [`sent`](Conversation::sent),
//! 3. do what the step says, and begin again.

use std::time::Duration;

use crate::busy_loop::BusyLoop;

/// The answer to each good request.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const OK_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
                          Connection: close\r\n\r\nHello, world!";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const NOT_FOUND_CLOSE: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Bytes of the buffer that a connection reads into at first.
const INPUT_BYTES: usize = 1024;

/// Bytes of the longest request head.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most work that one request may ask for.
const MAX_CPU: Duration = Duration::from_secs(10);
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    target: Target,
    /// Whether the connection ends with the answer.
    close: bool,
}

/// What a target stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Use the CPU for a time, wait for the backend for a time, and answer.
    Work { cpu: Duration, wait: Duration },
    /// What is not there.
    Nothing,
}

impl Request {
    fn answer(self) -> &'static [u8] {
        match (self.target, self.close) {
            (Target::Work { .. }, false) => OK,
            (Target::Work { .. }, true) => OK_CLOSE,
            (Target::Nothing, false) => NOT_FOUND,
            (Target::Nothing, true) => NOT_FOUND_CLOSE,
        }
    }
}

/// What is not a request of this service.
pub(crate) struct Garbage;

/// The request at the beginning of `bytes` and its length; `None` while its end has not come.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Garbage> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        _ => return Err(Garbage),
    };
    let mut close = head.version == Some(0);
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close") {
            close = true;
        }
        // No request of this service has a body, and to mistake one for the next request would be worse.
        if header.name.eq_ignore_ascii_case("content-length") && header.value != b"0"
            || header.name.eq_ignore_ascii_case("transfer-encoding")
        {
            return Err(Garbage);
        }
    }
    if head.method != Some("GET") {
        return Err(Garbage);
    }
    let target = target(head.path.unwrap_or_default())?;
    Ok(Some((Request { target, close }, length)))
}

/// What a path with its query asks for.
pub(crate) fn target(path: &str) -> Result<Target, Garbage> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (mut cpu, mut wait) = (Duration::ZERO, Duration::ZERO);
    match path {
        "/" => return Ok(Target::Work { cpu, wait }),
        "/work" => {}
        _ => return Ok(Target::Nothing),
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(Garbage)?;
        let value: u32 = value.parse().map_err(|_| Garbage)?;
        match name {
            "cpu_us" => cpu = Duration::from_micros(value.into()),
            "wait_ms" => wait = Duration::from_millis(value.into()),
            _ => return Err(Garbage),
        }
    }
    if cpu > MAX_CPU || wait > MAX_WAIT { Err(Garbage) } else { Ok(Target::Work { cpu, wait }) }
}

/// What a connection does next, once its output is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read into [`Conversation::room`] and tell [`Conversation::received`]; at the end of the stream, close.
    Read,
    /// Wait for the backend: send it [`question`] and read its [`ANSWER`].
    Wait(Duration),
    /// Close the connection.
    Close,
}

/// What a model sends to the backend to be answered after `wait`.
#[must_use]
pub fn question(wait: Duration) -> String {
    format!("{}\n", wait.as_millis())
}

/// The backend's answer.
pub const ANSWER: &[u8] = b".";

/// One connection's part of the service.
#[derive(Debug)]
pub struct Conversation {
    busy_loop: BusyLoop,
    input: Vec<u8>,
    /// Bytes of `input` that were received and are not yet parsed: they begin at `parsed` and end at `filled`.
    parsed: usize,
    filled: usize,
    output: Vec<u8>,
    /// The request whose answer waits for the backend.
    waiting: Option<Request>,
    closing: bool,
}

impl Conversation {
    /// Begins a conversation, whose requests use the CPU by `busy_loop`.
    #[must_use]
    pub fn new(busy_loop: BusyLoop) -> Self {
        let input = vec![0; INPUT_BYTES];
        Self { busy_loop, input, parsed: 0, filled: 0, output: Vec::new(), waiting: None, closing: false }
    }

    /// The CPU time that the next request asks for; zero if it has not come, or is none. For a model that wants to know before
    /// [`step`](Self::step) takes it.
    #[must_use]
    pub fn next_work(&self) -> Duration {
        match parse(&self.input[self.parsed..self.filled]) {
            Ok(Some((Request { target: Target::Work { cpu, .. }, .. }, _))) => cpu,
            _ => Duration::ZERO,
        }
    }

    /// Goes on as far as it can without I/O, and uses the CPU time that requests ask for.
    pub fn step(&mut self) -> Step {
        if let Some(request) = self.waiting.take() {
            self.answer(request);
        }
        while !self.closing {
            match parse(&self.input[self.parsed..self.filled]) {
                Ok(Some((request, length))) => {
                    self.parsed += length;
                    if let Some(wait) = self.work(request) {
                        return Step::Wait(wait);
                    }
                }
                Ok(None) => {
                    self.make_room();
                    return Step::Read;
                }
                Err(Garbage) => {
                    self.output.extend_from_slice(BAD_REQUEST);
                    self.closing = true;
                }
            }
        }
        Step::Close
    }

    /// Burns a request's CPU time; answers it unless it has to wait first.
    fn work(&mut self, request: Request) -> Option<Duration> {
        if let Target::Work { cpu, wait } = request.target {
            if !cpu.is_zero() {
                self.busy_loop.spend(cpu);
            }
            if !wait.is_zero() {
                self.waiting = Some(request);
                return Some(wait);
            }
        }
        self.answer(request);
        None
    }

    fn answer(&mut self, request: Request) {
        self.output.extend_from_slice(request.answer());
        self.closing = request.close;
    }

    /// Moves the beginning of a request to the front, and grows the buffer if it is full.
    fn make_room(&mut self) {
        self.input.copy_within(self.parsed..self.filled, 0);
        self.filled -= self.parsed;
        self.parsed = 0;
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
    }

    /// Where to read to. Never empty after [`Step::Read`].
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.input[self.filled..]
    }

    /// Tells how many bytes were read into [`room`](Self::room).
    pub fn received(&mut self, length: usize) {
        self.filled += length;
        assert!(self.filled <= self.input.len(), "more was received than there was room for");
    }

    /// What is to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Tells that the first `length` bytes of the output were sent.
    pub fn sent(&mut self, length: usize) {
        if length == self.output.len() {
            self.output.clear();
        } else {
            self.output.drain(..length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a conversation says to `bytes` that come `at_once` at a time.
    fn answers(bytes: &[u8], at_once: usize) -> (String, Vec<Step>) {
        let mut conversation = Conversation::new(BusyLoop { iterations_per_us: 1.0 });
        let (mut said, mut steps, mut rest) = (Vec::new(), Vec::new(), bytes);
        loop {
            let step = conversation.step();
            said.extend_from_slice(conversation.output());
            conversation.sent(conversation.output().len());
            steps.push(step);
            if step == Step::Close || step == Step::Read && rest.is_empty() {
                return (String::from_utf8(said).expect("text"), steps);
            }
            if step == Step::Read {
                let length = rest.len().min(at_once).min(conversation.room().len());
                conversation.room()[..length].copy_from_slice(&rest[..length]);
                conversation.received(length);
                rest = &rest[length..];
            }
        }
    }

    #[test]
    fn split_and_pipelined_requests_get_the_same_answers() {
        let requests =
            b"GET / HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\nA: b\r\n\r\nGET /work?cpu_us=2 HTTP/1.1\r\n\r\n";
        let (whole, _) = answers(requests, usize::MAX);
        assert_eq!(whole.matches("200 OK").count(), 2);
        assert_eq!(whole.matches("404 Not Found").count(), 1);
        for at_once in [1, 7, 50] {
            assert_eq!(answers(requests, at_once).0, whole);
        }
    }

    #[test]
    fn a_wait_comes_before_its_answer_and_after_the_answers_before_it() {
        let (said, steps) = answers(b"GET / HTTP/1.1\r\n\r\nGET /work?wait_ms=30 HTTP/1.1\r\n\r\n", 1000);
        assert_eq!(said.matches("200 OK").count(), 2);
        assert_eq!(steps, [Step::Read, Step::Wait(Duration::from_millis(30)), Step::Read]);
        assert_eq!(question(Duration::from_millis(30)), "30\n");
    }

    #[test]
    fn what_the_next_request_asks_for_is_known_before_it_is_taken() {
        let mut conversation = Conversation::new(BusyLoop { iterations_per_us: 1.0 });
        for (request, expected) in [("/", 0), ("/work?cpu_us=7", 7), ("/none", 0)] {
            assert_eq!(conversation.next_work(), Duration::ZERO);
            let bytes = format!("GET {request} HTTP/1.1\r\n\r\n");
            conversation.room()[..bytes.len()].copy_from_slice(bytes.as_bytes());
            conversation.received(bytes.len());
            assert_eq!(conversation.next_work(), Duration::from_micros(expected));
            assert_eq!(conversation.step(), Step::Read);
        }
    }

    #[test]
    fn the_end_is_told_and_kept() {
        for last in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n"] {
            let (said, steps) = answers(format!("{last}GET / HTTP/1.1\r\n\r\n").as_bytes(), 1000);
            assert_eq!(said.matches("200 OK").count(), 1);
            assert!(said.contains("Connection: close"));
            assert_eq!(steps.last(), Some(&Step::Close));
        }
    }

    #[test]
    fn garbage_gets_400_and_the_end() {
        let endless = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD_BYTES));
        for garbage in [
            "what?\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "GET /work?cpu_us=-1 HTTP/1.1\r\n\r\n",
            "GET /work?wait_ms=4000000000 HTTP/1.1\r\n\r\n",
            "GET /work?nap HTTP/1.1\r\n\r\n",
            &endless,
        ] {
            let (said, steps) = answers(garbage.as_bytes(), 100_000);
            assert_eq!(said.matches("HTTP/1.1 400").count(), 1, "{garbage}");
            assert_eq!(steps.last(), Some(&Step::Close));
        }
    }
}
