//! Many fibers that wait for one listener or one datagram socket: each connection goes to one of them, and none is lost although
//! others give up all the time.

use std::sync::Arc;
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::channel::unbounded;
use abaca::net::{TcpListener, TcpStream, UdpSocket};
use abaca::time::timeout;

/// A wait of this length counts as endless.
const ENDLESS: Duration = Duration::from_secs(60);

/// Fibers that take from what `take` waits for until they are told to stop, and give up after a while each time; `send` makes that
/// many more to be taken. All are taken, each once.
fn nothing_is_lost<T: 'static>(take: impl Fn() -> T + Send + Sync + 'static, mut send: impl FnMut(usize)) {
    const FIBERS: u64 = 50;
    let take = Arc::new(take);
    let stop = CancellationToken::new();
    let (took, taken) = unbounded();
    let fibers: Vec<_> = (0..FIBERS)
        .map(|number| {
            let (take, stop, took) = (Arc::clone(&take), stop.clone(), took.clone());
            abaca::spawn(move || {
                stop.run_until_cancelled(|| {
                    let limit = Duration::from_micros(100 + 40 * number);
                    loop {
                        // The result is dropped outside: that may wait, and be cancelled.
                        if let Ok(_it) = timeout(limit, || take()) {
                            took.send(()).unwrap();
                        }
                    }
                })
            })
        })
        .collect();
    for burst in (1..8).cycle().take(200) {
        send(burst);
        for _ in 0..burst {
            taken.recv_timeout(ENDLESS).expect("one was lost");
        }
    }
    stop.cancel();
    fibers.into_iter().for_each(|fiber| _ = fiber.join().unwrap());
    assert!(taken.try_recv().is_err(), "one was taken twice");
}

#[abaca::test]
fn no_connection_is_lost_when_some_accepts_give_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |count| (0..count).for_each(|_| drop(TcpStream::connect(address).unwrap()));
    nothing_is_lost(move || listener.accept().unwrap(), connect);
}

#[abaca::test]
fn no_datagram_is_lost_when_some_receives_give_up() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |count| (0..count).for_each(|_| _ = sender.send_to(&[1], address).unwrap());
    nothing_is_lost(move || socket.recv(&mut [0]).unwrap(), send);
}

/// An end of the file ends the wait of all.
#[abaca::test]
fn all_that_wait_in_line_see_the_end() {
    let listener = Arc::new(abaca::net::UnixListener::bind_addr(&unnamed()).unwrap());
    let fibers: Vec<_> = (0..20)
        .map(|_| {
            let listener = Arc::clone(&listener);
            abaca::spawn(move || listener.accept().map(drop).unwrap_err().kind())
        })
        .collect();
    while fibers.iter().any(|fiber| !fiber.is_finished()) {
        socket2::SockRef::from(&*listener).shutdown(std::net::Shutdown::Both).unwrap();
        abaca::sleep(Duration::from_millis(1));
    }
    for fiber in fibers {
        assert_eq!(fiber.join().unwrap(), std::io::ErrorKind::InvalidInput);
    }
}

/// An address that nobody else has, without a file.
fn unnamed() -> std::os::unix::net::SocketAddr {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("abaca-line-{}", std::process::id());
    std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap()
}
