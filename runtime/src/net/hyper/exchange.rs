//! Whether an HTTP/1 connection is between two exchanges: the last response was written to its end, and nothing has arrived
//! since.
//!
//! hyper waits to read at all times, to notice when a client goes. So a waiting read and a last write do not show that a
//! response is complete. This parser therefore follows the written bytes: heads, lengths, chunks. In doubt a connection counts
//! as busy: after an upgrade, with HTTP/2, and after bytes that it does not understand.

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Exchange {
    state: State,
    /// The first bytes that arrived since the last exchange.
    request: Vec<u8>,
}

/// The part of a response that is written next.
#[derive(Debug)]
enum State {
    /// The rest of a head; holds the bytes that were written.
    Head(Vec<u8>),
    /// The rest of a body: so many bytes.
    Body(u64),
    /// The rest of the line with a chunk's length; holds the bytes that were written.
    Size(Vec<u8>),
    /// The rest of a chunk and its line break: so many bytes.
    Chunk(u64),
    /// The rest of the lines after the last chunk; holds how many bytes of the current line were written.
    Trailer(usize),
    /// Bytes that are not understood. Final.
    Unknown,
}

/// Enough to tell `HEAD` and the preface of HTTP/2.
const REQUEST_BYTES: usize = 6;

/// A longer head, or line, is not followed.
const MOST_HEAD_BYTES: usize = 64 << 10;

impl Default for Exchange {
    fn default() -> Self {
        Self { state: State::Head(Vec::new()), request: Vec::new() }
    }
}

impl Exchange {
    /// Notes that these bytes have arrived.
    pub(super) fn has_read(&mut self, bytes: &[u8]) {
        let room = REQUEST_BYTES - self.request.len();
        self.request.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.request.starts_with(b"PRI * ") {
            self.state = State::Unknown;
        }
    }

    /// Follows bytes that were written. Returns whether they complete an exchange.
    pub(super) fn has_written<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut is_over = false;
        for part in parts {
            let mut rest = part;
            while !rest.is_empty() {
                let before = rest;
                is_over = self.follow(&mut rest);
                if matches!(self.state, State::Unknown) {
                    return false;
                }
                debug_assert!(rest.len() < before.len(), "each step takes something");
            }
        }
        is_over
    }

    /// Takes one part off the written bytes. Returns whether it completes an exchange.
    fn follow(&mut self, rest: &mut &[u8]) -> bool {
        let (next, is_over) = match &mut self.state {
            State::Head(head) => {
                if !take_until(head, rest, b"\r\n\r\n") {
                    return false;
                }
                after_head(head, self.request.starts_with(b"HEAD "))
            }
            State::Body(left) => {
                *left -= take(rest, *left);
                if *left > 0 {
                    return false;
                }
                (State::Head(Vec::new()), true)
            }
            State::Size(line) => {
                if !take_until(line, rest, b"\r\n") {
                    return false;
                }
                (after_size(line), false)
            }
            State::Chunk(left) => {
                *left -= take(rest, *left);
                if *left > 0 {
                    return false;
                }
                (State::Size(Vec::new()), false)
            }
            State::Trailer(length) => {
                let byte = rest[0];
                *rest = &rest[1..];
                match (byte, *length) {
                    (b'\n', 0) => (State::Head(Vec::new()), true),
                    (b'\n', _) => (State::Trailer(0), false),
                    (b'\r', length) => (State::Trailer(length), false),
                    (_, length) => (State::Trailer(length + 1), false),
                }
            }
            State::Unknown => {
                *rest = &[];
                return false;
            }
        };
        self.state = next;
        if is_over {
            self.request.clear();
        }
        is_over
    }
}

/// Takes as much as there is, up to `most`. Returns how much that was.
fn take(rest: &mut &[u8], most: u64) -> u64 {
    let taken = rest.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    *rest = &rest[taken..];
    taken as u64
}

/// Moves bytes to `seen` until it ends with `end`, or is too long. Returns whether either is so.
fn take_until(seen: &mut Vec<u8>, rest: &mut &[u8], end: &[u8]) -> bool {
    while let [first, others @ ..] = *rest {
        seen.push(*first);
        *rest = others;
        if seen.ends_with(end) || seen.len() > MOST_HEAD_BYTES {
            return true;
        }
    }
    false
}

