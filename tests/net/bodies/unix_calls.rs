//! What a program does with Unix streams and listeners, and what it observes. `super` decides whose they are.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Result, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::path::Path;
use std::time::Duration;

use socket2::SockRef;

use super::thread;
use super::unix::{SocketAddr, UnixListener, UnixStream};
use crate::Folder;

/// A listener with a name that the kernel has chosen.
fn listener() -> (UnixListener, SocketAddr) {
    let listener = UnixListener::bind_addr(&SocketAddr::from_pathname("").unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

pub(crate) fn a_path_is_listened_at_and_connected_to() -> (bool, bool, bool, Vec<u8>) {
    let folder = Folder::new();
    let path = folder.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
    let connecting = thread::spawn(move || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"by path").unwrap();
        (stream.peer_addr().unwrap().as_pathname() == Some(&path), stream.local_addr().unwrap().is_unnamed())
    });
    let (mut stream, peer) = listener.accept().unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let (named, unnamed) = connecting.join().unwrap();
    (named, unnamed, peer.is_unnamed(), text)
}

pub(crate) fn an_abstract_name_is_listened_at_and_connected_to() -> (usize, bool) {
    let (listener, address) = listener();
    let again = SocketAddr::from_abstract_name(address.as_abstract_name().unwrap()).unwrap();
    let connecting = thread::spawn(move || UnixStream::connect_addr(&again).unwrap());
    let (_stream, peer) = listener.accept().unwrap();
    let stream = connecting.join().unwrap();
    let connected_to = stream.peer_addr().unwrap();
    assert_eq!(connected_to.as_abstract_name(), address.as_abstract_name());
    (address.as_abstract_name().unwrap().len(), peer.is_unnamed())
}

pub(crate) fn a_pair_talks_both_ways_at_once() -> (usize, usize) {
    let (one, other) = UnixStream::pair().unwrap();
    let (writer, clone) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let bytes = |number: u8| vec![number; 1 << 20];
    let read = |mut stream: UnixStream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received.iter().map(|byte| usize::from(*byte)).sum::<usize>()
    };
    let write = move |stream: UnixStream, number| {
        (&stream).write_all(&bytes(number)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    };
    let reading = [one, other].map(|stream| thread::spawn(move || read(stream)));
    let writing =
        [(writer, 1), (clone, 2)].map(|(stream, number)| thread::spawn(move || write(stream, number)));
    writing.into_iter().for_each(|fiber| fiber.join().unwrap());
    let [one, other] = reading.map(|fiber| fiber.join().unwrap());
    (one, other)
}

pub(crate) fn a_half_closed_pair_still_carries_the_other_half() -> (Vec<u8>, Vec<u8>) {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    let answering = thread::spawn(move || {
        let mut question = Vec::new();
        other.read_to_end(&mut question).unwrap();
        assert_eq!(other.write_vectored(&[IoSlice::new(b"an "), IoSlice::new(b"answer")]).unwrap(), 9);
        question
    });
    one.write_all(b"a question").unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    let mut first = [0; 2];
    let mut rest = [0; 16];
    let length = one.read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut rest)]).unwrap();
    assert_eq!(length, 9);
    (answering.join().unwrap(), [&first[..], &rest[..7]].concat())
}

pub(crate) fn unix_reads_time_out_and_can_go_on() -> Vec<ErrorKind> {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    let seen = vec![
        kind(one.read(&mut [0])),
        kind(one.read(&mut [])),
        kind(one.set_read_timeout(Some(Duration::ZERO))),
        kind(one.set_write_timeout(Some(Duration::ZERO))),
    ];
    one.set_read_timeout(None).unwrap();
    assert_eq!(one.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0, "it does not wait");
    assert_eq!(one.read_timeout().unwrap(), None);
    let reading = thread::spawn(move || one.read(&mut [0]).unwrap());
    other.write_all(b"x").unwrap();
    assert_eq!(reading.join().unwrap(), 1);
    seen
}

