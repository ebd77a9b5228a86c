//! Streams: bytes both ways, ends, resets, timeouts, sharing.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use abaca::net::TcpStream;

use super::{echo_server, on_thread, pair, read_all};

#[abaca::test]
fn many_connections_are_echoed_at_once() {
    let address = echo_server();
    let clients: Vec<_> = (0..200_u32)
        .map(|n| {
            abaca::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                for round in 0..20 {
                    let message = (n * 1_000 + round).to_le_bytes();
                    stream.write_all(&message).unwrap();
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, message);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn it_works_on_a_plain_thread() {
    let (mut ours, mut peer) = pair();
    let thread = std::thread::spawn(move || {
        let mut bytes = [0; 5];
        peer.read_exact(&mut bytes).unwrap();
        peer.write_all(&bytes).unwrap();
    });
    ours.write_all(b"hello").unwrap();
    assert_eq!(read_all(&ours), b"hello");
    thread.join().unwrap();
    ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0, "the end comes before the timeout");
}

#[abaca::test]
fn the_end_is_seen_whether_it_comes_with_the_data_or_after() {
    for _ in 0..200 {
        let (ours, mut peer) = pair();
        // In one packet, more or less, so that the event for both may be one.
        peer.write_all(b"last words").unwrap();
        drop(peer);
        let mut buffer = [0; 1024];
        let first = (&ours).read(&mut buffer).unwrap();
        assert_eq!(&buffer[..first], b"last words");
        assert_eq!((&ours).read(&mut buffer).unwrap(), 0);
    }
    for _ in 0..50 {
        let (mut ours, mut peer) = pair();
        let thread = std::thread::spawn(move || {
            peer.write_all(b"one").unwrap();
            peer.read_exact(&mut [0]).unwrap();
        });
        let mut buffer = [0; 1024];
        // A short read, after which the end comes as an event of its own.
        assert_eq!(ours.read(&mut buffer).unwrap(), 3);
        ours.write_all(b"!").unwrap();
        assert_eq!(ours.read(&mut buffer).unwrap(), 0);
        thread.join().unwrap();
    }
}

#[abaca::test]
fn a_half_close_leaves_the_other_direction_open() {
    let (mut ours, peer) = pair();
    let thread = std::thread::spawn(move || {
        let all = read_all(&peer);
        (&peer).write_all(&all).unwrap();
    });
    ours.write_all(b"question").unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&ours), b"question");
    assert_eq!(ours.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    thread.join().unwrap();
}

#[abaca::test]
fn a_reset_ends_a_write_that_waits_and_a_read() {
    let (mut ours, peer) = pair();
    let writer = abaca::spawn({
        let mut ours = ours.try_clone().unwrap();
        move || {
            loop {
                if let Err(error) = ours.write_all(&[0; 65_536]) {
                    return error.kind();
                }
            }
        }
    });
    // Unread data and a linger of zero: closing resets the connection.
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    on_thread(move || {
        (&peer).read_exact(&mut vec![0; 100_000]).unwrap();
        drop(peer);
    });
    assert!(matches!(writer.join().unwrap(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    assert!(matches!(
        ours.read(&mut [0; 1]).map_err(|error| error.kind()),
        Ok(0) | Err(ErrorKind::ConnectionReset)
    ));
}

#[abaca::test]
fn large_transfers_keep_their_order_under_back_pressure() {
    const TOTAL: usize = 16 << 20;
    let (ours, peer) = pair();
    let thread = std::thread::spawn(move || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let bytes: Vec<u8> = (0..TOTAL).map(|n| (n / 7) as u8).collect();
                (&peer).write_all(&bytes).unwrap();
            });
            let mut bytes = vec![0; TOTAL];
            (&peer).read_exact(&mut bytes).unwrap();
            assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == (n / 3) as u8));
        });
    });
    abaca::scope(|scope| {
        scope.spawn(|| {
            let bytes: Vec<u8> = (0..TOTAL).map(|n| (n / 3) as u8).collect();
            (&ours).write_all(&bytes).unwrap();
        });
        scope.spawn(|| {
            let mut bytes = vec![0; TOTAL];
            (&ours).read_exact(&mut bytes).unwrap();
            assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == (n / 7) as u8));
        });
    });
    thread.join().unwrap();
}

