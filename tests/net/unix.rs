//! The parts of Unix sockets that std has on nightly only (passing descriptors and credentials, peeking), and cancellation.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::Cancelled;
use abaca::net::unix::{
    AncillaryData, SocketAddr, SocketAncillary, SocketCred, UnixDatagram, UnixListener, UnixStream,
};
use abaca::net::{Shutdown, TcpStream};

use abaca_tests::{begun, on_one_worker};

use super::kinds::{builders, on_each_runtime};

/// The descriptors that came, and the credentials.
fn take(ancillary: &mut SocketAncillary<'_>) -> (Vec<OwnedFd>, Vec<SocketCred>) {
    let (mut fds, mut creds) = (Vec::new(), Vec::new());
    for message in ancillary.messages() {
        match message.expect("a known kind") {
            AncillaryData::ScmRights(rights) => fds.extend(rights),
            AncillaryData::ScmCredentials(credentials) => creds.extend(credentials),
        }
    }
    (fds, creds)
}

/// Sends one byte and these descriptors.
fn send_fds(stream: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let mut room = [0; 256];
    let mut ancillary = SocketAncillary::new(&mut room);
    assert!(ancillary.add_fds(fds));
    assert_eq!(stream.send_vectored_with_ancillary(&[IoSlice::new(b"x")], &mut ancillary).unwrap(), 1);
}

fn receive(stream: &UnixStream, ancillary: &mut SocketAncillary<'_>) -> usize {
    stream.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0; 16])], ancillary).unwrap()
}

/// Whether nobody holds the writing end of this pipe.
fn is_closed(mut reader: impl Read) -> bool {
    reader.read(&mut [0]).unwrap() == 0
}

#[test]
fn descriptors_arrive_owned_and_closed_on_exec() {
    on_each_runtime(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let receiving = abaca::spawn(move || {
            let mut room = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut room);
            // Waits.
            assert_eq!(receive(&theirs, &mut ancillary), 1);
            assert!(!ancillary.truncated() && !ancillary.is_empty());
            take(&mut ancillary).0
        });
        abaca::yield_now();
        let pipes = [pipe().unwrap(), pipe().unwrap()];
        send_fds(&ours, &[pipes[0].1.as_fd(), pipes[1].1.as_fd()]);
        let received = receiving.join().unwrap();
        assert_eq!(received.len(), 2);
        for ((mut reader, writer), fd) in pipes.into_iter().zip(received) {
            drop(writer);
            let flags = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_owned();
            assert_ne!(u32::from_str_radix(&flags, 8).unwrap() & 0o2_000_000, 0, "O_CLOEXEC in {flags}");
            let mut file = File::from(fd);
            file.write_all(b"passed").unwrap();
            drop(file);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "passed");
        }
    });
}

#[test]
fn descriptors_that_nobody_takes_are_closed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut room = [0; 64];
    // Dropped, cleared, replaced by the next message, or by something to send.
    for way in 0..4 {
        let (reader, writer) = pipe().unwrap();
        send_fds(&ours, &[writer.as_fd()]);
        drop(writer);
        let mut ancillary = SocketAncillary::new(&mut room);
        receive(&theirs, &mut ancillary);
        match way {
            0 => drop(ancillary),
            1 => ancillary.clear(),
            2 => {
                (&ours).write_all(b"y").unwrap();
                receive(&theirs, &mut ancillary);
                assert!(ancillary.is_empty());
            }
            _ => assert!(ancillary.add_fds(&[])),
        }
        assert!(is_closed(reader));
    }
}

#[test]
fn a_descriptor_is_taken_once() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    send_fds(&ours, &[writer.as_fd(), writer.as_fd()]);
    drop(writer);
    let mut room = [0; 64];
    let mut ancillary = SocketAncillary::new(&mut room);
    receive(&theirs, &mut ancillary);
    let first = match ancillary.messages().next().unwrap().unwrap() {
        AncillaryData::ScmRights(mut rights) => rights.next().unwrap(),
        AncillaryData::ScmCredentials(_) => panic!("not sent"),
    };
    let rest = take(&mut ancillary).0;
    assert_eq!(rest.len(), 1);
    assert!(take(&mut ancillary).0.is_empty());
    drop(ancillary);
    assert_ne!(first.as_raw_fd(), rest[0].as_raw_fd());
    drop((first, rest));
    assert!(is_closed(reader));
}

#[test]
fn descriptors_to_be_sent_are_not_given_out() {
    let (reader, _writer) = pipe().unwrap();
    let mut room = [0; 64];
    let mut ancillary = SocketAncillary::new(&mut room);
    assert!(ancillary.is_empty() && ancillary.capacity() == 64);
    assert!(ancillary.add_fds(&[reader.as_fd()]));
    assert_eq!(ancillary.len(), 24);
    assert_eq!(ancillary.messages().count(), 0);
}

