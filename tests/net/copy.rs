//! Copying both ways between two streams.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use abaca::Cancelled;
use abaca::io::{Duplex, copy_bidirectional};
use abaca::net::{TcpListener, TcpStream, UnixStream};
use abaca::time::timeout;
use socket2::SockRef;

use super::kinds::on_each_runtime;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn each_end_is_passed_on_while_the_other_direction_goes_on() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), UnixStream::pair().unwrap());
        let proxy = abaca::spawn(move || copy_bidirectional(&front, &back).unwrap());
        (&client).write_all(&[1; 100_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&server), [1; 100_000]);
        // The question has ended; the answer has not begun.
        let answering = abaca::spawn(move || (&server).write_all(&[2; 300_000]).unwrap());
        assert_eq!(read_all(&client), [2; 300_000]);
        answering.join().unwrap();
        assert_eq!(proxy.join().unwrap(), (100_000, 300_000));
    });
}

#[test]
fn the_other_side_may_end_first() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), tcp_pair());
        let proxy = abaca::spawn(move || copy_bidirectional(&front, &back).unwrap());
        (&server).write_all(b"greeting").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&client), b"greeting");
        (&client).write_all(b"late question").unwrap();
        drop(client);
        assert_eq!(read_all(&server), b"late question");
        assert_eq!(proxy.join().unwrap(), (13, 8));
    });
}

#[test]
fn a_reset_of_one_direction_ends_the_other_which_waits() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), tcp_pair());
        let proxy = abaca::spawn(move || copy_bidirectional(&front, &back));
        (&client).write_all(b"x").unwrap();
        (&server).read_exact(&mut [0]).unwrap();
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        // The server says nothing: only the error can end this.
        assert_eq!(proxy.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(read_all(&server), b"");
    });
}

#[test]
fn a_write_to_a_side_that_has_gone_is_an_error() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), UnixStream::pair().unwrap());
        drop(server);
        (&client).write_all(b"to nobody").unwrap();
        let error = copy_bidirectional(&front, &back).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_cancellation_ends_both_directions() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), tcp_pair());
        assert!(timeout(Duration::from_millis(1), || copy_bidirectional(&front, &back)).is_err());
        // Neither stream was harmed.
        let proxy = abaca::spawn(move || copy_bidirectional(&front, &back));
        (&client).write_all(b"x").unwrap();
        (&server).read_exact(&mut [0]).unwrap();
        proxy.cancel();
        assert!(proxy.join().unwrap_err().is::<Cancelled>());
        assert_eq!((read_all(client), read_all(server)), (vec![], vec![]));
    });
}

/// Stays open for writing when it is told to end.
struct Stubborn(UnixStream);

impl Read for &Stubborn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }
}

impl Write for &Stubborn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // In pieces.
        (&self.0).write(&bytes[..bytes.len().min(3)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Duplex for Stubborn {
    fn shutdown_write(&self) -> io::Result<()> {
        (&self.0).write_all(b".")
    }
}

#[test]
fn a_wrapper_sees_the_bytes_and_the_end() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let proxy = abaca::spawn(move || copy_bidirectional(&front, &Stubborn(back)).unwrap());
        (&client).write_all(b"a text").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        (&server).read_exact(&mut [0; 7]).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(proxy.join().unwrap(), (6, 0));
        assert_eq!(read_all(server), b"");
    });
}
