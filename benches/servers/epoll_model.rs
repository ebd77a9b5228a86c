//! A hand-written epoll loop: what the kernel allows. One loop per worker, each with a listener of its own on the
//! same port (`SO_REUSEPORT`), level-triggered, one buffer for all connections of a loop.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::event::epoll;
use socket2::{Domain, Socket, Type};

use super::{Service, announce, http};

/// The listener's key; connections count from 1.
const LISTENER: u64 = 0;

pub(crate) fn serve(service: Service, workers: usize) {
    let first = listen("127.0.0.1:0".parse().expect("an address"));
    let address = first.local_addr().expect("an address");
    let rest: Vec<_> = (1..workers).map(|_| listen(address)).collect();
    std::thread::scope(|scope| {
        for listener in rest {
            scope.spawn(|| run(listener, service));
        }
        announce(address);
        run(first, service);
    });
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).expect("a socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind(&address.into()).expect("a port");
    socket.listen(4096).expect("a backlog");
    socket.into()
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a request whose rest has not come.
    rest: Vec<u8>,
}

fn run(listener: TcpListener, service: Service) {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let watch = |fd: std::os::fd::BorrowedFd<'_>, key| {
        epoll::add(&poller, fd, epoll::EventData::new_u64(key), epoll::EventFlags::IN)
            .expect("an open socket");
    };
    watch(listener.as_fd(), LISTENER);
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next_key = 1;
    let mut events = Vec::with_capacity(256);
    let (mut buffer, mut answers) = (vec![0; 64 * 1024], Vec::new());
    loop {
        events.clear();
        // A tracer that attaches interrupts it.
        match epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited.expect("epoll_wait"),
        };
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).expect("an open socket");
                    stream.set_nodelay(true).expect("an open socket");
                    watch(stream.as_fd(), next_key);
                    connections.insert(next_key, Connection { stream, rest: Vec::new() });
                    next_key += 1;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&key) else { continue };
            if !turn(connection, service, &mut buffer, &mut answers) {
                // Closing the last descriptor of a socket takes it out of epoll.
                connections.remove(&key);
            }
        }
    }
}

/// One event of a connection: one read and one write. False when it is over. Answers fit into the socket's buffer,
/// since each client has one request in flight.
fn turn(connection: &mut Connection, service: Service, buffer: &mut [u8], answers: &mut Vec<u8>) -> bool {
    let length = match connection.stream.read(buffer) {
        Ok(0) => return false,
        Ok(length) => length,
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    if service == Service::Echo {
        return connection.stream.write_all(&buffer[..length]).is_ok();
    }
    answers.clear();
    if connection.rest.is_empty() {
        let Some(taken) = http::answer(&buffer[..length], answers) else { return false };
        connection.rest.extend_from_slice(&buffer[taken..length]);
    } else {
        connection.rest.extend_from_slice(&buffer[..length]);
        let Some(taken) = http::answer(&connection.rest, answers) else { return false };
        connection.rest.drain(..taken);
    }
    connection.stream.write_all(answers).is_ok()
}
