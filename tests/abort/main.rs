//! A program that aborts on panic: everything but cancellation works, and cancellation says why it does not.
//! `tests/process/abort.rs` builds it with `panic = "abort"` and runs it.

use std::io::{Read, Write};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use abaca::{Runtime, channel};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("work") => work(),
        Some("serve") => abaca::run(serve),
        Some("cancel") => abaca::run(|| abaca::spawn(abaca::park).cancel()),
        Some("timeout") => drop(abaca::time::timeout(Duration::ZERO, abaca::park)),
        Some("set") => abaca::run(|| {
            let mut set = abaca::JoinSet::new();
            set.spawn(abaca::park);
            set.cancel_all();
        }),
        Some("promise") => abaca::run(|| abaca::promise::spawn(abaca::park).cancel()),
        Some("actor") => abaca::run(|| {
            let actor = abaca::actor::spawn(|mailbox: &mut abaca::actor::Mailbox<()>| mailbox.receive());
            actor.kill();
        }),
        Some("copy") => abaca::run(|| {
            let (one, other) = abaca::net::UnixStream::pair().unwrap();
            drop(abaca::io::copy_bidirectional(&one, &other));
        }),
        Some("panic") => abaca::run(|| abaca::spawn(|| panic!("in a fiber")).join().unwrap()),
        other => panic!("{other:?} is not something that this program does"),
    }
}

fn work() {
    let runtime = Runtime::new().unwrap();
    let sum = runtime.run(|| {
        let (sender, receiver) = channel::bounded(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = abaca::spawn(move || {
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
            sender.send(byte[0]).unwrap();
        });
        TcpStream::connect(address).unwrap().write_all(&[7]).unwrap();
        abaca::sleep(Duration::from_millis(1));
        let mut local = [1, 2, 3];
        abaca::scope(|scope| local.iter_mut().for_each(|n| drop(scope.spawn(move || *n *= 2))));
        server.join().unwrap();
        u64::from(receiver.recv().unwrap()) + local.iter().sum::<u64>()
    });
    // A fiber that waits for ever cannot be unwound: it is reported instead.
    let (begun, has_begun) = channel::bounded(0);
    drop(runtime.spawn(move || {
        begun.send(()).unwrap();
        abaca::park();
    }));
    has_begun.recv().unwrap();
    println!("{sum}, left: {}", runtime.shutdown(Duration::from_millis(50)).is_err());
}

fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = listener.serve(|mut stream, _| {
        stream.write_all(b"x").unwrap();
        let _ = stream.read(&mut [0]);
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.read_exact(&mut [0]).unwrap();
    server.stop();
    // With this connection the accept loop sees that it should stop, unless it has seen that before: then nobody takes it.
    let _ = TcpStream::connect(address).and_then(|mut client| client.read_exact(&mut [0]));
    server.stopped().unwrap();
    // The first handler waits for its client, and cannot be cancelled.
    println!(
        "left: {}, refused: {}",
        server.drain(Duration::from_millis(5)),
        TcpStream::connect(address).is_err()
    );
}
