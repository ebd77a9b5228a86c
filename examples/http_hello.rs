//! An HTTP/1.1 server that says hello: keep-alive, pipelining, requests that come in pieces.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use clap::Parser;
use httparse::Status;

/// Answers every GET with "Hello, world!", until interrupted with Ctrl-C
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// End after this many connections
    #[arg(long, value_name = "NUMBER")]
    connections: Option<usize>,
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Bytes that a request, which is all head, must fit into.
const REQUEST_LIMIT: usize = 8192;

#[abaca::main]
fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let address = &options.address;
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    println!("listening on http://{}/", listener.local_addr()?);
    // Leaving the scope waits for the connections that are still open.
    abaca::scope(|scope| {
        for stream in listener.incoming().take(options.connections.unwrap_or(usize::MAX)) {
            match stream {
                // A client that goes away ends its fiber, and its error is of no use.
                Ok(stream) => drop(scope.spawn(move || serve(stream))),
                Err(error) => {
                    eprintln!("accept: {error}");
                    abaca::sleep(Duration::from_millis(100));
                }
            }
        }
    });
    Ok(())
}

/// Serves one connection to its end.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled, mut answers) = (vec![0; REQUEST_LIMIT], 0, String::new());
    loop {
        let length = stream.read(&mut buffer[filled..])?;
        let (mut start, mut go_on) = (0, length > 0);
        filled += length;
        while let (true, Some((text, length, keep_alive))) = (go_on, answer(&buffer[start..filled])) {
            answers.push_str(text);
            start += length;
            go_on = keep_alive;
        }
        // All that came together is answered together: a pipeline costs one write.
        stream.write_all(answers.as_bytes())?;
        if !go_on {
            break;
        }
        answers.clear();
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
    // Closing with bytes unread would reset the connection, and the client might lose its last answer.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The answer to the first request in `bytes`, the request's length, and whether another may follow. `None` while it is not
/// complete.
fn answer(bytes: &[u8]) -> Option<(&'static str, usize, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let header = |name| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let has_body = header("content-length").or(header("transfer-encoding")).is_some();
    let is_last = header("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close"));
    match parsed {
        Ok(Status::Partial) if bytes.len() < REQUEST_LIMIT => None,
        Ok(Status::Complete(length)) if request.method == Some("GET") && !has_body => {
            Some((HELLO, length, request.version == Some(1) && !is_last))
        }
        _ => Some((BAD_REQUEST, 0, false)),
    }
}
