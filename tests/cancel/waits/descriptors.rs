//! Waits of `abaca::io` and `abaca::fs`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use abaca::fs::File;
use abaca::io::{Pollable, copy_fd, pipe};

use super::{Setup, Wait, keeping};

pub(super) const WAITS: &[Setup] = &[
    ("PipeReader::read", || {
        let (mut reader, writer) = pipe().unwrap();
        keeping(writer, move || drop(reader.read(&mut [0])))
    }),
    ("PipeWriter::write", || {
        let (reader, mut writer) = pipe().unwrap();
        keeping(reader, move || while writer.write(&[0; 4096]).is_ok() {})
    }),
    ("copy_fd, from the silent", || {
        let [(stream, peer), (_, sink)] = [(); 2].map(|()| abaca::net::UnixStream::pair().unwrap());
        keeping(peer, move || copy_fd(&stream, &sink))
    }),
    ("copy_fd, to the full", || {
        let (stream, peer) = abaca::net::UnixStream::pair().unwrap();
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        keeping(peer, move || copy_fd(&zeros, &stream))
    }),
    ("Pollable::wait_readable", || pollable(|socket| drop(socket.wait_readable()))),
    ("Pollable::wait_writable", || {
        pollable(|socket| {
            while socket.get_ref().write(&[0; 4096]).is_ok() {}
            drop(socket.wait_writable());
        })
    }),
    ("Pollable::read_with", || pollable(|socket| drop(socket.read_with(|mut socket| socket.read(&mut [0]))))),
    ("Pollable::write_with", || {
        pollable(|socket| while socket.write_with(|mut socket| socket.write(&[0; 4096])).is_ok() {})
    }),
    ("File::lock", || locked(|file| drop(file.lock()))),
    ("File::lock_shared", || locked(|file| drop(file.lock_shared()))),
];

fn pollable(f: fn(Pollable<UnixStream>)) -> Wait {
    let (socket, peer) = UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = Pollable::new(socket).unwrap();
    keeping(peer, move || f(socket))
}

/// Calls `f` with a file on which another open file has a lock.
fn locked(f: fn(File)) -> Wait {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("abaca-cancel-{}-{number}", std::process::id()));
    let holder = std::fs::File::create_new(&path).unwrap();
    holder.lock().unwrap();
    let file = File::from(std::fs::File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    keeping(holder, move || f(file))
}
