//! How long a request of a lone connection takes: an OS thread asks, a fiber answers. Between two requests its worker sleeps.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use abaca_benches::sample::Sample;

use super::variant::Variant;

/// The time between two requests: long enough for the worker to go to sleep.
const PAUSE: Duration = Duration::from_micros(300);

/// The figures `p50 us` and `p99 us`.
pub(crate) fn there_and_back(variant: Variant, quick: bool) -> Sample {
    let requests = if quick { 10 } else { 10_000 };
    let runtime = variant.runtime_of(2).expect("it is a mode of abaca's fibers");
    let (address, listening) = std::sync::mpsc::channel();
    let server = runtime.spawn(move || {
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        address.send(listener.local_addr().expect("it is bound")).expect("it is received");
        let (mut stream, _) = listener.accept().expect("a client");
        let mut byte = [0];
        while stream.read(&mut byte).expect("a connection") > 0 {
            stream.write_all(&byte).expect("a connection");
        }
    });
    let address = listening.recv().expect("it listens");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a connection");
    let began = Instant::now();
    let mut nanoseconds: Vec<u128> = (0..requests)
        .map(|_| {
            std::thread::sleep(PAUSE);
            let asked = Instant::now();
            stream.write_all(&[1]).expect("a connection");
            stream.read_exact(&mut [0]).expect("a connection");
            asked.elapsed().as_nanos()
        })
        .collect();
    let elapsed = began.elapsed();
    drop(stream);
    server.join().expect("it does not panic");
    nanoseconds.sort_unstable();
    let at = |share: f64| nanoseconds[((nanoseconds.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    Sample { seconds: elapsed.as_secs_f64(), ..Sample::default() }
        .with("p50 us", at(0.50))
        .with("p99 us", at(0.99))
}
