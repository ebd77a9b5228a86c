//! Copies that never wait: they end where they are cancelled all the same, and lose nothing.

use std::io::{Read, Write};

use abaca::cancel::CancellationToken;
use abaca::io::{copy_bidirectional, copy_fd};
use abaca::net::{Shutdown, UnixStream};
use abaca_tests::on_one_worker;

/// More than is moved in one step, and less than a socket holds.
const BYTES: usize = 150_000;

/// A stream from which so many bytes can be read before its end.
fn full() -> UnixStream {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    let bytes: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
    writer.write_all(&bytes).unwrap();
    reader
}

fn rest(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Calls `copy` from a full stream to an empty one, in the code of a token that is cancelled already.
fn is_ended(copy: impl FnOnce(&UnixStream, &UnixStream)) {
    let (from, (to, other)) = (full(), UnixStream::pair().unwrap());
    let token = CancellationToken::new();
    let copied = token.run_until_cancelled(|| {
        token.cancel();
        copy(&from, &to);
    });
    assert!(copied.is_none(), "it was copied to the end");
    to.shutdown(Shutdown::Write).unwrap();
    let (mut there, here) = (rest(other), rest(from));
    assert!(!here.is_empty(), "it went on to the end");
    there.extend(here);
    assert!(there.len() == BYTES && there.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
}

#[test]
fn a_copy_that_never_waits_is_cancelled_between_two_steps() {
    let copy = |from: &UnixStream, to: &UnixStream| drop(copy_fd(from, to));
    is_ended(copy);
    on_one_worker(|| is_ended(copy));
}

/// A stream of which the runtime knows nothing.
struct Foreign<'a>(&'a UnixStream, &'a UnixStream);

impl Read for &Foreign<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&mut &*self.0).read(buffer)
    }
}

impl Write for &Foreign<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&mut &*self.1).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl abaca::io::Duplex for Foreign<'_> {
    fn shutdown_write(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_copy_both_ways_that_never_waits_is_cancelled_between_two_steps() {
    on_one_worker(|| {
        is_ended(|from, to| {
            // Nothing is read by the other way: it is at its end.
            let nothing = UnixStream::pair().unwrap().0;
            let _ = copy_bidirectional(&Foreign(&nothing, to), &Foreign(from, &nothing));
        });
    });
}

/// A pipe whose end is given its own begin, an echo without end.
#[test]
fn a_pipe_that_is_copied_to_itself_can_be_cancelled() {
    on_one_worker(|| {
        let (reader, mut writer) = abaca::io::pipe().unwrap();
        writer.write_all(b"round and round").unwrap();
        let token = CancellationToken::new();
        let copied = token.run_until_cancelled(|| {
            token.cancel();
            copy_fd(&reader, &writer)
        });
        assert!(copied.is_none());
    });
}
