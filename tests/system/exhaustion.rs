//! Servers when no descriptor is left.

use std::io::{self, Read, Write};

use abaca::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};

use super::{in_child, is_child, one_worker};

/// Opens files until there is one descriptor left.
fn use_up_descriptors() -> Vec<std::fs::File> {
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    files.pop();
    files
}

/// The loop of the README's first program.
fn serve<S: Read + Write + Send + 'static>(streams: impl Iterator<Item = io::Result<S>>) -> io::Result<()> {
    for stream in streams {
        let mut stream = stream?;
        abaca::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
        });
    }
    Ok(())
}

fn survives<C: Read + Write>(server: abaca::JoinHandle<io::Result<()>>, connect: impl Fn() -> io::Result<C>) {
    let files = use_up_descriptors();
    let mut client = connect().unwrap();
    client.write_all(b"hello").unwrap();
    // The server tries in vain.
    (0..100).for_each(|_| abaca::yield_now());
    assert!(!server.is_finished());
    drop(files);
    client.read_exact(&mut [0; 5]).unwrap();
    server.cancel();
    assert!(server.join().is_err());
}

#[test]
fn a_loop_over_incoming_survives_it() {
    if !is_child() {
        let output = in_child("exhaustion::a_loop_over_incoming_survives_it", "ulimit -n 40; exec \"$@\"");
        return assert!(output.status.success(), "{output:?}");
    }
    one_worker().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        survives(abaca::spawn(move || serve(listener.incoming())), || TcpStream::connect(address));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        survives(abaca::spawn(move || serve(listener.into_incoming())), || TcpStream::connect(address));
        let listener = UnixListener::bind_addr(&unix::SocketAddr::from_pathname("").unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        survives(abaca::spawn(move || serve(listener.incoming())), || UnixStream::connect_addr(&address));
    });
    // On a plain thread as well.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files = use_up_descriptors();
    let client = std::net::TcpStream::connect(address).unwrap();
    let accepting =
        std::thread::spawn(move || listener.incoming().next().unwrap().unwrap().peer_addr().unwrap());
    assert!(!accepting.is_finished());
    drop(files);
    assert_eq!(accepting.join().unwrap(), client.local_addr().unwrap());
}

/// A listener in non-blocking mode returns every error, and so does `accept`.
#[test]
fn an_error_is_given_to_those_who_ask_for_it() {
    if !is_child() {
        let test = "exhaustion::an_error_is_given_to_those_who_ask_for_it";
        let output = in_child(test, "ulimit -n 40; exec \"$@\"");
        return assert!(output.status.success(), "{output:?}");
    }
    one_worker().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _files = use_up_descriptors();
        let _client = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::EMFILE));
        listener.set_nonblocking(true).unwrap();
        let error = listener.incoming().next().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    });
}

/// A loop that ignores errors does not starve the fibers that could remove their cause.
#[test]
fn a_loop_over_failing_accepts_gives_way() {
    if !is_child() {
        let test = "exhaustion::a_loop_over_failing_accepts_gives_way";
        let output = in_child(test, "ulimit -n 40; exec \"$@\"");
        return assert!(output.status.success(), "{output:?}");
    }
    one_worker().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = use_up_descriptors();
        let _client = TcpStream::connect(address).unwrap();
        let accepting = abaca::spawn_local(move || {
            loop {
                if let Ok(accepted) = listener.accept() {
                    return accepted;
                }
            }
        });
        // Its first turn ends although nothing makes it wait.
        abaca::yield_now();
        drop(files);
        accepting.join().unwrap();
    });
}