#[test]
fn too_little_room_is_reported() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    let mut small = [0; 20];
    let mut ancillary = SocketAncillary::new(&mut small);
    // 16 bytes of header and one descriptor fit; the padding to the next word does not.
    assert!(!ancillary.add_fds(&[reader.as_fd()]));
    assert!(!ancillary.add_creds(&[SocketCred::new()]));
    assert!(ancillary.is_empty());
    send_fds(&ours, &[writer.as_fd(); 5]);
    drop(writer);
    receive(&theirs, &mut ancillary);
    assert!(ancillary.truncated());
    let taken = take(&mut ancillary).0;
    assert!(taken.len() < 5, "the kernel closes what does not fit");
    drop(taken);
    drop(ancillary);
    assert!(is_closed(reader));
}

#[test]
fn credentials_are_the_senders_own() {
    on_each_runtime(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = ours.peer_cred().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(peer.pid, Some(pid));
        assert!(!theirs.passcred().unwrap());
        theirs.set_passcred(true).unwrap();
        assert!(theirs.passcred().unwrap());
        let mut own = SocketCred::new();
        own.set_pid(pid);
        own.set_uid(peer.uid);
        own.set_gid(peer.gid);
        let mut room = [0; 128];
        let mut ancillary = SocketAncillary::new(&mut room);
        assert!(ancillary.add_creds(&[own]));
        ours.send_vectored_with_ancillary(&[IoSlice::new(b"me")], &mut ancillary).unwrap();
        assert_eq!(receive(&theirs, &mut ancillary), 2);
        assert_eq!(take(&mut ancillary).1, [own]);
        // And without being asked.
        (&ours).write_all(b"plain").unwrap();
        receive(&theirs, &mut ancillary);
        let creds = take(&mut ancillary).1;
        assert_eq!((creds[0].get_pid(), creds[0].get_uid(), creds[0].get_gid()), (pid, peer.uid, peer.gid));
    });
}

#[test]
fn datagrams_carry_descriptors_and_say_when_they_are_cut_off() {
    on_each_runtime(|| {
        let folder = super::Folder::new();
        let path = folder.path("receiver");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let (reader, writer) = pipe().unwrap();
        let (mut out, mut incoming) = ([0; 64], [0; 64]);
        let mut ancillary = SocketAncillary::new(&mut out);
        assert!(ancillary.add_fds(&[writer.as_fd()]));
        let slices = [IoSlice::new(b"data"), IoSlice::new(b"gram")];
        assert_eq!(sender.send_vectored_with_ancillary_to(&slices, &mut ancillary, &path).unwrap(), 8);
        sender.connect(&path).unwrap();
        assert_eq!(sender.send_vectored_with_ancillary(&slices, &mut ancillary).unwrap(), 8);
        drop(ancillary);
        drop(writer);
        let mut received = SocketAncillary::new(&mut incoming);
        let mut buffer = [0; 5];
        let buffers = &mut [IoSliceMut::new(&mut buffer)];
        let (length, truncated, from) =
            receiver.recv_vectored_with_ancillary_from(buffers, &mut received).unwrap();
        assert!(truncated && from.is_unnamed());
        assert_eq!((length, take(&mut received).0.len()), (5, 1));
        let mut buffer = [0; 8];
        let buffers = &mut [IoSliceMut::new(&mut buffer)];
        assert_eq!(receiver.recv_vectored_with_ancillary(buffers, &mut received).unwrap(), (8, false));
        assert_eq!(take(&mut received).0.len(), 1);
        assert!(is_closed(reader));
    });
}

