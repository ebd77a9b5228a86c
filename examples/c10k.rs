//! Ten thousand connections, served and driven by straight-line blocking code on two threads.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::channel::bounded;
use abaca::net::{TcpListener, TcpStream};
use abaca_examples::{Latencies, Memory, connections_allowed, context, grouped, or_fail, progress, row};

/// Serves and drives loopback connections in one process: a fiber per connection on both sides
#[derive(clap::Parser)]
struct Options {
    /// Connections [default: 10000, or as many as the limit of open files allows]
    #[arg(long)]
    connections: Option<NonZero<u64>>,
    /// Seconds of load after all are connected
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Bytes of each request and of each answer
    #[arg(long, default_value = "64")]
    message: NonZero<u16>,
}

fn main() {
    let options: Options = clap::Parser::parse();
    let runtime = abaca::Runtime::builder().workers(options.workers).stack_size(64 * 1024).build();
    or_fail(runtime.and_then(|runtime| runtime.run(|| run(&options))));
}

fn run(options: &Options) -> io::Result<()> {
    let connections = connections_allowed(options.connections, 10_000)?;
    let (before, message) = (Memory::now()?, usize::from(options.message.get()));
    // Each client takes a port, of the 28,232 that Linux has for each address of a server.
    let numbers = 0..connections.div_ceil(10_000) as u32;
    let addresses = numbers.map(|number| serve(number, message)).collect::<io::Result<Vec<_>>>()?;
    let (connected, stop, latencies) = (AtomicU64::new(0), AtomicBool::new(false), Latencies::default());
    let (gate, opens) = bounded::<()>(0);

    let drive = |address: SocketAddr| -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        connected.fetch_add(1, Relaxed);
        let _ = opens.recv(); // Nothing is ever sent: it returns when the gate is dropped.
        let (request, mut answer) = (vec![7; message], vec![0; message]);
        while !stop.load(Relaxed) {
            let sent = Instant::now();
            stream.write_all(&request)?;
            stream.read_exact(&mut answer)?;
            latencies.record(sent.elapsed());
        }
        Ok(())
    };
    let (rate, after) = abaca::scope(|scope| {
        let began = Instant::now();
        for &address in addresses.iter().cycle().take(connections as usize) {
            scope.spawn(move || or_fail(drive(address).map_err(context("a client"))));
        }
        while connected.load(Relaxed) < connections {
            abaca::sleep(Duration::from_millis(20));
            progress(format_args!("{} of {connections} connected", connected.load(Relaxed)));
        }
        row("connections", grouped(connections), format_args!("made in {:.2?}", began.elapsed()));
        drop(gate);
        let began = Instant::now();
        while began.elapsed().as_secs_f64() < options.seconds {
            abaca::sleep(Duration::from_millis(100));
            progress(format_args!("{} requests answered", grouped(latencies.count())));
        }
        stop.store(true, Relaxed);
        (latencies.count() as f64 / began.elapsed().as_secs_f64(), or_fail(Memory::now()))
    });
    row("requests/s", grouped(rate as u64), format_args!("of {message} bytes, one in flight each"));
    latencies.print();
    row("OS threads", after.threads, format_args!("{} of them workers", options.workers));
    let bytes = after.total().saturating_sub(before.total()) / connections;
    row("memory per connection", grouped(bytes), "bytes: two fibers, their buffers and page tables");
    Ok(())
}

/// Echoes messages on one of the loopback addresses.
fn serve(number: u32, message: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number), 0))?;
    let address = listener.local_addr()?;
    abaca::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = or_fail(stream.map_err(context("accept")));
            abaca::spawn(move || {
                let mut buffer = vec![0; message];
                while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
            });
        }
    });
    Ok(address)
}
