//! Descriptors that come and go in large numbers, so that their numbers and slots are used again and again.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abaca::net::{Shutdown, TcpListener, TcpStream};
use abaca::scope;
use socket2::SockRef;

use super::kinds::on_each_runtime;

/// SplitMix64: a seed gives the same run again, as far as the scheduling does.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// The seed: `ABACA_SEED`, or the clock's. It is printed, which shows when the test fails.
fn seed() -> u64 {
    let given = std::env::var("ABACA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed =
        given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    println!("ABACA_SEED={seed}");
    seed
}

/// Echoes until the end, or until the connection breaks; returns how many bytes.
fn echo(mut stream: TcpStream) -> usize {
    let (mut buffer, mut total) = ([0; 256], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        total += count;
        if stream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    total
}

/// One connection that ends in one of many ways. True if the server was to see it, and saw all of it.
fn visit(stream: &mut TcpStream, random: &mut Random) {
    let rounds = random.below(4);
    for _ in 0..rounds {
        let len = 1 + random.below(600) as usize;
        let sent: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
        stream.write_all(&sent).unwrap();
        let mut answer = vec![0; len];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, sent, "what another connection sent has come through this one");
    }
    match random.below(6) {
        0 => SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap(),
        1 => {
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        2 => stream.write_all(b"and leave").unwrap(),
        3 => {
            stream.set_read_timeout(Some(Duration::from_micros(50))).unwrap();
            assert!(stream.read(&mut [0]).is_err());
        }
        4 => abaca::yield_now(),
        _ => {}
    }
}

#[test]
fn thousands_of_connections_open_and_close_at_random() {
    const VISITORS: u64 = 12;
    const VISITS: usize = 40;
    let seed = seed();
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = AtomicUsize::new(0);
        scope(|s| {
            s.spawn(|| {
                let serve = |stream| {
                    echo(stream);
                    served.fetch_add(1, Ordering::Relaxed);
                };
                scope(|connections| {
                    for _ in 0..VISITORS as usize * VISITS {
                        let (stream, _) = listener.accept().unwrap();
                        connections.spawn(move || serve(stream));
                    }
                });
            });
            for visitor in 0..VISITORS {
                s.spawn(move || {
                    let mut random = Random(seed ^ visitor);
                    for _ in 0..VISITS {
                        visit(&mut TcpStream::connect(address).unwrap(), &mut random);
                    }
                });
            }
        });
        assert_eq!(served.into_inner(), VISITORS as usize * VISITS);
    });
}

/// An event that was on its way for a closed descriptor must not pass for one of the next with the same number:
/// each read would return without data, or never.
#[test]
fn events_of_a_closed_descriptor_do_not_reach_its_successor() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for round in 0..100_u8 {
            let mut old = TcpStream::connect(address).unwrap();
            let mut old_server = listener.accept().unwrap().0;
            // Registers it: the answer is not there yet.
            old.write_all(&[round]).unwrap();
            old_server.read_exact(&mut [0]).unwrap();
            // The data and the end make events that nobody collects before it is closed.
            old_server.write_all(b"stale").unwrap();
            drop(old_server);
            drop(old);
            let new = TcpStream::connect(address).unwrap();
            let mut new_server = listener.accept().unwrap().0;
            let reading = abaca::spawn(move || {
                let mut buffer = [0; 8];
                let count = (&new).read(&mut buffer).unwrap();
                buffer[..count].to_vec()
            });
            abaca::yield_now();
            new_server.write_all(&[round; 3]).unwrap();
            assert_eq!(reading.join().unwrap(), [round; 3]);
        }
    });
}