#[abaca::test]
fn timeouts_are_errors_as_in_std_and_the_stream_goes_on() {
    let (mut ours, mut peer) = pair();
    peer.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let expected = peer.read(&mut [0; 1]).unwrap_err().kind();
    ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    // The kernel keeps it, rounded to its clock's ticks.
    assert_eq!(ours.read_timeout().unwrap(), peer.read_timeout().unwrap());
    for _ in 0..3 {
        assert_eq!(ours.read(&mut [0; 1]).unwrap_err().kind(), expected);
    }
    peer.write_all(b"late").unwrap();
    ours.set_read_timeout(None).unwrap();
    let mut bytes = [0; 4];
    ours.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"late");

    ours.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
    let error = loop {
        if let Err(error) = ours.write(&[0; 65_536]) {
            break error;
        }
    };
    assert_eq!(error.kind(), expected);
    let zero = Some(Duration::ZERO);
    assert_eq!(ours.set_read_timeout(zero).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ours.set_write_timeout(zero).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[abaca::test]
fn a_peek_takes_nothing() {
    let (mut ours, mut peer) = pair();
    peer.write_all(b"peek").unwrap();
    let mut buffer = [0; 8];
    for _ in 0..3 {
        let seen = ours.peek(&mut buffer).unwrap();
        assert_eq!(&buffer[..seen], b"peek");
    }
    let read = ours.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..read], b"peek");
}

#[abaca::test]
fn vectored_calls_gather_and_scatter() {
    let (mut ours, mut peer) = pair();
    let written = ours.write_vectored(&[IoSlice::new(b"ga"), IoSlice::new(b"ther")]).unwrap();
    let mut bytes = vec![0; written];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, b"gather");
    peer.write_all(b"scatter").unwrap();
    let (mut one, mut two) = ([0; 3], [0; 8]);
    let read = ours.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
    assert_eq!((read, &one, &two[..4]), (7, b"sca", &b"tter"[..]));
    // Nothing is there, and std does not wait for it either.
    assert_eq!(ours.read_vectored(&mut []).unwrap(), 0);
    assert_eq!(ours.read_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])]).unwrap(), 0);
    let (mut unix, _peer) = abaca::net::UnixStream::pair().unwrap();
    assert_eq!(unix.read_vectored(&mut []).unwrap(), 0);
}

#[abaca::test]
fn a_fiber_reads_while_another_writes_and_several_read() {
    let (ours, mut peer) = pair();
    let thread = std::thread::spawn(move || {
        let mut bytes = [0; 100];
        peer.read_exact(&mut bytes).unwrap();
        for byte in bytes {
            peer.write_all(&[byte]).unwrap();
        }
    });
    let sum = std::sync::atomic::AtomicU32::new(0);
    abaca::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut byte = [0];
                while (&ours).read(&mut byte).unwrap() == 1 {
                    sum.fetch_add(u32::from(byte[0]), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for n in 0..100 {
                (&ours).write_all(&[n]).unwrap();
                abaca::yield_now();
            }
        });
    });
    assert_eq!(sum.into_inner(), 4_950);
    thread.join().unwrap();
}

#[abaca::test(workers = 1)]
fn an_always_ready_peer_does_not_starve_a_neighbour() {
    let (mut reader, mut writer) = std::io::pipe()
        .map(|(reader, writer)| {
            (abaca::io::Pollable::new(reader).unwrap(), abaca::io::Pollable::new(writer).unwrap())
        })
        .unwrap();
    let turns = std::rc::Rc::new(std::cell::Cell::new(0));
    let neighbour = std::rc::Rc::clone(&turns);
    let handle = abaca::spawn_local(move || {
        for _ in 0..10 {
            neighbour.set(neighbour.get() + 1);
            abaca::yield_now();
        }
    });
    // None of these operations ever blocks.
    for _ in 0..5_000 {
        writer.write_all(&[1]).unwrap();
        reader.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(turns.get(), 10);
    handle.join().unwrap();
}

/// A call takes 1024 slices at most. That it moves less than there is in all of them says nothing of the kernel's buffers.
#[abaca::test]
fn more_slices_than_a_call_takes_hold_nothing_up() {
    const SLICES: usize = 2_000;
    const LIMIT: usize = 1_024;
    let (mut ours, mut peer) = pair();
    // A wait registers the stream; before, short calls are not noted.
    ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let long = Some(Duration::from_secs(60));
    ours.set_read_timeout(long).unwrap();
    ours.set_write_timeout(long).unwrap();

    let slices = [IoSlice::new(b"x"); SLICES];
    assert_eq!(ours.write_vectored(&slices).unwrap(), LIMIT);
    assert_eq!(ours.write_vectored(&slices[LIMIT..]).unwrap(), SLICES - LIMIT);

    peer.write_all(&[b'y'; SLICES]).unwrap();
    while ours.peek(&mut [0; SLICES]).unwrap() < SLICES {
        abaca::yield_now();
    }
    let mut bytes = [0; SLICES];
    let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    assert_eq!(ours.read_vectored(&mut buffers).unwrap(), LIMIT);
    assert_eq!(ours.read_vectored(&mut buffers[LIMIT..]).unwrap(), SLICES - LIMIT);
    assert_eq!(bytes, [b'y'; SLICES]);
}
