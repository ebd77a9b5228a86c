//! `abaca::io::Pollable`: pipes, descriptors that are borrowed, and what it refuses.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write, pipe};
use std::os::fd::AsFd;
use std::time::Duration;

use abaca::io::Pollable;
use abaca::time::timeout;
use abaca::{scope, spawn};
use socket2::SockRef;

use super::kinds::on_each_runtime;

#[test]
fn a_pipe_carries_more_than_it_holds() {
    on_each_runtime(|| {
        let (reader, writer) = pipe().unwrap();
        let (mut reader, mut writer) = (Pollable::new(reader).unwrap(), Pollable::new(writer).unwrap());
        let sent: Vec<u8> = (0..300_000_u32).map(|position| (position % 253) as u8).collect();
        let expected = sent.clone();
        let writing = spawn(move || writer.write_all(&sent).unwrap());
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == expected);
    });
}

#[test]
fn vectors_and_references_work_too() {
    on_each_runtime(|| {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (Pollable::new(reader).unwrap(), Pollable::new(writer).unwrap());
        let (mut front, mut rest) = ([0; 2], [0; 4]);
        scope(|s| {
            s.spawn(|| {
                let slices = [IoSlice::new(b"abc"), IoSlice::new(b"def")];
                assert_eq!((&writer).write_vectored(&slices).unwrap(), 6);
            });
            let mut buffers = [IoSliceMut::new(&mut front), IoSliceMut::new(&mut rest)];
            assert_eq!((&reader).read_vectored(&mut buffers).unwrap(), 6);
        });
        assert_eq!((&front, &rest), (b"ab", b"cdef"));
        drop(writer);
        assert_eq!((&reader).read(&mut front).unwrap(), 0);
    });
}

#[test]
fn a_write_without_a_reader_is_a_broken_pipe() {
    on_each_runtime(|| {
        let (reader, writer) = pipe().unwrap();
        let mut writer = Pollable::new(writer).unwrap();
        let dropping = spawn(move || {
            abaca::yield_now();
            drop(reader);
        });
        let error = writer.write_all(&vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        dropping.join().unwrap();
    });
}

#[test]
fn a_descriptor_may_be_borrowed_twice() {
    on_each_runtime(|| {
        let (reader, mut writer) = pipe().unwrap();
        let (first, second) =
            (Pollable::new(reader.as_fd()).unwrap(), Pollable::new(reader.as_fd()).unwrap());
        scope(|s| {
            let readers = [&first, &second].map(|mut end| s.spawn(move || end.read(&mut [0; 1]).unwrap()));
            abaca::yield_now();
            writer.write_all(b"12").unwrap();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), 1);
            }
        });
    });
}

#[test]
fn readiness_is_the_present_state_and_not_an_old_event() {
    on_each_runtime(|| {
        let (reader, mut writer) = pipe().unwrap();
        let mut reader = Pollable::new(reader).unwrap();
        Pollable::new(writer.as_fd()).unwrap().wait_writable().unwrap();
        for _ in 0..3 {
            writer.write_all(b"!").unwrap();
            // However often one asks, and again after it was taken by another way.
            reader.wait_readable().unwrap();
            reader.wait_readable().unwrap();
            reader.read_exact(&mut [0]).unwrap();
            scope(|s| {
                let waiting = s.spawn(|| reader.wait_readable().unwrap());
                abaca::yield_now();
                writer.write_all(b"?").unwrap();
                waiting.join().unwrap();
            });
            reader.read_exact(&mut [0]).unwrap();
        }
        drop(writer);
        reader.wait_readable().unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_users_call_is_retried() {
    on_each_runtime(|| {
        let (reader, mut writer) = pipe().unwrap();
        let reader = Pollable::new(reader).unwrap();
        let reading = spawn(move || {
            let mut calls = 0;
            let read = reader.read_with(|mut inner| {
                calls += 1;
                if calls == 2 {
                    return Err(ErrorKind::Interrupted.into());
                }
                inner.read(&mut [0; 3])
            });
            read.unwrap()
        });
        abaca::yield_now();
        writer.write_all(b"own").unwrap();
        assert!(reading.join().unwrap() > 0);
    });
}

#[test]
fn a_file_and_a_directory_are_refused_with_a_reason() {
    for path in [std::env::current_exe().unwrap(), std::env::temp_dir()] {
        let error = Pollable::new(File::open(path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("use a thread"), "{error}");
    }
}

#[test]
fn it_works_on_a_plain_thread_and_gives_the_descriptor_back() {
    let (reader, mut writer) = pipe().unwrap();
    let mut reader = Pollable::new(reader).unwrap();
    let thread = std::thread::spawn(move || writer.write_all(b"x").unwrap());
    let mut byte = [0];
    reader.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    thread.join().unwrap();
    assert_eq!(reader.into_inner().read(&mut byte).unwrap(), 0);
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    SockRef::from(fd).nonblocking().unwrap()
}

#[test]
fn descriptors_are_accepted_exactly_if_epoll_accepts_them() {
    on_each_runtime(|| {
        for path in ["/dev/zero", "/dev/null"] {
            let error = Pollable::new(File::open(path).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("EPERM"), "{error}");
        }
        let mut mounts = Pollable::new(File::open("/proc/mounts").unwrap()).unwrap();
        mounts.wait_readable().unwrap();
        assert!(mounts.read(&mut [0; 64]).unwrap() > 0);
        // Nobody mounts anything, most of the time.
        let is_quiet = |_| timeout(Duration::from_millis(1), || mounts.wait_priority()).is_err();
        assert!((0..100).any(is_quiet));
    });
}

#[test]
fn the_open_file_has_its_old_mode_when_the_last_user_is_dropped() {
    on_each_runtime(|| {
        let (reader, _writer) = pipe().unwrap();
        let first = Pollable::new(reader.as_fd()).unwrap();
        let second = Pollable::new(reader.try_clone().unwrap()).unwrap();
        assert!(is_nonblocking(&reader));
        drop(first);
        // The other still needs it.
        assert!(is_nonblocking(&reader));
        assert!(timeout(Duration::from_millis(1), || (&second).read(&mut [0])).is_err());
        let second = second.into_inner();
        assert!(!is_nonblocking(&second) && !is_nonblocking(&reader));
        // A file that was in that mode stays in it.
        SockRef::from(&reader).set_nonblocking(true).unwrap();
        drop(Pollable::new(reader.as_fd()).unwrap());
        assert!(is_nonblocking(&reader));
    });
}

#[test]
fn urgent_data_is_waited_for() {
    on_each_runtime(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = Pollable::new(listener.accept().unwrap().0).unwrap();
        assert!(timeout(Duration::from_millis(1), || stream.wait_priority()).is_err());
        peer.write_all(b"plain").unwrap();
        assert!(timeout(Duration::from_millis(1), || stream.wait_priority()).is_err());
        scope(|s| {
            let waiting = s.spawn(|| stream.wait_priority().unwrap());
            abaca::yield_now();
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            waiting.join().unwrap();
        });
        // It is there until somebody has read it.
        stream.wait_priority().unwrap();
        let mut urgent = [std::mem::MaybeUninit::uninit()];
        assert_eq!(SockRef::from(stream.get_ref()).recv_out_of_band(&mut urgent).unwrap(), 1);
        let mut text = [0; 5];
        (&stream).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"plain");
    });
}

#[test]
fn a_plain_thread_waits_for_urgent_data_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = Pollable::new(listener.accept().unwrap().0).unwrap();
    let thread = std::thread::spawn(move || stream.wait_priority().unwrap());
    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    thread.join().unwrap();
}
