//! Ten thousand connections, served and driven by straight-line blocking code on two threads.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abaca::net::{TcpListener, TcpStream};
use abaca_examples::{Memory, fail};
use clap::Parser;
use hdrhistogram::Histogram;

/// Serves and drives loopback connections in one process: a fiber per connection on both sides.
#[derive(Parser)]
struct Options {
    /// Connections; by default 10000, or as many as the limit of open files allows
    #[arg(long)]
    connections: Option<usize>,
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
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    // Each connection has two ends in this process; some descriptors are in use already.
    let most = (files.saturating_sub(64) / 2) as usize;
    let connections = options.connections.unwrap_or(most.min(10_000));
    if connections > most {
        return Err(io::Error::other(format!(
            "{connections} connections need more than the limit of {files} open files"
        )));
    }
    let before = Memory::now()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let message = options.message.max(1);
    abaca::spawn(move || serve(&listener, message));

    let latencies = Mutex::new(Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?);
    let load = Load { message, latencies, stop: false.into(), connected: 0.into(), answered: 0.into() };
    let load = Arc::new(load);
    let began = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|index| {
            let load = Arc::clone(&load);
            abaca::spawn(move || drive(&load, address, index))
        })
        .collect();
    while load.connected.load(Relaxed) < connections as u64
        && !clients.iter().any(|client| client.is_finished())
    {
        abaca::sleep(Duration::from_millis(100));
        eprint!("\r{:>6} of {connections} connected", load.connected.load(Relaxed));
    }
    let connecting = began.elapsed();
    let (start, began) = (load.answered.load(Relaxed), Instant::now());
    load.latencies.lock().unwrap().reset();
    while began.elapsed().as_secs_f64() < options.seconds
        && !clients.iter().any(|client| client.is_finished())
    {
        abaca::sleep(Duration::from_millis(100));
        eprint!("\r{:>10} requests answered   ", load.answered.load(Relaxed) - start);
    }
    let (requests, elapsed) = (load.answered.load(Relaxed) - start, began.elapsed());
    let after = Memory::now()?;
    load.stop.store(true, Relaxed);
    for client in clients {
        client.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))?;
    }

    let latencies = load.latencies.lock().unwrap();
    let millis = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1e6;
    let per_connection = after.total().saturating_sub(before.total()) / connections.max(1) as u64;
    eprint!("\r{:30}\r", "");
    println!("connections           {connections:>10}   (made in {:.2} s)", connecting.as_secs_f64());
    println!("OS threads            {:>10}   ({} of them workers)", after.threads, options.workers);
    println!(
        "requests/s            {:>10.0}   ({} bytes each way)",
        requests as f64 / elapsed.as_secs_f64(),
        message
    );
    println!("latency p50           {:>10.2} ms", millis(0.5));
    println!("latency p99           {:>10.2} ms", millis(0.99));
    println!("latency p99.9         {:>10.2} ms", millis(0.999));
    println!("memory per connection {per_connection:>10} bytes (two fibers, with their page tables)");
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

fn drive(load: &Load, server: SocketAddr, _index: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    load.connected.fetch_add(1, Relaxed);
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
