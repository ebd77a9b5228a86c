//! Whatever ends a copy, what has arrived and what can still be read are what was sent, in order.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use abaca::io::{CopyEnd, Duplex, Pollable, copy_bidirectional, copy_fd};
use abaca::net::{Shutdown, TcpListener, TcpStream, UnixStream};
use abaca::time::timeout;
use abaca::{JoinHandle, spawn};
use abaca_tests::{Choices, begun, on_one_worker};
use socket2::SockRef;

use super::kinds::{builders, on_each_runtime};

/// More than the buffers here hold, and no multiple of a page.
fn content() -> Vec<u8> {
    (0..300_001_u32).map(|n| (n % 251) as u8).collect()
}

/// Small buffers, so that the copy has to wait for the reader of its writer.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    SockRef::from(&client).set_send_buffer_size(16 << 10).unwrap();
    (client, listener.accept().unwrap().0)
}

type End = Box<dyn CopyEnd + Send + Sync>;
type Reads = Box<dyn Read + Send>;

/// An end to copy from, as two handles, and the other end, to which a thread writes.
fn source(kind: &str) -> (End, Reads, Box<dyn Write + Send>) {
    match kind {
        "tcp" => {
            let (theirs, ours) = tcp_pair();
            (Box::new(ours.try_clone().unwrap()), Box::new(ours), Box::new(theirs))
        }
        "unix" => {
            let (theirs, ours) = UnixStream::pair().unwrap();
            (Box::new(ours.try_clone().unwrap()), Box::new(ours), Box::new(theirs))
        }
        "pipe" => {
            let (ours, theirs) = abaca::io::pipe().unwrap();
            (Box::new(ours.try_clone().unwrap()), Box::new(ours), Box::new(theirs))
        }
        _ => {
            let (ours, theirs) = io::pipe().unwrap();
            let twin = Pollable::new(ours.try_clone().unwrap()).unwrap();
            (Box::new(Pollable::new(ours).unwrap()), Box::new(twin), Box::new(theirs))
        }
    }
}

/// An end to copy to, and the reader of what arrives.
fn sink(kind: &str) -> (End, Reads) {
    match kind {
        "tcp" => {
            let (ours, theirs) = tcp_pair();
            (Box::new(ours), Box::new(theirs))
        }
        "unix" => {
            let (ours, theirs) = UnixStream::pair().unwrap();
            SockRef::from(&ours).set_send_buffer_size(16 << 10).unwrap();
            (Box::new(ours), Box::new(theirs))
        }
        "pipe" => {
            let (theirs, ours) = abaca::io::pipe().unwrap();
            (Box::new(ours), Box::new(theirs))
        }
        _ => {
            let (theirs, ours) = io::pipe().unwrap();
            (Box::new(Pollable::new(ours).unwrap()), Box::new(Pollable::new(theirs).unwrap()))
        }
    }
}

const KINDS: [&str; 4] = ["tcp", "unix", "pipe", "polled pipe"];

#[test]
fn a_copy_that_is_cancelled_has_lost_nothing() {
    let seed = Choices::seed();
    builders().step_by(2).for_each(|builder| {
        let runtime = builder.build().unwrap();
        runtime.run(|| cut_and_go_on(Choices::new(seed, 0)));
    });
}

fn cut_and_go_on(mut choices: Choices) {
    for (from, to) in KINDS.iter().flat_map(|from| KINDS.map(|to| (from, to))) {
        let ((reader, mut rest, mut feeder), (writer, mut arrives)) = (source(from), sink(to));
        let feeding = std::thread::spawn(move || feeder.write_all(&content()).unwrap());
        // Somebody reads a little, and then no more.
        let some = (content().len() / 7) as u64;
        let reading = spawn(move || {
            let mut bytes = Vec::new();
            arrives.by_ref().take(some).read_to_end(&mut bytes).unwrap();
            (arrives, bytes)
        });
        let mut is_cut = 0;
        // Cut where it happens to be, and gone on with, until nothing goes on.
        for _ in 0..8 {
            let limit = Duration::from_micros(choices.below(3000));
            is_cut += usize::from(timeout(limit, || copy_fd(&*reader, &*writer)).is_err());
        }
        // The last copy certainly waits for a peer that does not read.
        while !reading.is_finished() {
            let _ = timeout(Duration::from_millis(1), || copy_fd(&*reader, &*writer));
        }
        let (mut arrives, mut bytes) = reading.join().unwrap();
        is_cut += usize::from(timeout(Duration::from_millis(5), || copy_fd(&*reader, &*writer)).is_err());
        assert!(is_cut > 0, "{from} to {to}");
        drop((reader, writer));
        arrives.read_to_end(&mut bytes).unwrap();
        let arrived = bytes.len();
        rest.read_to_end(&mut bytes).unwrap();
        feeding.join().unwrap();
        assert!(bytes == content(), "{from} to {to}: {arrived} and {}", bytes.len() - arrived);
    }
}