pub(crate) fn a_unix_write_times_out() -> ErrorKind {
    let (mut one, _other) = UnixStream::pair().unwrap();
    one.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
    loop {
        match one.write(&[0; 10_000]) {
            Ok(_) => {}
            result => return kind(result),
        }
    }
}

pub(crate) fn a_unix_shutdown_ends_a_read_and_an_accept_that_wait() -> (usize, ErrorKind) {
    let (one, _other) = UnixStream::pair().unwrap();
    let mut clone = one.try_clone().unwrap();
    let reading = thread::spawn(move || clone.read(&mut [0]).unwrap());
    let (listener, _) = listener();
    let acceptor = listener.try_clone().unwrap();
    let accepting = thread::spawn(move || kind(acceptor.accept()));
    thread::yield_now();
    one.shutdown(Shutdown::Read).unwrap();
    SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
    (reading.join().unwrap(), accepting.join().unwrap())
}

pub(crate) fn unix_errors_are_the_same() -> Vec<String> {
    let folder = Folder::new();
    let path = folder.path("socket");
    drop(UnixListener::bind(&path).unwrap());
    let long = "x".repeat(200);
    let (_listener, address) = listener();
    [
        // Nobody listens there any more.
        UnixStream::connect(&path).map(drop),
        UnixStream::connect(folder.path("nothing")).map(drop),
        UnixStream::connect("").map(drop),
        UnixStream::connect("a\0b").map(drop),
        UnixStream::connect(&long).map(drop),
        UnixStream::connect_addr(&SocketAddr::from_pathname("").unwrap()).map(drop),
        UnixListener::bind(&path).map(drop),
        UnixListener::bind("a\0b").map(drop),
        UnixListener::bind(Path::new(&long)).map(drop),
        UnixListener::bind_addr(&address).map(drop),
    ]
    .map(|result| result.unwrap_err().to_string())
    .into()
}

pub(crate) fn a_full_queue_holds_up_a_connect() -> usize {
    let (listener, address) = listener();
    // Listening again changes the room of the queue.
    SockRef::from(&listener).listen(0).unwrap();
    let connecting: Vec<_> = (0..4_u8)
        .map(|number| {
            let address = address.clone();
            thread::spawn(move || UnixStream::connect_addr(&address).unwrap().write_all(&[number]).unwrap())
        })
        .collect();
    let mut sum = 0;
    for _ in 0..4 {
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        sum += usize::from(byte[0]);
    }
    connecting.into_iter().for_each(|fiber| fiber.join().unwrap());
    sum
}

pub(crate) fn unix_nonblocking_calls_say_would_block() -> Vec<ErrorKind> {
    let (listener, _) = listener();
    listener.set_nonblocking(true).unwrap();
    let clone = listener.try_clone().unwrap();
    let (mut one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let mut seen = vec![kind(listener.accept()), kind(clone.accept()), kind(one.read(&mut [0]))];
    let full = loop {
        let result = one.write(&[0; 10_000]);
        if result.is_err() {
            break kind(result);
        }
    };
    seen.push(full);
    assert!(listener.take_error().unwrap().is_none() && other.take_error().unwrap().is_none());
    seen
}

pub(crate) fn unix_debug_output_is_stds() -> Vec<String> {
    let (one, _other) = UnixStream::pair().unwrap();
    let (listener, _) = listener();
    // Numbers of descriptors differ from run to run, and so do names that the kernel chooses: the listener's ends it.
    [format!("{one:?}"), format!("{listener:?}")]
        .map(|text| text.split("local").next().unwrap().replace(|c: char| c.is_ascii_digit(), ""))
        .into()
}

pub(crate) fn incoming_yields_unix_connections() -> usize {
    let (listener, address) = listener();
    let connecting = thread::spawn(move || {
        for _ in 0..3 {
            UnixStream::connect_addr(&address).unwrap();
        }
    });
    let through_method = listener.incoming().take(2).filter(|stream| stream.is_ok()).count();
    let through_reference = (&listener).into_iter().take(1).filter(|stream| stream.is_ok()).count();
    connecting.join().unwrap();
    through_method + through_reference
}
