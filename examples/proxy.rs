//! A TCP proxy: two fibers per connection, timeouts, a limit of connections, a graceful end.

use std::io::ErrorKind::WouldBlock;
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use abaca::io::{Duplex, copy_bidirectional};
use abaca::net::{ServeOptions, TcpListener, TcpStream};
use abaca::time::timeout;
use clap::Parser;

/// Passes connections on to another server, until a line comes on standard input
#[derive(Parser)]
struct Options {
    /// Server to connect to: a name or an address, and a port
    upstream: String,
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// Connections at once; further ones wait
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    connections: std::num::NonZero<usize>,
    /// How long the server may take to accept a connection
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    connect_timeout: Duration,
    /// How long a connection may stay silent in both directions, and go on at the end
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle_timeout: Duration,
}

#[abaca::main]
fn main() {
    if let Err(error) = run(Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: Options) -> io::Result<()> {
    let (address, grace) = (&options.address, options.idle_timeout);
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    println!("listening on {}; press Enter to stop", listener.local_addr()?);
    let limit = ServeOptions::new().max_connections(options.connections.get());
    let server = limit.serve(listener, move |client, peer| match proxy(client, &options) {
        Ok((there, back)) => println!("{peer}: {there} bytes there, {back} bytes back"),
        Err(error) if error.kind() == WouldBlock => println!("{peer}: idle"),
        Err(error) => println!("{peer}: {error}"),
    });
    let stop = server.stop_handle();
    abaca::spawn(move || abaca::io::stdin().read_line(&mut String::new()).map(|_| stop.stop()));
    server.stopped()?;
    println!("{} connections were cut off", server.drain(grace));
    Ok(())
}

fn proxy(client: TcpStream, options: &Options) -> io::Result<(u64, u64)> {
    let server = timeout(options.connect_timeout, || TcpStream::connect_happy_eyeballs(&options.upstream))??;
    let heard = Mutex::new(Instant::now());
    let watch = |stream: TcpStream| {
        stream.set_read_timeout(Some(options.idle_timeout))?;
        stream.set_nodelay(true).map(|()| Watched(stream, &heard, options.idle_timeout))
    };
    copy_bidirectional(&watch(client)?, &watch(server)?)
}

/// One side of a connection, when either side was last heard, and how long both may be silent.
struct Watched<'a>(TcpStream, &'a Mutex<Instant>, Duration);

impl Read for &Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = (&self.0).read(buffer);
            let mut heard = self.1.lock().expect("nobody panics with it");
            if !matches!(&result, Err(error) if error.kind() == WouldBlock) {
                *heard = Instant::now();
                return result;
            } else if heard.elapsed() >= self.2 {
                return result;
            }
        }
    }
}

impl Write for &Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Duplex for Watched<'_> {
    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