#[test]
fn a_copy_whose_writer_fails_has_lost_nothing() {
    on_each_runtime(|| {
        for from in KINDS {
            let (reader, mut rest, mut feeder) = source(from);
            let feeding = std::thread::spawn(move || feeder.write_all(&content()).unwrap());
            let (ours, theirs) = UnixStream::pair().unwrap();
            // The usual buffer has room for all that is not read here: a quick copy would be done before its writer fails.
            SockRef::from(&ours).set_send_buffer_size(16 << 10).unwrap();
            let copying = spawn(move || copy_fd(&*reader, &ours));
            let mut bytes = vec![0; 100_000];
            (&theirs).read_exact(&mut bytes).unwrap();
            // From here on writes fail; what has arrived can still be read.
            theirs.shutdown(Shutdown::Read).unwrap();
            (&theirs).read_to_end(&mut bytes).unwrap();
            let error = copying.join().unwrap().expect_err(from);
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "from {from}");
            rest.read_to_end(&mut bytes).unwrap();
            feeding.join().unwrap();
            assert!(bytes == content(), "from {from}: {}", bytes.len());
        }
    });
}

#[test]
fn a_file_system_that_is_full_takes_nothing_from_the_reader() {
    on_each_runtime(|| {
        for from in KINDS {
            let (reader, mut rest, mut feeder) = source(from);
            feeder.write_all(b"all of it").unwrap();
            drop(feeder);
            let full = File::options().write(true).open("/dev/full").unwrap();
            assert_eq!(
                copy_fd(&*reader, &full).unwrap_err().kind(),
                io::ErrorKind::StorageFull,
                "from {from}"
            );
            let mut bytes = Vec::new();
            rest.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"all of it", "from {from}");
        }
    });
}

/// A terminal cannot be peeked at: the rest stays in the `Pollable`.
#[test]
fn a_terminals_lines_are_kept_for_the_next_read() {
    on_one_worker(|| {
        let (mut master, terminal) = abaca_tests::terminal();
        let terminal = Pollable::new(terminal).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        // Full, so that not a byte is taken.
        ours.set_nonblocking(true).unwrap();
        let mut filled = 0;
        while let Ok(more) = (&ours).write(&[0; 1000]) {
            filled += more;
        }
        ours.set_nonblocking(false).unwrap();
        let terminal = std::sync::Arc::new(terminal);
        let copying = {
            let terminal = std::sync::Arc::clone(&terminal);
            begun(move || copy_fd(&*terminal, &ours))
        };
        master.write_all(b"one line\n").unwrap();
        // Until the copy has it.
        while terminal_has_input(&terminal) {
            abaca::yield_now();
        }
        copying.cancel();
        assert!(copying.join().is_err());
        let mut text = [0; 9];
        (&*terminal).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one line\n");
        let mut arrived = Vec::new();
        (&theirs).read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived.len(), filled);
    });
}

/// Looks with poll(2), at once.
fn terminal_has_input(terminal: &Pollable<OwnedFd>) -> bool {
    let twin = Pollable::new(terminal.as_fd()).unwrap();
    let mut is_ready = false;
    // A zero duration runs until it would block.
    let _ = timeout(Duration::ZERO, || {
        twin.wait_readable().unwrap();
        is_ready = true;
    });
    is_ready
}

fn both_ways(pair: impl Fn() -> (TcpStream, TcpStream)) {
    let ((client, front), (back, server)) = (pair(), pair());
    let (twin_of_front, twin_of_back) = (front.try_clone().unwrap(), back.try_clone().unwrap());
    let sending = [client.try_clone().unwrap(), server.try_clone().unwrap()].map(|mut stream| {
        std::thread::spawn(move || {
            stream.write_all(&content()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        })
    });
    let reading = [(client.try_clone().unwrap(), 50_000), (server.try_clone().unwrap(), 60_000)].map(
        |(stream, some)| {
            spawn(move || {
                let mut bytes = Vec::new();
                stream.take(some).read_to_end(&mut bytes).unwrap();
                bytes
            })
        },
    );
    while !reading.iter().all(JoinHandle::is_finished) {
        // Cut where it happens to be, and gone on with.
        assert!(timeout(Duration::from_millis(2), || copy_bidirectional(&front, &back)).is_err());
    }
    let [mut to_client, mut to_server] = reading.map(|reading| reading.join().unwrap());
    drop((front.shutdown_write(), back.shutdown_write()));
    (&server).read_to_end(&mut to_server).unwrap();
    (&twin_of_front).read_to_end(&mut to_server).unwrap();
    (&client).read_to_end(&mut to_client).unwrap();
    (&twin_of_back).read_to_end(&mut to_client).unwrap();
    sending.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(to_client == content() && to_server == content());
}

#[test]
fn a_proxy_that_is_cancelled_has_lost_nothing_either_way() {
    on_each_runtime(|| both_ways(tcp_pair));
}
