//! Sockets of a process that counts its descriptors, or runs out of them. Not among the tests of sockets: a child has
//! copies of all descriptors until it executes its program, and a descriptor that another test has closed stays open in them.

use std::io::{Read, Write};
use std::time::Duration;

use abaca::net::{ListenOptions, TcpListener, TcpStream};
use abaca::time::timeout;

use super::{in_child, is_child};

const LONG: Duration = Duration::from_secs(3600);

/// In a child process with few descriptors: an accept without one is an error to its caller, the connection is not
/// lost, and it works again when one is free.
#[test]
fn an_accept_at_the_limit_of_descriptors_is_an_error() {
    if is_child() {
        abaca::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"x").unwrap();
            // Opens the poller's registration and whatever else needs a descriptor, then takes all that are left.
            let mut files = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                files.push(file);
            }
            let error = listener.accept().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(24), "EMFILE: {error}");
            assert!(listener.accept().is_err());
            files.pop();
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(&byte, b"x");
        });
        return;
    }
    let output =
        in_child("sockets::an_accept_at_the_limit_of_descriptors_is_an_error", "ulimit -n 64; exec \"$@\"");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// In a child process with few descriptors: more connections than there are descriptors are all served.
#[test]
fn running_out_of_descriptors_is_survived() {
    const CLIENTS: usize = 60;
    if is_child() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Before it is limited: the clients' ends.
        let mut clients: Vec<_> =
            (0..CLIENTS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        abaca::run(move || {
            let mut files = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                files.push(file);
            }
            files.truncate(files.len() - 8);
            let server = listener.serve(|mut stream, _| stream.write_all(b"x").unwrap());
            for client in &mut clients {
                let mut text = String::new();
                TcpStream::from(client.try_clone().unwrap()).read_to_string(&mut text).unwrap();
                assert_eq!(text, "x");
            }
            drop(files);
            assert_eq!(server.drain(LONG), 0);
        });
        return;
    }
    let output = in_child("sockets::running_out_of_descriptors_is_survived", "ulimit -n 128; exec \"$@\"");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// In a process of its own, which counts its descriptors.
#[test]
fn the_losers_of_a_race_are_closed() {
    if is_child() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        // The kernel completes one connection, and drops the packets of further ones.
        let silent = ListenOptions::new().backlog(0).bind("127.0.0.1:0").unwrap();
        let dead = silent.local_addr().unwrap();
        let mut queued = vec![TcpStream::connect(dead).unwrap()];
        while let Ok(stream) = TcpStream::connect_timeout(&dead, Duration::from_millis(20)) {
            queued.push(stream);
        }
        // A thread that has fibers with storage of their own has a descriptor, too, and may still have to start: not the one of this worker.
        abaca_tests::with_workers_on_their_threads().workers(1).build().unwrap().run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let before = open();
            let winner =
                TcpStream::connect_happy_eyeballs(&[dead, listener.local_addr().unwrap()][..]).unwrap();
            assert_eq!(open(), before + 1);
            drop(winner);
            assert!(
                timeout(Duration::from_millis(5), || TcpStream::connect_happy_eyeballs(&[dead, dead][..]))
                    .is_err()
            );
            assert_eq!(open(), before);
        });
        return;
    }
    let output = in_child("sockets::the_losers_of_a_race_are_closed", "exec \"$@\"");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}
