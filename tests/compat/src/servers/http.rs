//! The servers of this program: HTTP and websockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::seen;

/// Answers one request of HTTP: `/slow/MILLISECONDS`, or whatever else, in which it goes away in the middle of its answer.
pub(super) fn answer(stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    for line in lines.map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    let time = first.split_once("/slow/").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    if let Some(time) = time {
        let served = seen::begin();
        // Until it is time, or the client goes away.
        stream.set_read_timeout(Some(Duration::from_millis(time))).unwrap();
        let is_gone = (&stream).read(&mut [0]).is_ok();
        drop(served);
        if is_gone {
            return;
        }
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone");
    } else {
        thread::sleep(Duration::from_millis(20));
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nhalf");
    }
}

/// Returns one message, after as many milliseconds as it says; one that is no number it does not return.
#[cfg(feature = "whole")]
pub(super) fn answer_websocket(stream: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let Ok(message) = socket.read() else { return };
    if let Some(time) = message.to_text().ok().and_then(|text| text.parse().ok()) {
        let served = seen::begin();
        thread::sleep(Duration::from_millis(time));
        drop(served);
        let _ = socket.send(message);
        let _ = socket.read();
    }
}
