//! Conversions from and into std's sockets, and sockets that outlive their runtime.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};

use super::pair;

#[abaca::test]
fn a_stream_becomes_stds_and_comes_back() {
    let (ours, mut peer) = pair();
    ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut std = std::net::TcpStream::from(ours);
    assert_eq!(std.read_timeout().unwrap(), Some(Duration::from_secs(5)));
    let thread = std::thread::spawn(move || {
        peer.write_all(b"a").unwrap();
        peer.read_exact(&mut [0]).unwrap();
        peer.write_all(b"b").unwrap();
    });
    // Blocks, since it is std's: it must not say WouldBlock.
    let mut byte = [0];
    std.read_exact(&mut byte).unwrap();
    let mut ours = TcpStream::from(std);
    assert_eq!(ours.read_timeout().unwrap(), Some(Duration::from_secs(5)));
    ours.write_all(b"!").unwrap();
    ours.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"b");
    thread.join().unwrap();
}

#[test]
#[expect(unsafe_code, reason = "from_raw_fd is unsafe")]
fn descriptors_go_in_and_out() {
    let (ours, _peer) = pair();
    let raw = ours.as_raw_fd();
    assert_eq!(ours.as_fd().as_raw_fd(), raw);
    let owned = OwnedFd::from(ours);
    let ours = TcpStream::from(owned);
    let raw = ours.into_raw_fd();
    // SAFETY: the descriptor was just given out by its owner.
    let ours = unsafe { TcpStream::from_raw_fd(raw) };
    assert!(ours.peer_addr().is_ok());
    let listener = TcpListener::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let clone = listener.try_clone().unwrap();
    assert_eq!(std::net::TcpListener::from(listener).local_addr().unwrap(), clone.local_addr().unwrap());
    assert!(format!("{clone:?}").contains("TcpListener"));
}

#[test]
fn a_stream_outlives_its_runtime_and_is_used_in_the_next() {
    let (mut ours, mut peer) = pair();
    for round in 0..3_u8 {
        (ours, peer) = abaca::run(move || {
            let reader = abaca::spawn(move || {
                let mut byte = [0];
                // Parks, and so registers with this runtime's poller.
                ours.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [round]);
                ours
            });
            abaca::yield_now();
            peer.write_all(&[round]).unwrap();
            (reader.join().unwrap(), peer)
        });
    }
}

#[abaca::test]
fn options_return_what_was_set() {
    let (ours, _peer) = pair();
    ours.set_nodelay(true).unwrap();
    assert!(ours.nodelay().unwrap());
    ours.set_ttl(33).unwrap();
    assert_eq!(ours.ttl().unwrap(), 33);
    ours.set_linger(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(ours.linger().unwrap(), Some(Duration::from_secs(1)));
    // As long as the kernel can express.
    ours.set_linger(Some(Duration::MAX)).unwrap();
    assert_eq!(ours.linger().unwrap(), Some(Duration::from_secs(i32::MAX as u64)));
    ours.set_linger(None).unwrap();
    assert!(ours.take_error().unwrap().is_none());
    assert_eq!(ours.local_addr().unwrap(), ours.try_clone().unwrap().local_addr().unwrap());
    ours.set_nonblocking(true).unwrap();
    assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[abaca::test]
fn a_reused_descriptor_number_gets_no_event_of_the_old_one() {
    let address = super::echo_server();
    for round in 0..500_u32 {
        // Closed with an answer on its way: its event may come when the number is taken again.
        let mut first = TcpStream::connect(address).unwrap();
        first.set_read_timeout(Some(Duration::from_micros(1))).unwrap();
        first.write_all(b"stale").unwrap();
        let _ = first.read(&mut [0]);
        drop(first);
        let mut second = TcpStream::connect(address).unwrap();
        second.write_all(&round.to_le_bytes()).unwrap();
        let mut answer = [0; 4];
        second.read_exact(&mut answer).unwrap();
        assert_eq!(answer, round.to_le_bytes());
    }
}
