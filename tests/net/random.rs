//! Thousands of connections that are opened and dropped at random, while others echo.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use abaca::net::TcpStream;

use super::echo_server;

/// A seed that is printed, or given in `ABACA_SEED`.
fn seed() -> u64 {
    let given = std::env::var("ABACA_SEED").ok().and_then(|text| text.parse().ok());
    let nanos = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = given.unwrap_or_else(nanos);
    println!("ABACA_SEED={seed}");
    seed
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[abaca::test]
fn connections_that_come_and_go_at_random_are_not_mixed_up() {
    let address = echo_server();
    let seed = seed();
    let clients: Vec<_> = (0..64_u64)
        .map(|client| {
            abaca::spawn(move || {
                let mut state = seed ^ client;
                for round in 0..50_u64 {
                    let mut stream = TcpStream::connect(address).unwrap();
                    let id = (client << 32 | round).to_le_bytes();
                    for _ in 0..next(&mut state) % 4 {
                        stream.write_all(&id).unwrap();
                        let mut answer = [0; 8];
                        stream.read_exact(&mut answer).unwrap();
                        assert_eq!(answer, id, "an answer of another connection");
                    }
                    match next(&mut state) % 5 {
                        // Leaves an answer unread, which resets the connection.
                        0 => stream.write_all(&id).unwrap(),
                        1 => stream.shutdown(Shutdown::Both).unwrap(),
                        2 => stream.set_linger(Some(Duration::ZERO)).unwrap(),
                        3 => {
                            stream
                                .set_read_timeout(Some(Duration::from_micros(next(&mut state) % 200 + 1)))
                                .unwrap();
                            assert!(stream.read(&mut [0]).is_err());
                        }
                        _ => {}
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}
