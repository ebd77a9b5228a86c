//! Larger clients and servers of HTTP, and websockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http::{HERE, request};
use super::{Gone, Program, Version, WAITS_FOR_A_THREAD, half_page, slow_page, text};
use crate::call::{Answer, Call};
use crate::seen;

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "reqwest::blocking",
        version: Version::Of("reqwest"),
        slow: |call| by_reqwest(call, &slow_page(call)),
        gone: Gone::Closes(|call| by_reqwest(call, &half_page(call))),
        goes_on: WAITS_FOR_A_THREAD,
        ..HERE
    },
    Program {
        name: "tokio within a fiber",
        version: Version::Of("tokio"),
        slow: |call| by_tokio(call, "slow"),
        gone: Gone::Closes(|call| by_tokio(call, "half")),
        ..HERE
    },
    Program {
        name: "mio",
        version: Version::Of("mio"),
        slow: |call| by_mio(call, "slow"),
        gone: Gone::Closes(|call| by_mio(call, "half")),
        ..HERE
    },
    Program { name: "rouille", version: Version::Of("rouille"), slow: rouille_slow, ..HERE },
    Program {
        name: "tungstenite",
        version: Version::Of("tungstenite"),
        slow: |call| by_tungstenite(call, &call.time.as_millis().to_string()),
        gone: Gone::Closes(|call| by_tungstenite(call, "half")),
        ..HERE
    },
];

fn by_reqwest(call: &Call<'_>, url: &str) -> Answer {
    let client = reqwest::blocking::Client::new();
    call.ready();
    client.get(url).send().map_err(text)?.text().map_err(text)
}

/// A runtime of tokio's, which lives as long as the call.
fn by_tokio(call: &Call<'_>, page: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    call.ready();
    runtime.block_on(async {
        let mut stream = tokio::net::TcpStream::connect(call.servers.http).await.map_err(text)?;
        stream.write_all(request(call, page).as_bytes()).await.map_err(text)?;
        // A timer of tokio's that goes off before the server answers.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(text)?;
        Ok(answer)
    })
}

/// An event loop, as mio's documentation has it.
fn by_mio(call: &Call<'_>, page: &str) -> Answer {
    let mut poll = mio::Poll::new().map_err(text)?;
    let mut stream = mio::net::TcpStream::connect(call.servers.http).map_err(text)?;
    let interests = mio::Interest::READABLE | mio::Interest::WRITABLE;
    poll.registry().register(&mut stream, mio::Token(0), interests).map_err(text)?;
    let mut events = mio::Events::with_capacity(8);
    let (mut request, mut answer) = (Some(request(call, page)), Vec::new());
    call.ready();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(text(error)),
            _ => {}
        }
        for event in &events {
            if event.is_writable()
                && let Some(request) = request.take()
            {
                stream.write_all(request.as_bytes()).map_err(text)?;
            }
            if event.is_readable() {
                match stream.read_to_end(&mut answer) {
                    Ok(_) => return String::from_utf8(answer).map_err(text),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(text(error)),
                    Err(_) => {}
                }
            }
        }
    }
}

/// The server runs where the client does; its own threads are OS threads.
fn rouille_slow(call: &Call<'_>) -> Answer {
    let time = call.time;
    let server = rouille::Server::new("127.0.0.1:0", move |_| {
        let _served = seen::begin();
        std::thread::sleep(time);
        rouille::Response::text("done")
    })
    .map_err(text)?;
    let address = server.server_addr();
    let (_answerer, stop) = server.stoppable();
    call.ready();
    let answer = minreq::get(format!("http://{address}/")).send().map_err(text);
    // It looks for this each second, so nobody waits for its thread.
    stop.send(()).unwrap();
    answer?.as_str().map(str::to_owned).map_err(text)
}

fn by_tungstenite(call: &Call<'_>, message: &str) -> Answer {
    let stream = TcpStream::connect(call.servers.websocket).map_err(text)?;
    let (mut socket, _) =
        tungstenite::client(format!("ws://{}/", call.servers.websocket), stream).map_err(text)?;
    call.ready();
    socket.send(tungstenite::Message::text(message)).map_err(text)?;
    // What comes back is what was sent.
    socket.read().map_err(text).map(|answer| (answer.to_string() == message).to_string())
}
