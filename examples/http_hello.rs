//! An HTTP/1.1 server that says hello: keep-alive, pipelining, requests in pieces.

use std::io::{self, Read, Write};

use abaca::net::{ListenOptions, TcpStream};
use abaca_examples::fail;
use clap::Parser;

/// Answers every GET with "Hello, world!". Try it with: curl -i http://127.0.0.1:PORT/
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(default_value = "127.0.0.1:8000")]
    address: String,
    /// Worker threads; by default one per core
    #[arg(long)]
    workers: Option<usize>,
    /// End after this many connections; without it, run until interrupted
    #[arg(long)]
    connections: Option<usize>,
}

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NOT_ALLOWED: &[u8] =
    b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A request's head must fit into this.
const BUFFER: usize = 8 * 1024;

fn main() {
    let options = Options::parse();
    let mut builder = abaca::Runtime::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let runtime = builder.build().unwrap_or_else(|error| fail(error));
    if let Err(error) = runtime.run(|| run(&options)) {
        fail(error);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let listener = ListenOptions::new().bind(&options.address)?;
    println!("listening on http://{}/", listener.local_addr()?);
    let mut handlers = Vec::new();
    for stream in listener.incoming().take(options.connections.unwrap_or(usize::MAX)) {
        let stream = stream?;
        let handler = abaca::spawn(move || {
            // A client that goes away ends its fiber; there is nobody left to tell.
            let _ = serve(&stream);
        });
        if options.connections.is_some() {
            handlers.push(handler);
        }
    }
    handlers
        .into_iter()
        .try_for_each(|handler| handler.join().map_err(|_| io::Error::other("a handler panicked")))
}

/// Serves one connection to its end.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut answers = Vec::new();
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..])?;
        if length == 0 {
            return Ok(());
        }
        filled += length;
        let mut start = 0;
        let refusal = loop {
            match answer(&buffer[start..filled]) {
                Ok(Some(length)) => {
                    answers.extend_from_slice(HELLO);
                    start += length;
                }
                Ok(None) if start == 0 && filled == BUFFER => break Some(BAD_REQUEST),
                Ok(None) => break None,
                Err(refusal) => break Some(refusal),
            }
        };
        answers.extend_from_slice(refusal.unwrap_or_default());
        stream.write_all(&answers)?;
        if refusal.is_some() {
            return Ok(());
        }
        answers.clear();
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// The length of the request at the beginning of `bytes`; `None` if it is not complete; `Err` is what to refuse it
/// with. Bodies are not supported, and GET has none.
fn answer(bytes: &[u8]) -> Result<Option<usize>, &'static [u8]> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if request.method == Some("GET") => Ok(Some(length)),
        Ok(httparse::Status::Complete(_)) => Err(NOT_ALLOWED),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(BAD_REQUEST),
    }
}
