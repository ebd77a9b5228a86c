//! Small clients and servers of HTTP, and std's own sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Gone, Program, Version, always, half_page, slow_page, text};
use crate::call::{Answer, Call};
use crate::seen;

/// A program whose server is this one.
pub(super) const HERE: Program = Program {
    name: "",
    version: Version::Toolchain,
    is_there: always,
    slow: |_| Ok(String::new()),
    look: None,
    gone: Gone::Never,
    goes_on: None,
};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "std::net",
        slow: |call| by_std(call, "slow"),
        gone: Gone::Closes(|call| by_std(call, "half")),
        ..HERE
    },
    Program {
        name: "ureq",
        version: Version::Of("ureq"),
        slow: |call| by_ureq(call, &slow_page(call)),
        gone: Gone::Closes(|call| by_ureq(call, &half_page(call))),
        ..HERE
    },
    Program {
        name: "minreq",
        version: Version::Of("minreq"),
        slow: |call| by_minreq(call, &slow_page(call)),
        gone: Gone::Closes(|call| by_minreq(call, &half_page(call))),
        ..HERE
    },
    Program {
        name: "attohttpc",
        version: Version::Of("attohttpc"),
        slow: |call| by_attohttpc(call, &slow_page(call)),
        gone: Gone::Closes(|call| by_attohttpc(call, &half_page(call))),
        ..HERE
    },
    Program { name: "tiny_http", version: Version::Of("tiny_http"), slow: tiny_http_slow, ..HERE },
];

pub(super) fn request(call: &Call<'_>, page: &str) -> String {
    let time = call.time.as_millis();
    format!("GET /{page}/{time} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn by_std(call: &Call<'_>, page: &str) -> Answer {
    let mut stream = TcpStream::connect(call.servers.http).map_err(text)?;
    call.ready();
    stream.write_all(request(call, page).as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    Ok(answer)
}

fn by_ureq(call: &Call<'_>, url: &str) -> Answer {
    call.ready();
    let mut answer = ureq::get(url).call().map_err(text)?;
    answer.body_mut().read_to_string().map_err(text)
}

fn by_minreq(call: &Call<'_>, url: &str) -> Answer {
    call.ready();
    let answer = minreq::get(url).send().map_err(text)?;
    answer.as_str().map(str::to_owned).map_err(text)
}

fn by_attohttpc(call: &Call<'_>, url: &str) -> Answer {
    call.ready();
    attohttpc::get(url).send().map_err(text)?.text().map_err(text)
}

/// The server runs where the client does; its own threads are OS threads.
fn tiny_http_slow(call: &Call<'_>) -> Answer {
    let server = tiny_http::Server::http("127.0.0.1:0").map_err(text)?;
    let address = server.server_addr().to_ip().expect("an address");
    let time = call.time;
    let answerer = std::thread::spawn(move || {
        let request = server.recv().unwrap();
        let served = seen::begin();
        std::thread::sleep(time);
        drop(served);
        let _ = request.respond(tiny_http::Response::from_string("done"));
    });
    call.ready();
    let answer = minreq::get(format!("http://{address}/")).send().map_err(text)?;
    answerer.join().unwrap();
    answer.as_str().map(str::to_owned).map_err(text)
}
