#!/usr/bin/env bash
# attohttpc and minreq: an answer of HTTP that ends before its Content-Length is a success, and its body what had come.
#
# One would expect an error: the server has announced 400 bytes and the connection was closed after four. curl says "transfer closed with 396
# bytes remaining to read", ureq "Peer disconnected", reqwest "error decoding response body". These two return Ok with the four bytes, in
# each way to read them.
# It matters to whoever downloads a file, or parses what ends anywhere, such as lines: a server that is restarted in the middle leaves a part
# that looks whole. Who needs to know compares the length with the header.
# Seen with attohttpc 0.31.0 and minreq 3.0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "see"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
attohttpc = { version = "=0.31.0", default-features = false }
minreq = "=3.0.0"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

fn see(what: &str, got: Result<String, String>) {
    println!("  {what}: {got:?}");
    if got.as_deref() != Ok("half") {
        eprintln!("no longer so: Ok(\"half\") was expected");
        std::process::exit(1);
    }
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // The request ends with an empty line.
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nhalf").unwrap();
        }
    });
    println!("four bytes of 400, then the connection is closed");
    let answer = attohttpc::get(&url).send().and_then(|answer| answer.text());
    see("attohttpc, text()", answer.map_err(|error| error.to_string()));
    let answer = minreq::get(&url).send().map_err(|error| error.to_string());
    see("minreq, send()", answer.and_then(|answer| Ok(answer.as_str().unwrap().to_owned())));
    let answer = minreq::get(&url).send_lazy().map_err(|error| error.to_string());
    let read = answer.and_then(|mut answer| {
        let mut text = String::new();
        answer.read_to_string(&mut text).map(|_| text).map_err(|error| error.to_string())
    });
    see("minreq, send_lazy()", read);
    let mut text = String::new();
    let (_, _, mut reader) = attohttpc::get(&url).send().unwrap().split();
    let read = reader.read_to_string(&mut text);
    see("attohttpc, by its reader", read.map(|_| text).map_err(|error| error.to_string()));
}
RUST
cargo run --quiet
