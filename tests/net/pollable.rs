//! Descriptors that are no sockets.

use std::io::{ErrorKind, Read, Write};

use abaca::io::Pollable;

#[abaca::test]
fn a_pipe_parks_its_reader_and_its_writer() {
    const TOTAL: usize = 1 << 20;
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut reader, mut writer) = (Pollable::new(reader).unwrap(), Pollable::new(writer).unwrap());
    let written = abaca::spawn(move || {
        let bytes: Vec<u8> = (0..TOTAL).map(|n| (n % 251) as u8).collect();
        writer.write_all(&bytes).unwrap();
    });
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    written.join().unwrap();
    assert_eq!(bytes.len(), TOTAL);
    assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
}

#[abaca::test]
fn a_fiber_waits_for_readiness_by_hand() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = Pollable::new(reader).unwrap();
    let waiting = abaca::spawn(move || {
        let bytes = reader.read_with(|pipe| {
            let mut bytes = [0; 8];
            let mut pipe = pipe;
            pipe.read(&mut bytes).map(|length| bytes[..length].to_vec())
        });
        bytes.unwrap()
    });
    abaca::yield_now();
    writer.write_all(b"ready").unwrap();
    assert_eq!(waiting.join().unwrap(), b"ready");
}

#[test]
fn a_file_is_refused_with_a_reason() {
    let file = std::fs::File::open("/proc/self/status").unwrap();
    assert!(Pollable::new(file).is_err_and(|error| error.kind() == ErrorKind::Unsupported));
    let directory = std::fs::File::open("/").unwrap();
    let error = Pollable::new(directory).unwrap_err();
    assert!(error.to_string().contains("use a thread"), "{error}");
}

#[test]
fn it_works_on_a_plain_thread_and_gives_its_owner_back() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut reader = Pollable::new(reader).unwrap();
    let thread = std::thread::spawn(move || writer.write_all(b"x").unwrap());
    let mut byte = [0];
    reader.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    thread.join().unwrap();
    assert_eq!(reader.into_inner().read(&mut byte).unwrap(), 0);
}
