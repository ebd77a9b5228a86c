//! Copies inside of the kernel: between every two kinds of ends, waits and errors included.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use abaca::io::{CopyEnd, Pollable, copy_fd};
use abaca::net::{Shutdown, TcpListener, TcpStream, UnixStream};
use abaca::time::timeout;
use abaca::{Cancelled, JoinHandle, spawn};
use abaca_tests::{begun, on_one_worker};
use socket2::SockRef;

use super::Folder;
use super::kinds::{builders, on_each_runtime};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn polled_pipe() -> (Pollable<io::PipeReader>, Pollable<io::PipeWriter>) {
    let (reader, writer) = io::pipe().unwrap();
    (Pollable::new(reader).unwrap(), Pollable::new(writer).unwrap())
}

/// More than any buffer of the kernel holds, and no multiple of a page.
fn content() -> Vec<u8> {
    (0..1_000_001_u32).map(|n| (n % 251) as u8).collect()
}

fn file(folder: &Folder, name: &str) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(folder.path(name)).unwrap()
}

fn file_with(folder: &Folder, name: &str, bytes: &[u8]) -> File {
    let mut file = file(folder, name);
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

type End = Box<dyn CopyEnd + Send + Sync>;
type Feeder = Box<dyn FnOnce(&[u8]) + Send>;
type Drain = Box<dyn FnOnce() -> Vec<u8> + Send>;

fn feed(mut writer: impl Write + Send + 'static) -> Feeder {
    Box::new(move |bytes| writer.write_all(bytes).unwrap())
}

fn drain(reader: impl Read + Send + 'static) -> Drain {
    Box::new(move || super::read_all(reader))
}

const READERS: [&str; 5] = ["tcp", "unix", "pipe", "polled pipe", "file"];

/// An end to read from, and its writer.
fn reader(kind: &str, folder: &Folder) -> (End, Feeder) {
    let (tcp, unix, pipe) = (tcp_pair(), UnixStream::pair().unwrap(), abaca::io::pipe().unwrap());
    let polled = polled_pipe();
    match kind {
        "tcp" => (Box::new(tcp.0), feed(tcp.1)),
        "unix" => (Box::new(unix.0), feed(unix.1)),
        "polled pipe" => (Box::new(polled.0), feed(polled.1)),
        "pipe" => (Box::new(pipe.0), feed(pipe.1)),
        _ => (Box::new(file_with(folder, "source", &content())), Box::new(|_| ())),
    }
}

const WRITERS: [&str; 6] = ["tcp", "unix", "pipe", "polled pipe", "file", "appended file"];

/// An end to write to, and its reader; files are read at the end.
fn writer(kind: &str, folder: &Folder) -> (End, Drain) {
    let (tcp, unix, pipe) = (tcp_pair(), UnixStream::pair().unwrap(), abaca::io::pipe().unwrap());
    let polled = polled_pipe();
    let path = folder.path(kind);
    let _ = std::fs::remove_file(&path);
    match kind {
        "tcp" => (Box::new(tcp.0), drain(tcp.1)),
        "unix" => (Box::new(unix.0), drain(unix.1)),
        "polled pipe" => (Box::new(polled.1), drain(polled.0)),
        "pipe" => (Box::new(pipe.1), drain(pipe.0)),
        "file" => (Box::new(File::create(&path).unwrap()), Box::new(|| std::fs::read(path).unwrap())),
        // The kernel copies nothing into a file that is open for appending.
        _ => {
            let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
            (Box::new(file), Box::new(|| std::fs::read(path).unwrap()))
        }
    }
}

#[test]
fn every_kind_is_copied_to_every_kind() {
    let content = Arc::new(content());
    for builder in builders().step_by(2) {
        let content = Arc::clone(&content);
        builder.build().unwrap().run(move || {
            let folder = Folder::new();
            for (from, to) in READERS.iter().flat_map(|from| WRITERS.map(|to| (from, to))) {
                let ((reader, feeder), (writer, drain)) = (reader(from, &folder), writer(to, &folder));
                let fed = Arc::clone(&content);
                let feeding = spawn(move || feeder(&fed));
                let copying = spawn(move || copy_fd(&*reader, &*writer).unwrap());
                let received = if to.ends_with("file") {
                    assert_eq!(copying.join().unwrap(), content.len() as u64, "{from} to {to}");
                    drain()
                } else {
                    let received = drain();
                    assert_eq!(copying.join().unwrap(), content.len() as u64, "{from} to {to}");
                    received
                };
                feeding.join().unwrap();
                assert!(received == *content, "{from} to {to}: {} bytes", received.len());
            }
        });
    }
}

/// A byte that comes between the splice that finds none and the check which end would block must not be waited for: that end
/// would never become ready again.
#[test]
fn bytes_that_come_one_by_one_are_copied() {
    const BYTES: usize = 20_000;
    on_each_runtime(|| {
        for to in ["tcp", "unix", "polled pipe"] {
            let folder = Folder::new();
            let ((output, mut input), (writer, drain)) = (abaca::io::pipe().unwrap(), writer(to, &folder));
            let feeding =
                std::thread::spawn(move || (0..BYTES).for_each(|n| input.write_all(&[n as u8]).unwrap()));
            let copying = spawn(move || copy_fd(&output, &*writer).unwrap());
            assert!(drain().iter().copied().eq((0..BYTES).map(|n| n as u8)), "to {to}");
            assert_eq!(copying.join().unwrap(), BYTES as u64);
            feeding.join().unwrap();
        }
    });
}

/// A splice stops before urgent data, and says that it would block.
#[test]
fn urgent_data_does_not_stop_a_copy() {
    on_each_runtime(|| {
        let ((urgent, reader), (writer, theirs), (mut output, input)) =
            (tcp_pair(), tcp_pair(), abaca::io::pipe().unwrap());
        let reader = Arc::new(reader);
        for (to, received) in
            [(Box::new(writer) as End, &mut &theirs as &mut dyn Read), (Box::new(input), &mut output)]
        {
            let reader = Arc::clone(&reader);
            let copying = spawn(move || copy_fd(&*reader, &*to));
            (&urgent).write_all(b"before").unwrap();
            SockRef::from(&urgent).send_out_of_band(b"!").unwrap();
            (&urgent).write_all(b"after").unwrap();
            let mut bytes = [0; 11];
            received.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"beforeafter");
            copying.cancel();
            assert!(copying.join().unwrap_err().is::<Cancelled>());
        }
    });
}

