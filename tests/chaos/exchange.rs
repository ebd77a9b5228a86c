//! Clients and servers on fibers that exchange messages through whatever is between them, and check each byte.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use abaca::net::{Server, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, unix};
use abaca::time::timeout;
use abaca_tests::Choices;

use super::lossy::Lossy;
use super::proxy::{Address, Fault, Plan};

/// A kind of stream socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
}

pub(crate) trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

/// Sends back what comes.
pub(crate) fn echo(mut stream: impl Both) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

/// Starts a server that echoes.
pub(crate) fn serve(kind: Kind) -> (Server, Address) {
    match kind {
        Kind::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = Address::Tcp(listener.local_addr().expect("an address"));
            (listener.serve(|stream, _| echo(stream)), address)
        }
        Kind::Unix => {
            let any = unix::SocketAddr::from_pathname("").expect("the kernel chooses");
            let listener = UnixListener::bind_addr(&any).expect("a free name");
            let address = Address::Unix(listener.local_addr().expect("an address"));
            (listener.serve(|stream, _| echo(stream)), address)
        }
    }
}

pub(crate) fn connect(address: &Address) -> io::Result<Box<dyn Both>> {
    Ok(match address {
        Address::Tcp(address) => Box::new(TcpStream::connect(address)?),
        Address::Unix(address) => Box::new(UnixStream::connect_addr(address)?),
    })
}

/// A connection through the proxy at `address`, on which everything that arrives is what was sent, and all of it if the
/// plan lets it.
pub(crate) fn converse(address: &Address, choices: &mut Choices) {
    let fault = Fault::ALL[choices.below(Fault::ALL.len() as u64) as usize];
    let most = if fault == Fault::Bytes { 2_000 } else { 30_000 };
    let lengths: Vec<_> = (0..1 + choices.below(4)).map(|_| 1 + choices.below(most) as usize).collect();
    let total: usize = lengths.iter().sum();
    // Sooner than at the end.
    let after_bytes = 1 + choices.below(total as u64) as u32;
    let plan = Plan { fault, on_way_back: choices.once_in(2), after_bytes };
    let mut received = 0;
    let mut conversation = || -> io::Result<()> {
        let mut stream = connect(address)?;
        stream.write_all(&plan.to_bytes())?;
        let mut begun = 0_usize;
        for length in &lengths {
            let message: Vec<u8> = (begun..begun + length).map(byte).collect();
            stream.write_all(&message)?;
            let mut answer = vec![0; *length];
            let mut had = 0;
            while had < *length {
                let read = match stream.read(&mut answer[had..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                };
                assert!(answer[had..had + read] == message[had..had + read], "{plan:?}");
                had += read;
                received += read;
            }
            begun += length;
        }
        Ok(())
    };
    let ended = match fault {
        // Nothing tells of a stall but the time.
        Fault::Stall => {
            timeout(Duration::from_millis(5), &mut conversation).map_err(|_| io::ErrorKind::TimedOut.into())
        }
        _ => Ok(conversation()),
    };
    let ended: io::Result<()> = ended.and_then(|ended| ended);
    if fault.is_harmless() {
        assert!(ended.is_ok() && received == total, "{plan:?}, {received} of {total}: {ended:?}");
    } else {
        // What comes after the last byte that is passed on may be too late to matter.
        assert!(ended.is_err() || after_bytes as usize == total, "{plan:?}, {received} of {total}");
    }
}

fn byte(at: usize) -> u8 {
    (at * 31 % 251) as u8
}

/// Sends numbered datagrams, each until its answer comes. What comes is what was sent.
pub(crate) fn insist(
    count: u32,
    send: impl Fn(&[u8]) -> io::Result<usize>,
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
) {
    for number in 0..count {
        let message = datagram(number);
        'sending: loop {
            let sent = send(&message);
            // A full queue is a loss.
            assert!(sent.is_ok() || sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
            let mut answer = [0; 2048];
            loop {
                match receive(&mut answer) {
                    Ok(length) => {
                        let told = u32::from_le_bytes(answer[..4].try_into().expect("four bytes"));
                        assert!(told <= number && answer[..length] == datagram(told));
                        if told == number {
                            break 'sending;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

fn datagram(number: u32) -> Vec<u8> {
    let length = number as usize * 37 % 1000;
    number.to_le_bytes().into_iter().chain((0..length).map(byte)).collect()
}

/// How long a datagram's answer is waited for, before it is sent again.
const PATIENCE: Option<Duration> = Some(Duration::from_millis(5));

/// Datagrams through a lossy proxy, between a client and a server on fibers.
pub(crate) fn udp(count: u32, seed: u64) {
    let server = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let address = server.local_addr().expect("an address");
    let echo = abaca::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = server.recv_from(&mut buffer).expect("a datagram");
            server.send_to(&buffer[..length], from).expect("the proxy is there");
        }
    });
    let lossy = Lossy::<std::net::UdpSocket>::start(address, seed);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    client.connect(lossy.address()).expect("an address");
    client.set_read_timeout(PATIENCE).expect("a timeout");
    insist(count, |bytes| client.send(bytes), |buffer| client.recv(buffer));
    echo.cancel();
    assert!(echo.join().is_err());
    abaca::blocking::run(|| drop(lossy));
}

/// As [`udp`].
pub(crate) fn unix_datagrams(count: u32, seed: u64) {
    let any = unix::SocketAddr::from_pathname("").expect("the kernel chooses");
    let bind = || UnixDatagram::bind_addr(&any).expect("a free name");
    let server = bind();
    let address = server.local_addr().expect("an address");
    let echo = abaca::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = server.recv_from(&mut buffer).expect("a datagram");
            let _ = server.send_to_addr(&buffer[..length], &from);
        }
    });
    let lossy = Lossy::<std::os::unix::net::UnixDatagram>::start(address, seed);
    let client = bind();
    client.connect_addr(&lossy.address()).expect("it is there");
    client.set_read_timeout(PATIENCE).expect("a timeout");
    client.set_write_timeout(PATIENCE).expect("a timeout");
    insist(count, |bytes| client.send(bytes), |buffer| client.recv(buffer));
    echo.cancel();
    assert!(echo.join().is_err());
    abaca::blocking::run(|| drop(lossy));
}