/// The state after a response's head, and whether the response is complete with it.
fn after_head(head: &[u8], is_for_head: bool) -> (State, bool) {
    let over = (State::Head(Vec::new()), true);
    let Ok(head) = std::str::from_utf8(head) else { return (State::Unknown, false) };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).and_then(|line| line.get(2..5));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        None | Some(101) => return (State::Unknown, false),
        // The response is still to come.
        Some(100..200) => return (State::Head(Vec::new()), false),
        Some(204 | 304) => return over,
        Some(_) if is_for_head => return over,
        Some(_) => {}
    }
    let mut next = (State::Unknown, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            let is_chunked = value.to_ascii_lowercase().ends_with("chunked");
            return (if is_chunked { State::Size(Vec::new()) } else { State::Unknown }, false);
        }
        if name.eq_ignore_ascii_case("content-length") {
            next = match value.parse() {
                Ok(0) => (State::Head(Vec::new()), true),
                Ok(length) => (State::Body(length), false),
                Err(_) => (State::Unknown, false),
            };
        }
    }
    next
}

/// The state after the line with a chunk's length.
fn after_size(line: &[u8]) -> State {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let length =
        std::str::from_utf8(&line[..digits]).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    match length {
        Some(0) => State::Trailer(0),
        Some(length) => length.checked_add(2).map_or(State::Unknown, State::Chunk),
        None => State::Unknown,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\n";

    /// The positions in `response` at which an exchange is over.
    fn ends(request: &str, response: &str) -> Vec<usize> {
        let mut exchange = Exchange::default();
        exchange.has_read(request.as_bytes());
        let bytes = response.as_bytes();
        let singly = (0..bytes.len()).filter(|at| exchange.has_written([&bytes[*at..=*at]].into_iter()));
        let ends: Vec<_> = singly.map(|at| at + 1).collect();
        let mut whole = Exchange::default();
        whole.has_read(request.as_bytes());
        let (left, right) = bytes.split_at(bytes.len() / 2);
        assert_eq!(whole.has_written([left, right].into_iter()), ends.last() == Some(&bytes.len()));
        ends
    }

    #[test]
    fn an_exchange_is_over_with_the_last_byte_of_its_response() {
        for (request, response) in [
            ("GET / HTTP/1.1\r\n", format!("{OK}Content-Length: 5\r\n\r\nhello")),
            ("GET / HTTP/1.1\r\n", format!("{OK}content-length: 0\r\n\r\n")),
            ("GET / HTTP/1.1\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n".into()),
            ("HEAD / HTTP/1.1\r\n", format!("{OK}content-length: 9\r\n\r\n")),
            (
                "GET / HTTP/1.1\r\n",
                format!("{OK}transfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n1;x\r\na\r\n0\r\n\r\n"),
            ),
            ("GET / HTTP/1.1\r\n", format!("{OK}transfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n")),
            ("POST / HTTP/1.1\r\n", format!("HTTP/1.1 100 Continue\r\n\r\n{OK}content-length: 1\r\n\r\nx")),
        ] {
            assert_eq!(ends(request, &response), [response.len()], "{response:?}");
        }
        let two = format!("{OK}content-length: 1\r\n\r\nx");
        assert_eq!(ends("GET ", &two.repeat(2)), [two.len(), 2 * two.len()]);
    }

    #[test]
    fn what_is_not_understood_is_never_over() {
        for (request, response) in [
            ("GET / HTTP/1.1\r\n", format!("{OK}connection: close\r\n\r\nuntil the end\r\n\r\n")),
            (
                "GET / HTTP/1.1\r\n",
                format!("HTTP/1.1 101 Switching Protocols\r\n\r\n{OK}content-length: 0\r\n\r\n"),
            ),
            ("GET / HTTP/1.1\r\n", format!("{OK}content-length: many\r\n\r\n")),
            ("GET / HTTP/1.1\r\n", format!("{OK}transfer-encoding: chunked\r\n\r\nxyz\r\n0\r\n\r\n")),
            ("GET / HTTP/1.1\r\n", "SSH-2.0-other\r\n\r\n".into()),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", format!("{OK}content-length: 0\r\n\r\n")),
        ] {
            assert_eq!(ends(request, &response), [0; 0], "{response:?}");
        }
    }
}
