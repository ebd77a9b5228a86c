//! A TCP echo server: a fiber per connection, plain blocking code.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use clap::Parser;

/// Sends back what it receives, until interrupted with Ctrl-C
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// End after this many connections
    #[arg(long, value_name = "NUMBER")]
    connections: Option<usize>,
    /// End after one connection
    #[arg(long, conflicts_with = "connections")]
    once: bool,
}

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
    let local = listener.local_addr()?;
    println!("listening on {local}; try: nc {} {}", local.ip(), local.port());

    let connections = if options.once { 1 } else { options.connections.unwrap_or(usize::MAX) };
    let mut served = 0;
    // Leaving the scope waits for the connections that are still open.
    abaca::scope(|scope| {
        while served < connections {
            match listener.accept() {
                Ok((stream, peer)) => {
                    served += 1;
                    scope.spawn(move || report(peer, echo(stream)));
                }
                Err(error) => {
                    // Such as too many open files: some may be closed soon.
                    eprintln!("accept: {error}");
                    abaca::sleep(Duration::from_millis(100));
                }
            }
        }
    });
    Ok(())
}

/// Echoes until the client ends its half. Returns the number of bytes.
fn echo(mut stream: TcpStream) -> io::Result<u64> {
    let mut buffer = vec![0; 1024];
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

fn report(peer: SocketAddr, outcome: io::Result<u64>) {
    match outcome {
        Ok(bytes) => println!("{peer}: {bytes} bytes"),
        Err(error) => println!("{peer}: {error}"),
    }
}
