//! A TCP echo server: a fiber per connection, plain blocking code.

use std::io::{self, Read, Write};

use abaca::net::{TcpListener, TcpStream};
use abaca_examples::fail;
use clap::Parser;

/// Sends back what it receives. Try it with: nc 127.0.0.1 PORT
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(default_value = "127.0.0.1:7000")]
    address: String,
    /// End after this many connections; without it, run until interrupted
    #[arg(long)]
    connections: Option<usize>,
}

#[abaca::main]
fn main() {
    if let Err(error) = run(&Options::parse()) {
        fail(error);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let listener = TcpListener::bind(&options.address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut handlers = Vec::new();
    for stream in listener.incoming().take(options.connections.unwrap_or(usize::MAX)) {
        let stream = stream?;
        let handler = abaca::spawn(move || {
            let peer = stream.peer_addr();
            match echo(&stream) {
                Ok(bytes) => println!("{peer:?}: echoed {bytes} bytes"),
                Err(error) => println!("{peer:?}: {error}"),
            }
        });
        if options.connections.is_some() {
            handlers.push(handler);
        }
    }
    for handler in handlers {
        handler.join().map_err(|_| io::Error::other("a handler panicked"))?;
    }
    Ok(())
}

/// Until the client ends its half. One fiber reads and writes through a shared reference.
fn echo(mut stream: &TcpStream) -> io::Result<u64> {
    let mut buffer = [0; 1024];
    let mut total = 0;
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(total);
        }
        stream.write_all(&buffer[..length])?;
        total += length as u64;
    }
}
