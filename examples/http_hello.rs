//! An HTTP/1.1 server that says hello: keep-alive, pipelining, requests that come in pieces.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use abaca_examples::{context, or_fail};
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

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Bytes that a request, which is all head, must fit into.
const REQUEST_LIMIT: usize = 8192;

#[abaca::main]
fn main() {
    or_fail(run(&Options::parse()));
}

fn run(options: &Options) -> io::Result<()> {
    let address = &options.address;
    let listener = TcpListener::bind(address).map_err(context(format_args!("cannot listen on {address}")))?;
    println!("listening on http://{}/", listener.local_addr()?);
    // Leaving the scope waits for the connections that are still open.
    abaca::scope(|scope| {
        for stream in listener.incoming().take(options.connections.unwrap_or(usize::MAX)) {
            match stream {
                // A client that goes away ends its fiber; there is nobody left to tell.
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
    let (mut buffer, mut filled, mut answers) = (vec![0; REQUEST_LIMIT], 0, Vec::new());
    loop {
        let length = stream.read(&mut buffer[filled..])?;
        let (mut start, mut go_on) = (0, length > 0);
        filled += length;
        while let (true, Some(answer)) = (go_on, answer(&buffer[start..filled])) {
            answers.extend_from_slice(answer.text);
            start += answer.request_length;
            go_on = answer.keep_alive;
        }
        // All that came together is answered together: a pipeline costs one write.
        stream.write_all(&answers)?;
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

struct Answer {
    text: &'static [u8],
    request_length: usize,
    keep_alive: bool,
}

/// The answer to the first request in `bytes`; none while that is not complete.
fn answer(bytes: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let header = |name| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let has_body = header("content-length").or(header("transfer-encoding")).is_some();
    match parsed {
        Ok(Status::Partial) if bytes.len() < REQUEST_LIMIT => None,
        Ok(Status::Complete(request_length)) if request.method == Some("GET") && !has_body => {
            let close =
                header("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close"));
            Some(Answer { text: HELLO, request_length, keep_alive: request.version == Some(1) && !close })
        }
        _ => Some(Answer { text: BAD_REQUEST, request_length: 0, keep_alive: false }),
    }
}
