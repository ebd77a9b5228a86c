//! Ten thousand connections, served and driven by straight-line blocking code on two threads.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abaca::channel::Receiver;
use abaca::net::{TcpListener, TcpStream};
use abaca_examples::{Memory, connections_allowed, fail};
use clap::Parser;
use hdrhistogram::Histogram;

/// Serves and drives loopback connections in one process: a fiber per connection on both sides.
#[derive(Parser)]
struct Options {
    /// Connections; by default 10000, or as many as the limit of open files allows
    #[arg(long)]
    connections: Option<u64>,
    /// Seconds to run after all are connected
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Bytes of each request and each answer
    #[arg(long, default_value_t = 64)]
    message: usize,
}

struct Load {
    message: usize,
    stop: AtomicBool,
    connected: AtomicU64,
    answered: AtomicU64,
    latencies: Mutex<Histogram<u64>>,
}

fn main() {
    let options = Options::parse();
    let runtime = abaca::Runtime::builder().workers(options.workers).stack_size(64 * 1024).build();
    let runtime = runtime.unwrap_or_else(|error| fail(error));
    if let Err(error) = runtime.run(|| run(&options)) {
        fail(error);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let connections = connections_allowed(options.connections, 10_000)?;
    let before = Memory::now()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let message = options.message.max(1);
    abaca::spawn(move || serve(&listener, message));

    let latencies = Mutex::new(Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?);
    let load =
        Arc::new(Load { message, latencies, stop: false.into(), connected: 0.into(), answered: 0.into() });
    let (gate, opens) = abaca::channel::bounded(0);
    let began = Instant::now();
    let spawn_client = |_| {
        let (load, opens) = (Arc::clone(&load), opens.clone());
        abaca::spawn(move || drive(&load, address, &opens))
    };
    let clients: Vec<_> = (0..connections).map(spawn_client).collect();
    let any_failed = || clients.iter().any(|client| client.is_finished());
    while load.connected.load(Relaxed) < connections && !any_failed() {
        abaca::sleep(Duration::from_millis(20));
        eprint!("\r{:>10} of {connections} connected", load.connected.load(Relaxed));
    }
    println!("\rconnections           {connections:>10}   (made in {:.2} s)", began.elapsed().as_secs_f64());
    drop(gate);
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < options.seconds && !any_failed() {
        abaca::sleep(Duration::from_millis(100));
        eprint!("\r{:>10} requests answered", load.answered.load(Relaxed));
    }
    let (rate, after) = (load.answered.load(Relaxed) as f64 / began.elapsed().as_secs_f64(), Memory::now()?);
    load.stop.store(true, Relaxed);
    for client in clients {
        client.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))?;
    }

    println!("\rOS threads            {:>10}   ({} of them workers)", after.threads, options.workers);
    println!("requests/s            {rate:>10.0}   ({message} bytes each way)");
    for percent in [50.0, 99.0, 99.9] {
        let nanos = load.latencies.lock().unwrap().value_at_percentile(percent);
        println!("latency p{percent:<4}         {:>10.2} ms", nanos as f64 / 1e6);
    }
    let each = after.total().saturating_sub(before.total()) / connections.max(1);
    println!("memory per connection {each:>10} bytes (two fibers and their page tables)");
    Ok(())
}

fn serve(listener: &TcpListener, message: usize) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap_or_else(|error| fail(format!("accept: {error}")));
        abaca::spawn(move || {
            let mut buffer = vec![0; message];
            while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
        });
    }
}

fn drive(load: &Load, server: SocketAddr, gate: &Receiver<()>) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    load.connected.fetch_add(1, Relaxed);
    // Nothing is ever sent: the gate opens when its sender is dropped.
    let _ = gate.recv();
    let (request, mut answer) = (vec![7; load.message], vec![0; load.message]);
    while !load.stop.load(Relaxed) {
        let sent = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
        load.answered.fetch_add(1, Relaxed);
        load.latencies.lock().unwrap().saturating_record(sent.elapsed().as_nanos() as u64);
    }
    Ok(())
}
