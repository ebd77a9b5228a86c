//! Closing what takes its time.

use std::os::fd::OwnedFd;
use std::time::Duration;

use abaca::net::{TcpStream, UnixStream};
use abaca_tests::{begun, on_one_worker};
use socket2::SockRef;

use super::room::fill;

/// A stream that has more to send than its peer takes, and whose close waits for the peer for a thousand seconds.
fn lingering(stream: TcpStream) -> TcpStream {
    stream.set_linger(Some(Duration::from_secs(1000))).unwrap();
    fill(&stream);
    stream
}

/// The peer reads only after the neighbour has run.
#[test]
fn closing_a_stream_that_lingers_blocks_only_its_fiber() {
    on_one_worker(|| {
        let (ours, theirs) = super::pair();
        let stream = lingering(ours);
        let dropping = begun(move || drop(stream));
        assert!(!dropping.is_finished());
        super::on_thread(move || super::read_all(theirs));
        dropping.join().unwrap();
    });
}

#[test]
fn linger_may_be_set_through_any_handle() {
    on_one_worker(|| {
        let (ours, theirs) = super::pair();
        let stream = lingering(ours);
        stream.set_linger(None).unwrap();
        // As a listener's streams do that was told to by another crate.
        SockRef::from(&stream).set_linger(Some(Duration::from_secs(1000))).unwrap();
        let dropping = begun(move || drop(stream));
        assert!(!dropping.is_finished());
        super::on_thread(move || super::read_all(theirs));
        dropping.join().unwrap();
    });
}

/// What the kernel has under a number is not always what the type says.
#[test]
fn a_stream_that_lingers_in_another_type_blocks_only_its_fiber_as_well() {
    on_one_worker(|| {
        let (ours, theirs) = super::pair();
        let stream = UnixStream::from(OwnedFd::from(lingering(ours)));
        let dropping = begun(move || drop(stream));
        assert!(!dropping.is_finished());
        super::on_thread(move || super::read_all(theirs));
        dropping.join().unwrap();
    });
}

/// A destructor that runs during an unwinding is no place to wait, and one of a cancelled fiber does not.
#[test]
fn a_fiber_that_unwinds_does_not_wait_for_the_close() {
    on_one_worker(|| {
        let (ours, theirs) = super::pair();
        let stream = lingering(ours);
        let fiber = begun(move || {
            let _stream = stream;
            abaca::park();
        });
        fiber.cancel();
        assert!(fiber.join().is_err());
        let (ours, their_other) = super::pair();
        let stream = lingering(ours);
        let dropping = begun(move || drop(stream));
        dropping.cancel();
        // It has done its work: the stream is on its way.
        dropping.join().unwrap();
        super::on_thread(move || drop((super::read_all(theirs), super::read_all(their_other))));
    });
}