#[test]
fn a_named_pipe_that_was_opened_as_a_file_is_copied() {
    on_each_runtime(|| {
        let folder = Folder::new();
        let path = folder.path("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Opened for both, it need not be waited for.
        let fifo = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (mut input, (output, drain)) = (fifo(), writer("tcp", &folder));
        let ends = File::open(&path).unwrap();
        let copying = spawn(move || copy_fd(&ends, &*output).unwrap());
        input.write_all(b"named").unwrap();
        drop(input);
        assert_eq!(copying.join().unwrap(), 5);
        assert_eq!(drain(), b"named");

        let (keeper, (source, feeder)) = (fifo(), reader("unix", &folder));
        let target = OpenOptions::new().write(true).open(&path).unwrap();
        let copying = spawn(move || copy_fd(&*source, &target).unwrap());
        let bytes = Arc::new(content());
        let feeding = {
            let bytes = Arc::clone(&bytes);
            spawn(move || feeder(&bytes))
        };
        let mut received = vec![0; content().len()];
        abaca::blocking::run(|| (&keeper).read_exact(&mut received).unwrap());
        assert!(received == *bytes);
        assert_eq!(copying.join().unwrap(), bytes.len() as u64);
        feeding.join().unwrap();
    });
}

#[test]
fn a_plain_thread_copies_too() {
    let folder = Folder::new();
    let (file, (ours, theirs)) = (file_with(&folder, "source", &content()), tcp_pair());
    let thread = std::thread::spawn(move || super::read_all(theirs));
    assert_eq!(copy_fd(&file, &ours).unwrap(), content().len() as u64);
    drop(ours);
    assert!(thread.join().unwrap() == content());
}

#[test]
fn files_move_on_from_where_they_are() {
    on_each_runtime(|| {
        let folder = Folder::new();
        let mut source = file_with(&folder, "source", b"0123456789");
        let mut target = file_with(&folder, "target", b"abcdef");
        source.seek(io::SeekFrom::Start(4)).unwrap();
        target.seek(io::SeekFrom::Start(2)).unwrap();
        assert_eq!(copy_fd(&source, &target).unwrap(), 6);
        assert_eq!(copy_fd(&source, &target).unwrap(), 0);
        assert_eq!((source.stream_position().unwrap(), target.stream_position().unwrap()), (10, 8));
        assert_eq!(std::fs::read(folder.path("target")).unwrap(), b"ab456789");
    });
}

#[test]
fn files_without_a_size_and_devices_are_copied_with_a_buffer() {
    on_each_runtime(|| {
        let folder = Folder::new();
        let target = File::create(folder.path("target")).unwrap();
        let status = || File::open("/proc/self/cmdline").unwrap();
        let length = copy_fd(&status(), &target).unwrap();
        assert!(length > 0);
        assert_eq!(std::fs::read(folder.path("target")).unwrap(), super::read_all(status()));
        let sink = OpenOptions::new().write(true).open("/dev/null").unwrap();
        assert_eq!(copy_fd(&status(), &sink).unwrap(), length);
        let (reader, _writer) = tcp_pair();
        reader.shutdown(Shutdown::Read).unwrap();
        assert_eq!(copy_fd(&reader, &sink).unwrap(), 0);
    });
}

fn is_nonblocking(file: &impl AsFd) -> bool {
    SockRef::from(file).nonblocking().unwrap()
}

#[test]
fn both_directions_of_a_stream_are_copied_at_once_and_its_mode_is_kept() {
    on_each_runtime(|| {
        let ((client, front), (back, server)) = (tcp_pair(), tcp_pair());
        let (front, back) = (Arc::new(front), Arc::new(back));
        let directions = [(&front, &back), (&back, &front)].map(|(from, to)| {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            spawn(move || {
                let copied = copy_fd(&*from, &*to).unwrap();
                to.shutdown(Shutdown::Write).unwrap();
                copied
            })
        });
        (&client).write_all(b"question").unwrap();
        (&server).read_exact(&mut [0; 8]).unwrap();
        assert!(is_nonblocking(&*front) && is_nonblocking(&*back));
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&server).read(&mut [0]).unwrap(), 0);
        // One direction has ended, or is about to; the other must still not block the thread.
        let writing = spawn(move || (&server).write_all(&content()).unwrap());
        assert!(super::read_all(client) == content());
        writing.join().unwrap();
        assert_eq!(directions.map(|direction| direction.join().unwrap()), [8, 1_000_001]);
        assert!(!is_nonblocking(&*front) && !is_nonblocking(&*back));
        back.set_nonblocking(true).unwrap();
        front.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let _ = copy_fd(&*front, &*back);
        assert!(is_nonblocking(&*back));
    });
}

