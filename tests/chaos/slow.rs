//! Slow peers keep their own connections waiting, and nobody else's.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::net::{TcpListener, TcpStream};

const SLOW: usize = 40;
const FAST: usize = 20;
const ROUNDS: usize = 200;

/// The first byte of a connection says what the client wants.
fn serve_what_is_wanted(mut stream: TcpStream, stuck: &AtomicUsize) {
    let mut wish = [0];
    stream.read_exact(&mut wish).unwrap();
    match &wish {
        // Much more than anybody holds for it.
        b"w" => {
            stuck.fetch_add(1, SeqCst);
            let _ = stream.write_all(&vec![0; 64 << 20]);
            stuck.fetch_sub(1, SeqCst);
        }
        // A request that does not come to its end.
        b"r" => {
            stuck.fetch_add(1, SeqCst);
            let _ = stream.read_exact(&mut [0; 1000]);
            stuck.fetch_sub(1, SeqCst);
        }
        _ => super::exchange::echo(stream),
    }
}

/// Clients that do not read, and clients that do not write on, hold up neither the worker that serves them nor the others.
#[test]
fn slow_readers_and_writers_starve_nobody() {
    for workers in [1, 4] {
        Runtime::builder().workers(workers).build().unwrap().run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let stuck = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&stuck);
            let server = listener.serve(move |stream, _| serve_what_is_wanted(stream, &counted));
            let mut slow: Vec<_> = (0..SLOW)
                .map(|number| {
                    let mut client = TcpStream::connect(address).unwrap();
                    client.write_all(if number % 2 == 0 { b"w" } else { b"r123" }).unwrap();
                    client
                })
                .collect();
            while stuck.load(SeqCst) < SLOW {
                abaca::sleep(Duration::from_millis(1));
            }
            let rounds = AtomicUsize::new(0);
            abaca::scope(|scope| {
                for _ in 0..FAST {
                    scope.spawn(|| {
                        let mut client = TcpStream::connect(address).unwrap();
                        client.write_all(b"e").unwrap();
                        for round in 0..ROUNDS {
                            let message = [round as u8; 100];
                            client.write_all(&message).unwrap();
                            let mut answer = [0; 100];
                            client.read_exact(&mut answer).unwrap();
                            assert_eq!(answer, message);
                            rounds.fetch_add(1, SeqCst);
                        }
                    });
                }
                // One reads, and one writes, a byte at a time, for as long as the others take.
                let (left, right) = slow.split_at_mut(1);
                for (client, reads) in [(&mut left[0], true), (&mut right[0], false)] {
                    let rounds = &rounds;
                    scope.spawn(move || {
                        for _ in 0..500 {
                            if rounds.load(SeqCst) == FAST * ROUNDS {
                                break;
                            }
                            if reads {
                                client.read_exact(&mut [0]).unwrap();
                            } else {
                                client.write_all(b"x").unwrap();
                            }
                            abaca::sleep(Duration::from_micros(100));
                        }
                    });
                }
            });
            assert_eq!(rounds.load(SeqCst), FAST * ROUNDS);
            assert_eq!(stuck.load(SeqCst), SLOW, "they were served, and are being served");
            drop(slow);
            assert_eq!(server.drain(super::LONG), 0);
        });
    }
}
