//! Sockets of all kinds, and names.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use abaca::Runtime;
use abaca::net::unix::{AncillaryData, SocketAncillary};
use abaca::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use abaca::net::{UnixDatagram, UnixListener, UnixStream};

use super::{joined, on, on_fibers, right, spawn};

/// Longer than the buffers of a socket.
const BYTES: usize = 1 << 20;

/// What came back of what was sent.
fn there_and_back(stream: TcpStream) -> io::Result<usize> {
    // A server that cannot accept never answers.
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let mut sending = stream.try_clone()?;
    let sender = spawn(move || {
        let sent = sending.write_all(&vec![7; BYTES]);
        // The other side may have closed; then the reader below sees why.
        sent.and_then(|()| sending.shutdown(Shutdown::Write))
    })?;
    let mut back = Vec::new();
    let received = (&stream).read_to_end(&mut back);
    // So that the sender sees it too.
    let _ = stream.shutdown(Shutdown::Both);
    joined(sender)?;
    received?;
    Ok(back.len())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

fn tcp_body() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        echo(stream)
    })?;
    match TcpStream::connect(address).and_then(there_and_back) {
        Ok(length) => {
            joined(server)?;
            right(length, BYTES)
        }
        Err(error) => {
            // It may wait for a client that never came.
            server.cancel();
            Err(error)
        }
    }
}

pub(super) fn tcp() -> io::Result<()> {
    on_fibers(tcp_body)
}

pub(super) fn tcp_on_a_poller_thread() -> io::Result<()> {
    on(Runtime::builder().workers(2).poller(abaca::runtime::Poller::Thread), tcp_body)
}

pub(super) fn server() -> io::Result<()> {
    on_fibers(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let failed = Arc::new(Mutex::new(Ok(())));
        let failing = Arc::clone(&failed);
        let server = listener.serve(move |stream, _| {
            if let Err(error) = echo(stream) {
                *failing.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
            }
        });
        let lengths: Vec<_> = (0..3).map(|_| TcpStream::connect(address).and_then(there_and_back)).collect();
        server.stop();
        let stopped = server.stopped();
        server.drain(Duration::from_secs(5));
        stopped?;
        std::mem::replace(&mut *failed.lock().unwrap_or_else(PoisonError::into_inner), Ok(()))?;
        right(lengths.into_iter().collect::<io::Result<Vec<_>>>()?, vec![BYTES; 3])
    })
}

pub(super) fn udp() -> io::Result<()> {
    on_fibers(|| {
        let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        other.set_read_timeout(Some(Duration::from_secs(5)))?;
        one.connect(other.local_addr()?)?;
        let own = one.local_addr()?;
        let receiver = spawn(move || {
            let mut buffer = [0; 16];
            let (length, from) = other.recv_from(&mut buffer)?;
            other.send_to(&buffer[..length], from)?;
            Ok(from)
        })?;
        abaca::yield_now();
        if let Err(error) = one.send(b"ping") {
            receiver.cancel();
            return Err(error);
        }
        let from = joined(receiver)?;
        let mut buffer = [0; 16];
        let length = one.recv(&mut buffer)?;
        right((from, &buffer[..length]), (own, b"ping"))
    })
}

pub(super) fn unix() -> io::Result<()> {
    on_fibers(|| {
        let path = std::env::temp_dir().join(format!("abaca-fault-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let result = unix_at(&path);
        let _ = std::fs::remove_file(&path);
        result?;
        let (one, other) = UnixDatagram::pair()?;
        one.send(b"datagram")?;
        let mut buffer = [0; 16];
        let length = other.recv(&mut buffer)?;
        right(&buffer[..length], b"datagram")
    })
}

fn unix_at(path: &std::path::Path) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    let server = spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        stream.write_all(text.to_uppercase().as_bytes())
    })?;
    let client = UnixStream::connect(path).and_then(|mut stream| {
        stream.write_all(b"quiet")?;
        stream.shutdown(Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    });
    match client {
        Err(error) => {
            server.cancel();
            Err(error)
        }
        Ok(text) => {
            joined(server)?;
            right(text, "QUIET".into())
        }
    }
}

pub(super) fn descriptors_sent() -> io::Result<()> {
    on_fibers(|| {
        let (one, other) = UnixStream::pair()?;
        let (reader, mut writer) = io::pipe()?;
        let sender = spawn(move || {
            let mut room = [0; 128];
            let mut ancillary = SocketAncillary::new(&mut room);
            right(ancillary.add_fds(&[reader.as_fd()]), true)?;
            one.send_vectored_with_ancillary(&[IoSlice::new(b"x")], &mut ancillary).map(drop)
        })?;
        let (mut room, mut byte) = ([0; 128], [0]);
        let mut ancillary = SocketAncillary::new(&mut room);
        let received = other.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut byte)], &mut ancillary);
        joined(sender)?;
        right(received?, 1)?;
        writer.write_all(b"through")?;
        drop(writer);
        let mut text = String::new();
        for message in ancillary.messages() {
            if let Ok(AncillaryData::ScmRights(fds)) = message {
                for fd in fds {
                    std::fs::File::from(fd).read_to_string(&mut text)?;
                }
            }
        }
        right(text, "through".into())
    })
}

pub(super) fn names() -> io::Result<()> {
    on_fibers(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mut addresses = ("localhost", port).to_socket_addrs()?;
        right(addresses.all(|address| address.ip().is_loopback()), true)?;
        TcpStream::connect(("localhost", port)).map(drop)
    })
}
