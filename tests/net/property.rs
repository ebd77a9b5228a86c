//! Sequences of calls, chosen at random, on a pair of sockets: each must give what std's gives.
//!
//! The sockets are in non-blocking mode, so that one thread can hold both ends.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net as std_unix;

use abaca::net::unix;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[derive(Clone, Copy, Debug)]
enum Command {
    Send { by: usize, length: usize },
    Receive { by: usize, room: usize },
    Shutdown { by: usize, how: Shutdown },
    Clone { by: usize },
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let how = prop_oneof![Just(Shutdown::Read), Just(Shutdown::Write), Just(Shutdown::Both)];
    let command = prop_oneof![
        6 => (0..2_usize, prop_oneof![0..20_usize, 20_000..30_000_usize])
            .prop_map(|(by, length)| Command::Send { by, length }),
        6 => (0..2_usize, prop_oneof![0..20_usize, 20_000..30_000_usize])
            .prop_map(|(by, room)| Command::Receive { by, room }),
        1 => (0..2_usize, how).prop_map(|(by, how)| Command::Shutdown { by, how }),
        1 => (0..2_usize).prop_map(|by| Command::Clone { by }),
    ];
    proptest::collection::vec(command, 1..40)
}

/// The result of a command: a number of bytes with the sum of their positions and values, or the kind of an error.
type Outcome = std::result::Result<(usize, u64), ErrorKind>;

fn outcome(result: Result<usize>, bytes: &[u8]) -> Outcome {
    let weigh = |bytes: &[u8]| (1..).zip(bytes).map(|(place, byte)| place * u64::from(*byte)).sum();
    result.map(|length| (length, weigh(&bytes[..length]))).map_err(|error| error.kind())
}

/// Plays the commands on a pair of sockets of a type.
macro_rules! play {
    ($socket:ty, $commands:expr, $send:expr, $receive:expr) => {{
        let (one, other) = <$socket>::pair().unwrap();
        let mut ends = [one, other];
        ends.iter().for_each(|end| end.set_nonblocking(true).unwrap());
        let mut next = 0_u8;
        let mut play = |command| -> Outcome {
            match command {
                Command::Send { by, length } => {
                    next = next.wrapping_add(1);
                    let bytes: Vec<u8> = (0..length).map(|place| next.wrapping_add(place as u8)).collect();
                    outcome($send(&ends[by], &bytes), &bytes)
                }
                Command::Receive { by, room } => {
                    let mut buffer = vec![0; room];
                    let result = $receive(&ends[by], &mut buffer);
                    outcome(result, &buffer)
                }
                Command::Shutdown { by, how } => outcome(ends[by].shutdown(how).map(|()| 0), &[]),
                Command::Clone { by } => {
                    ends[by] = ends[by].try_clone().unwrap();
                    Ok((0, 0))
                }
            }
        };
        $commands.iter().map(|command| play(*command)).collect::<Vec<_>>()
    }};
}

/// On this thread, and on a fiber.
fn on_both(check: impl Fn(&[Command]) -> (Vec<Outcome>, Vec<Outcome>) + Send + Sync) {
    let run = || {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) };
        let same = |commands: Vec<Command>| {
            let (ours, stds) = check(&commands);
            prop_assert_eq!(ours, stds);
            Ok(())
        };
        TestRunner::new(config).run(&commands(), same).unwrap();
    };
    run();
    abaca::run(run);
}

#[test]
fn unix_streams_do_what_stds_do() {
    on_both(|commands| {
        let send = |mut stream: &unix::UnixStream, bytes: &[u8]| stream.write(bytes);
        let receive = |mut stream: &unix::UnixStream, buffer: &mut [u8]| stream.read(buffer);
        let ours = play!(unix::UnixStream, commands, send, receive);
        let send = |mut stream: &std_unix::UnixStream, bytes: &[u8]| stream.write(bytes);
        let receive = |mut stream: &std_unix::UnixStream, buffer: &mut [u8]| stream.read(buffer);
        (ours, play!(std_unix::UnixStream, commands, send, receive))
    });
}

#[test]
fn unix_datagrams_do_what_stds_do() {
    use {std_unix::UnixDatagram as Std, unix::UnixDatagram as Ours};
    on_both(|commands| {
        (play!(Ours, commands, Ours::send, Ours::recv), play!(Std, commands, Std::send, Std::recv))
    });
}
