//! Ten thousand connections, served and driven by straight-line blocking code on two threads.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::channel::bounded;
use abaca::net::{TcpListener, TcpStream};
use clap::Parser;

/// Serves and drives loopback connections in one process: a fiber per connection on both sides
#[derive(Parser)]
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
    let options = Options::parse();
    let runtime = abaca::Runtime::builder().workers(options.workers).stack_size(64 * 1024).build();
    if let Err(error) = runtime.and_then(|runtime| runtime.run(|| run(&options))) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    // Both ends of each connection are in this process, and the runtime has some files open, too.
    let most = rlimit::increase_nofile_limit(u64::MAX)?.saturating_sub(32) / 2;
    let connections = options.connections.map_or(most.min(10_000), NonZero::get);
    if connections > most {
        let text = format!("the limit of open files (ulimit -Hn) allows {most} connections");
        return Err(io::Error::other(text));
    }
    let (before, message) = (memory()?, usize::from(options.message.get()));
    // Each client takes a port, of the 28,232 that Linux has for each address of a server.
    let numbers = 0..connections.div_ceil(10_000) as u32;
    let addresses = numbers.map(|number| serve(number, message)).collect::<io::Result<Vec<_>>>()?;
    let (connected, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (gate, opens) = bounded::<()>(0);

    // Returns the times in which requests were answered, in microseconds.
    let drive = |address: SocketAddr| -> io::Result<Vec<u32>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (request, mut answer, mut times) = (vec![7; message], vec![0; message], Vec::new());
        let mut ask = || stream.write_all(&request).and_then(|()| stream.read_exact(&mut answer));
        ask()?;
        connected.fetch_add(1, Relaxed);
        let _ = opens.recv(); // Nothing is ever sent: it returns when the gate is dropped.
        while !stop.load(Relaxed) {
            let sent = Instant::now();
            ask()?;
            times.push(sent.elapsed().as_micros() as u32);
        }
        Ok(times)
    };
    abaca::scope(|scope| {
        let began = Instant::now();
        let wanted = addresses.iter().copied().cycle().take(connections as usize);
        let clients: Vec<_> = wanted.map(|address| scope.spawn(move || drive(address))).collect();
        // A client that fails ends.
        while connected.load(Relaxed) < connections && !clients.iter().any(|client| client.is_finished()) {
            abaca::sleep(Duration::from_millis(20));
        }
        println!("connections            {connections:>10}  made in {:.2?}", began.elapsed());
        let bytes = memory()?.saturating_sub(before) / connections;
        println!("memory per connection  {bytes:>10}  bytes: two fibers, their buffers and page tables");
        println!("OS threads             {:>10}", std::fs::read_dir("/proc/self/task")?.count());
        drop(gate);
        abaca::sleep(Duration::try_from_secs_f64(options.seconds).map_err(io::Error::other)?);
        stop.store(true, Relaxed);
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.join().expect("no client panics")?);
        }
        times.sort_unstable();
        let rate = times.len() as f64 / options.seconds;
        println!("requests/s             {rate:>10.0}  of {message} bytes, one in flight each");
        for percentile in [50.0, 99.0, 99.9] {
            let place = (times.len() as f64 * percentile / 100.0) as usize;
            let micros = times.get(place).map_or(0.0, |time| f64::from(*time));
            println!("latency p{percentile:<13} {:>10.3}  ms", micros / 1e3);
        }
        Ok(())
    })
}

/// Echoes messages on one of the loopback addresses.
fn serve(number: u32, message: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number), 0))?;
    let address = listener.local_addr()?;
    abaca::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            abaca::spawn(move || {
                let mut buffer = vec![0; message];
                while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
            });
        }
    });
    Ok(address)
}

/// The memory of this process in bytes, with its page tables.
fn memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"));
    let kib = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kib.sum::<u64>() * 1024)
}
