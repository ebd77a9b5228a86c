//! Connections, each of which has a fiber at either end that reads and writes as if there were no others.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::net::{TcpListener, TcpStream};

use super::{grouped, line, process};

/// Both ends of a connection are in this process; the runtime has a few descriptors, too.
const OWN_DESCRIPTORS: u64 = 64;

const MESSAGE: [u8; 64] = [7; 64];

/// Serves `wanted` connections, or as many as the limit of open files allows, and drives them for `time`.
pub(crate) fn serve_and_drive(wanted: u64, time: Duration) -> io::Result<()> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let count = wanted.min(files.saturating_sub(OWN_DESCRIPTORS) / 2).max(1);
    let before = process::memory()?;
    let address = echo_server()?;
    let stop = AtomicBool::new(false);
    let (gate, opens) = abaca::channel::bounded::<()>(0);
    let began = Instant::now();

    let drive = |mut stream: TcpStream| -> io::Result<u64> {
        // Nothing is ever sent: it returns when the gate is dropped.
        let _ = opens.recv();
        let (mut answers, mut answer) = (0, [0; MESSAGE.len()]);
        while !stop.load(Relaxed) {
            stream.write_all(&MESSAGE)?;
            stream.read_exact(&mut answer)?;
            answers += 1;
        }
        Ok(answers)
    };
    abaca::scope(|scope| {
        let clients = (0..count).map(|_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(scope.spawn(move || drive(stream)))
        });
        let clients = clients.collect::<io::Result<Vec<_>>>()?;
        let connected = began.elapsed();
        let began = Instant::now();
        drop(gate);
        abaca::sleep(time);
        // All of them have been served by now.
        let (bytes, threads) = (process::memory()?.saturating_sub(before) / count, process::threads()?);
        stop.store(true, Relaxed);
        let answers = clients.into_iter().map(|client| client.join().expect("it does not panic"));
        let answers: u64 = answers.sum::<io::Result<u64>>()?;
        let rate = answers as f64 / began.elapsed().as_secs_f64();
        let figures = format!(
            "made in {connected:.1?}; two fibers and {} bytes each, {threads} threads in all",
            grouped(bytes)
        );
        line(&format!("{} connections", grouped(count)), &figures);
        line(&format!("{} requests a second over them", grouped(rate as u64)), "one in flight on each");
        Ok::<_, io::Error>(())
    })?;
    if count < wanted {
        println!("(the limit of {} open files allows no more connections)", grouped(files));
    }
    Ok(())
}

/// A server that sends back what it gets: the whole of it.
fn echo_server() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    abaca::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            stream.set_nodelay(true)?;
            abaca::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
            });
        }
        Ok::<_, io::Error>(())
    });
    Ok(address)
}