#[test]
fn errors_and_timeouts_are_returned() {
    on_each_runtime(|| {
        let folder = Folder::new();
        let source = file_with(&folder, "source", &content());
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(copy_fd(&source, &ours).unwrap_err().kind(), ErrorKind::BrokenPipe);
        let (silent, _open) = tcp_pair();
        silent.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        assert_eq!(copy_fd(&silent, &source).unwrap_err().kind(), ErrorKind::WouldBlock);
        let (full, _unread) = tcp_pair();
        full.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
        let zeros = File::open("/dev/zero").unwrap();
        assert_eq!(copy_fd(&zeros, &full).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_copy_that_waits_is_cancelled_on_either_side() {
    on_each_runtime(|| {
        let folder = Folder::new();
        for to in WRITERS {
            for from in ["tcp", "unix", "pipe", "polled pipe"] {
                // Nobody feeds it.
                let ((reader, _feeder), (writer, _drain)) = (reader(from, &folder), writer(to, &folder));
                let result = timeout(Duration::from_millis(1), || copy_fd(&*reader, &*writer));
                assert!(result.is_err(), "{from} to {to}");
            }
        }
        for to in ["tcp", "unix", "pipe", "polled pipe"] {
            // Nobody drains it.
            let endless = file(&folder, "endless");
            endless.set_len(1 << 40).unwrap();
            let (writer, _drain) = writer(to, &folder);
            let copying = spawn(move || copy_fd(&endless, &*writer));
            abaca::yield_now();
            copying.cancel();
            assert!(copying.join().unwrap_err().is::<Cancelled>(), "file to {to}");
        }
    });
}

/// Begins a copy from `reader` to `writer` that waits, since the caller's worker is the only one.
fn waiting_copy(
    reader: impl CopyEnd + Send + 'static,
    writer: impl CopyEnd + Send + 'static,
) -> JoinHandle<io::Result<u64>> {
    begun(move || copy_fd(&reader, &writer))
}

#[test]
fn setting_the_mode_of_a_stream_waits_for_the_end_of_its_copies() {
    on_one_worker(|| {
        let ((ours, theirs), (mut output, input)) = (UnixStream::pair().unwrap(), abaca::io::pipe().unwrap());
        let copying = waiting_copy(ours.try_clone().unwrap(), input);
        for mode in [true, false] {
            ours.set_nonblocking(mode).unwrap();
            assert!(is_nonblocking(&ours), "or the next call of the copy blocks the worker");
        }
        (&theirs).write_all(b"goes on").unwrap();
        output.read_exact(&mut [0; 7]).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert_eq!(copying.join().unwrap().unwrap(), 7);
        assert!(!is_nonblocking(&ours));

        let ((ours, theirs), (_output, input)) = (UnixStream::pair().unwrap(), abaca::io::pipe().unwrap());
        let copying = waiting_copy(ours.try_clone().unwrap(), input);
        ours.set_nonblocking(true).unwrap();
        drop(theirs);
        copying.join().unwrap().unwrap();
        assert!(is_nonblocking(&ours));
    });
}

#[test]
fn the_ends_of_a_pipe_are_kept_from_blocking_until_the_last_copy() {
    on_one_worker(|| {
        let (reader, writer) = abaca::io::pipe().unwrap();
        let sources = [(); 2].map(|()| UnixStream::pair().unwrap());
        let targets = [(); 2].map(|()| UnixStream::pair().unwrap());
        let [(one, end), (other, _open)] = sources;
        let first = waiting_copy(one, writer.try_clone().unwrap());
        let second = waiting_copy(other, writer.try_clone().unwrap());
        drop(end);
        first.join().unwrap().unwrap();
        assert!(is_nonblocking(&writer), "the second would block its worker");
        second.cancel();
        assert!(second.join().is_err());
        assert!(!is_nonblocking(&writer));

        let [(one, _kept), (other, _too)] = targets;
        let first = waiting_copy(reader.try_clone().unwrap(), one);
        let second = waiting_copy(reader.try_clone().unwrap(), other);
        first.cancel();
        assert!(first.join().is_err());
        assert!(is_nonblocking(&reader));
        second.cancel();
        assert!(second.join().is_err());
        assert!(!is_nonblocking(&reader));
    });
}

/// A file in non-blocking mode cannot be waited for. That it would have to be is told, and not taken for a want of input.
#[test]
fn a_file_that_would_block_is_an_error() {
    on_each_runtime(|| {
        let ((output, mut input), (ours, _theirs)) =
            (abaca::io::pipe().unwrap(), std::os::unix::net::UnixStream::pair().unwrap());
        ours.set_nonblocking(true).unwrap();
        let target = File::from(OwnedFd::from(ours));
        let feeding = spawn(move || input.write_all(&content()));
        let copied = timeout(Duration::from_secs(300), || copy_fd(&output, &target));
        assert_eq!(copied.unwrap().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(output);
        assert_eq!(feeding.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}