#[test]
fn a_peek_takes_nothing() {
    on_each_runtime(|| {
        let (one, mut other) = UnixStream::pair().unwrap();
        let peeking = abaca::spawn(move || {
            let mut buffer = [0; 8];
            let peeked = [one.peek(&mut buffer[..2]).unwrap(), one.peek(&mut buffer).unwrap()];
            (peeked, (&one).read(&mut buffer).unwrap())
        });
        abaca::yield_now();
        other.write_all(b"four").unwrap();
        assert_eq!(peeking.join().unwrap(), ([2, 4], 4));
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"peek").unwrap();
        assert_eq!(other.peek(&mut [0; 8]).unwrap(), 4);
        let (length, from) = other.peek_from(&mut [0; 2]).unwrap();
        assert!(length == 2 && from.is_unnamed());
        assert_eq!(other.recv(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn unix_sockets_go_from_std_and_back_with_their_timeouts() {
    use std::os::unix::net;
    let (one, other) = net::UnixStream::pair().unwrap();
    one.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
    let mut ours = UnixStream::from(one);
    assert_eq!(ours.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    ours.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    let back = net::UnixStream::from(ours);
    assert_eq!(back.write_timeout().unwrap(), Some(Duration::from_secs(3)));
    let again = UnixStream::from(OwnedFd::from(back));
    assert!(again.peer_addr().unwrap().is_unnamed());
    drop(other);
    let listener = net::UnixListener::bind_addr(&SocketAddr::from_pathname("").unwrap()).unwrap();
    let listener = net::UnixListener::from(UnixListener::from(listener));
    assert!(!socket2::SockRef::from(&listener).nonblocking().unwrap());
    let (one, _other) = net::UnixDatagram::pair().unwrap();
    let one = net::UnixDatagram::from(UnixDatagram::from(one));
    assert!(one.peer_addr().unwrap().is_unnamed());
}

/// Counts its drops: destructors ran.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn every_wait_for_a_unix_or_udp_socket_is_cancelled_and_ended_by_a_shutdown() {
    for (builder, one_by_one) in builders().flat_map(|builder| [(builder.clone(), false), (builder, true)]) {
        let runtime = builder.build().unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let unnamed = SocketAddr::from_pathname("").unwrap();
        let listener = UnixListener::bind_addr(&unnamed).unwrap();
        let full = UnixListener::bind_addr(&unnamed).unwrap();
        socket2::SockRef::from(&full).listen(0).unwrap();
        let full_address = full.local_addr().unwrap();
        let _queued = UnixStream::connect_addr(&full_address).unwrap();
        let receiver = UnixDatagram::bind_addr(&unnamed).unwrap();
        let receiver_address = receiver.local_addr().unwrap();
        let udp = abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let [(stream, _stream_peer), (writer, _writer_peer), (passing, _passing_peer)] =
            [(); 3].map(|()| UnixStream::pair().unwrap());
        let (datagram, _datagram_peer) = UnixDatagram::pair().unwrap();
        let bodies: Vec<Box<dyn FnOnce() + Send>> = vec![
            Box::new(move || drop((&stream).read(&mut [0]))),
            Box::new(move || drop((&writer).write_all(&vec![0; 64 << 20]))),
            Box::new(move || {
                receive(&passing, &mut SocketAncillary::new(&mut [0; 32]));
            }),
            Box::new(move || drop(listener.accept())),
            Box::new(move || drop(UnixStream::connect_addr(&full_address))),
            Box::new(move || drop(datagram.recv_from(&mut [0]))),
            Box::new(move || {
                let sender = UnixDatagram::unbound().unwrap();
                while sender.send_to_addr(b"x", &receiver_address).is_ok() {}
            }),
            Box::new(move || drop(udp.recv_from(&mut [0]))),
        ];
        let count = bodies.len();
        let spawn = |body: Box<dyn FnOnce() + Send>| {
            let counted = Counted(Arc::clone(&dropped));
            runtime.spawn(move || {
                let _counted = counted;
                body();
            })
        };
        let fibers: Vec<_> = bodies.into_iter().map(spawn).collect();
        // They wait, or are about to.
        runtime.run(abaca::yield_now);
        if one_by_one {
            fibers.iter().for_each(abaca::JoinHandle::cancel);
        }
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        for fiber in fibers {
            assert!(fiber.join().unwrap_err().is::<Cancelled>());
        }
        assert_eq!(dropped.load(Ordering::SeqCst), count);
        drop((full, receiver));
    }
}

/// A datagram that comes between the call that finds none and the look for the end is received first.
#[test]
fn the_end_comes_after_what_was_sent_before_it() {
    const ROUNDS: usize = 20_000;
    abaca_tests::on_one_worker(|| {
        let (hand_over, pairs) = std::sync::mpsc::channel::<(UnixDatagram, UnixDatagram)>();
        let at_once = Arc::new(AtomicUsize::new(0));
        let meet = |at_once: &AtomicUsize, round: usize| {
            at_once.fetch_add(1, Ordering::SeqCst);
            while at_once.load(Ordering::SeqCst) < 2 * round {
                std::thread::yield_now();
            }
        };
        let theirs = Arc::clone(&at_once);
        let sending = std::thread::spawn(move || {
            for (n, (sender, receiver)) in pairs.into_iter().enumerate() {
                meet(&theirs, n + 1);
                sender.send(b"last").unwrap();
                receiver.shutdown(Shutdown::Read).unwrap();
            }
        });
        for n in 0..ROUNDS {
            let (ours, sender) = UnixDatagram::pair().unwrap();
            hand_over.send((sender, ours.try_clone().unwrap())).unwrap();
            meet(&at_once, n + 1);
            (0..n % 64).for_each(|_| std::hint::spin_loop());
            let mut buffer = [0; 8];
            assert_eq!(ours.recv(&mut buffer).unwrap(), 4, "round {n}");
            assert_eq!(ours.recv(&mut buffer).unwrap(), 0);
        }
        drop(hand_over);
        sending.join().unwrap();
    });
}

/// What comes with descriptors ends a read of the kernel's although more has come. A type that takes a short read of its socket for all that
/// there is would wait for ever, for an event that has been.
#[test]
fn a_read_that_ends_early_is_not_the_last_in_a_stream_of_tcps_type() {
    on_one_worker(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = TcpStream::from(OwnedFd::from(ours));
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let reader = begun(move || {
            let mut buffer = [0; 8];
            let first = ours.read(&mut buffer).unwrap();
            (first, ours.read(&mut buffer).map_err(|error| error.kind()), buffer[0])
        });
        send_fds(&theirs, &[pipe().unwrap().0.as_fd()]);
        theirs.write_all(b"more").unwrap();
        assert_eq!(reader.join().unwrap(), (1, Ok(4), b'm'));
    });
}
