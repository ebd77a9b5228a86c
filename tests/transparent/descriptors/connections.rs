//! accept(2) and connect(2).

#![expect(unsafe_code, reason = "calls C functions")]

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use libc::c_int;

use crate::ends::tcp;
use crate::support::{beside_others, on_one_worker, outcome, same};

/// A call that accepts.
type Accept = fn(c_int) -> c_int;

const ACCEPTS: &[(&str, Accept)] = &[
    // SAFETY: no address is asked for, here and below.
    ("accept", |fd| unsafe { libc::accept(fd, ptr::null_mut(), ptr::null_mut()) }),
    // SAFETY: as above.
    ("accept4", |fd| unsafe { libc::accept4(fd, ptr::null_mut(), ptr::null_mut(), libc::SOCK_CLOEXEC) }),
];

/// Whether a connection was taken, and the error.
fn accepted(call: Accept, fd: c_int) -> (bool, i32) {
    let (result, error) = outcome(call(fd) as isize);
    if result >= 0 {
        // SAFETY: the call has just made it.
        drop(unsafe { OwnedFd::from_raw_fd(result as c_int) });
    }
    (result >= 0, error)
}

/// At an address of which nobody else binds a port: one that is given up is nobody's.
fn listener() -> (TcpListener, SocketAddr) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let [.., high, low] = COUNT.fetch_add(1, SeqCst).to_be_bytes();
    let listener = TcpListener::bind(SocketAddr::from(([127, 2, high, low], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The reader asks again and again what the user wants, and waits until it is told.
#[test]
fn a_fiber_that_roams_reads_while_a_copy_changes_the_mode_of_its_socket() {
    use std::io::{Read, Write};
    const ROUNDS: usize = 3_000;
    beside_others(|| {
        abaca_transparent::install().expect("fibers can have storage of their own here");
        let runtime = abaca::Runtime::builder().workers(4).build().expect("a runtime starts");
        runtime.run(|| {
            let (near, far) = tcp();
            let (near, far) = (Arc::new(TcpStream::from(near)), Arc::new(TcpStream::from(far)));
            let is_over = Arc::new(AtomicBool::new(false));
            let reader = abaca::Builder::new().spawn_roaming({
                let near = near.clone();
                move || {
                    let mut left = ROUNDS;
                    while left > 0 {
                        left -= (&*near).read(&mut [0; 64]).unwrap();
                    }
                }
            });
            let copies = {
                let (near, is_over) = (near.clone(), is_over.clone());
                abaca::spawn(move || {
                    let file = std::fs::File::open("/proc/self/exe").unwrap();
                    while !is_over.load(SeqCst) {
                        let mut from = 0;
                        // SAFETY: an offset that can be written; and no memory is involved.
                        unsafe {
                            assert_eq!(libc::sendfile(near.as_raw_fd(), file.as_raw_fd(), &mut from, 1), 1);
                            libc::fcntl(file.as_raw_fd(), libc::F_SETFL, 0);
                        }
                        abaca::yield_now();
                    }
                })
            };
            let drain = {
                let far = far.clone();
                abaca::spawn(move || while (&*far).read(&mut [0; 4096]).unwrap() > 0 {})
            };
            for _ in 0..ROUNDS {
                (&*far).write_all(b"a").unwrap();
                (0..3).for_each(|_| abaca::yield_now());
            }
            reader.unwrap().join().unwrap();
            is_over.store(true, SeqCst);
            copies.join().unwrap();
            near.shutdown(std::net::Shutdown::Write).unwrap();
            drain.join().unwrap();
        });
    });
}

#[test]
fn a_connection_is_taken_at_once_or_waited_for() {
    for (name, call) in ACCEPTS {
        same(name, |world| {
            let (listener, address) = listener();
            let early = TcpStream::connect(address).unwrap();
            let first = accepted(*call, listener.as_raw_fd());
            let connector = world.when_waiting(move || drop(TcpStream::connect(address).unwrap()));
            let second = accepted(*call, listener.as_raw_fd());
            connector.join();
            drop(early);
            (first, second)
        });
    }
}

#[test]
fn an_accept_honours_the_user_s_wishes() {
    for (name, call) in ACCEPTS {
        same(name, |_| {
            let (listener, _) = listener();
            listener.set_nonblocking(true).unwrap();
            let refused = accepted(*call, listener.as_raw_fd());
            listener.set_nonblocking(false).unwrap();
            limit_reads(listener.as_raw_fd());
            (refused, accepted(*call, listener.as_raw_fd()), accepted(*call, 1 << 29))
        });
    }
}

/// The time of a socket's reads.
fn limit_reads(fd: c_int) {
    let value = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    let value_bytes = size_of_val(&value) as libc::socklen_t;
    let value = (&raw const value).cast();
    // SAFETY: the kernel reads a `timeval`.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, value_bytes) };
}

/// accept4(2) that asks for the address, as std's does.
fn accept_with_address(fd: c_int, flags: c_int) -> OwnedFd {
    let mut address = [0_u64; 16];
    let mut bytes = size_of_val(&address) as libc::socklen_t;
    // SAFETY: so many bytes, and then a descriptor that was just made.
    unsafe { OwnedFd::from_raw_fd(libc::accept4(fd, address.as_mut_ptr().cast(), &mut bytes, flags)) }
}

/// A connection and its two ends.
fn accepted_pair(flags: c_int, prepare: impl Fn(c_int)) -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    prepare(listener.as_raw_fd());
    let client = TcpStream::connect(address).unwrap();
    (client, TcpStream::from(accept_with_address(listener.as_raw_fd(), flags)))
}

#[test]
fn of_an_accepted_connection_is_known_what_its_user_wants() {
    use std::io::{Read, Write};
    let reads = |mut stream: &TcpStream| stream.read(&mut [0; 8]).map_err(|error| error.kind());
    same("it waits", |world| {
        let (mut client, server) = accepted_pair(libc::SOCK_CLOEXEC, |_| ());
        let helper = world.when_waiting(move || client.write_all(b"ab").unwrap());
        let found = reads(&server);
        helper.join();
        (found, reads(&server))
    });
    same("errors, by accept4", |_| {
        let (_client, server) = accepted_pair(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, |_| ());
        reads(&server)
    });
    same("errors, from then on", |_| {
        let (_client, server) = accepted_pair(libc::SOCK_CLOEXEC, |_| ());
        server.set_nonblocking(true).unwrap();
        reads(&server)
    });
    same("a time", |_| {
        let (_client, server) = accepted_pair(libc::SOCK_CLOEXEC, |_| ());
        limit_reads(server.as_raw_fd());
        reads(&server)
    });
    same("the listener's time", |_| {
        let (_client, server) = accepted_pair(libc::SOCK_CLOEXEC, limit_reads);
        reads(&server)
    });
    same("open for other programs", |world| {
        let (mut client, server) = accepted_pair(libc::SOCK_CLOEXEC, |_| ());
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(server.as_raw_fd(), libc::F_SETFD, 0) };
        let helper = world.when_waiting(move || client.write_all(b"ab").unwrap());
        let found = reads(&server);
        helper.join();
        found
    });
}

#[test]
fn an_accept_goes_on_when_its_listener_is_closed_under_it() {
    for (name, call) in ACCEPTS {
        same(name, |world| {
            let (listener, address) = listener();
            let listener = listener.into_raw_fd();
            let closer = world.when_waiting(move || {
                // SAFETY: the scenario uses the number no more but in its call.
                unsafe { libc::close(listener) };
                drop(TcpStream::connect(address).unwrap());
            });
            let taken = accepted(*call, listener);
            closer.join();
            // Nobody listens any more.
            (taken, TcpStream::connect(address).map(drop).map_err(|error| error.kind()))
        });
    }
}

#[test]
fn a_shutdown_ends_an_accept() {
    for (name, call) in ACCEPTS {
        same(name, |world| {
            let (listener, _) = listener();
            let fd = listener.as_raw_fd();
            // SAFETY: no memory is involved.
            let closer =
                world.when_waiting(move || assert_eq!(unsafe { libc::shutdown(fd, libc::SHUT_RD) }, 0));
            let ended = accepted(*call, fd);
            closer.join();
            ended
        });
    }
}

#[test]
fn many_fibers_accept_from_one_listener() {
    on_one_worker(|| {
        let (listener, address) = listener();
        let listener = std::sync::Arc::new(listener);
        let acceptors: Vec<_> = (0..50)
            .map(|_| {
                let listener = listener.clone();
                abaca::spawn(move || listener.accept().unwrap().1)
            })
            .collect();
        abaca::yield_now();
        let streams: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut peers: Vec<_> = acceptors.into_iter().map(|fiber| fiber.join().unwrap()).collect();
        let mut locals: Vec<_> = streams.iter().map(|stream| stream.local_addr().unwrap()).collect();
        peers.sort();
        locals.sort();
        assert_eq!(peers, locals);
    });
}

#[test]
fn a_connect_succeeds_is_refused_and_is_not_repeated() {
    same("tcp", |_| {
        let (listener, address) = listener();
        let stream = TcpStream::connect(address).unwrap();
        // SAFETY: the address of a connected socket is read back, and used again.
        let again = unsafe {
            let mut storage: libc::sockaddr_storage = std::mem::zeroed();
            let mut bytes = size_of_val(&storage) as libc::socklen_t;
            libc::getpeername(stream.as_raw_fd(), (&raw mut storage).cast(), &mut bytes);
            outcome(libc::connect(stream.as_raw_fd(), (&raw const storage).cast(), bytes) as isize)
        };
        // SAFETY: no memory is involved.
        let mode = unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK;
        drop(listener);
        (again, mode, TcpStream::connect(address).map(drop).map_err(|error| error.kind()))
    });
    same("udp", |_| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to.local_addr().unwrap()).unwrap();
        socket.send(b"abc").unwrap();
        let mut bytes = [0; 8];
        (to.recv(&mut bytes).unwrap(), bytes)
    });
    same("unix", |_| UnixStream::connect("/nowhere/at/all").map(drop).map_err(|error| error.kind()));
}

/// Fills the queue of a listener, whose later connections then wait.
fn full() -> (OwnedFd, SocketAddr, Vec<OwnedFd>) {
    let (listener, address) = listener();
    // SAFETY: no memory is involved.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    // The kernel completes one connection more than the backlog, however long that takes it, and drops the packets of further ones.
    let mut waiting = vec![TcpStream::connect(address).unwrap().into()];
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        waiting.push(stream.into());
    }
    (listener.into(), address, waiting)
}

#[test]
fn the_time_of_a_socket_ends_a_connect() {
    same("tcp", |_| {
        let (_listener, address, _waiting) = full();
        let SocketAddr::V4(address) = address else { unreachable!() };
        // SAFETY: makes a socket, and passes an address that is filled in.
        unsafe {
            let socket = OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0));
            let value = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDTIMEO,
                (&raw const value).cast(),
                size_of_val(&value) as _,
            );
            let to = libc::sockaddr_in {
                sin_family: libc::AF_INET as _,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            let connect = || {
                outcome(
                    libc::connect(socket.as_raw_fd(), (&raw const to).cast(), size_of_val(&to) as _) as isize
                )
            };
            let mode = libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK;
            (connect(), mode)
        }
    });
    same("std", |_| {
        let (_listener, address, _waiting) = full();
        TcpStream::connect_timeout(&address, Duration::from_millis(20))
            .map(drop)
            .map_err(|error| error.kind())
    });
}

#[test]
fn a_connect_waits_for_a_place_in_the_queue() {
    same("unix", |world| {
        let folder = std::env::temp_dir().join(format!(
            "abaca-queue-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: no memory is involved.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let first = UnixStream::connect(&path).unwrap();
        let taker = world.when_waiting(move || {
            drop(listener.accept().unwrap());
            drop(listener.accept().unwrap());
        });
        let second = UnixStream::connect(&path).map(drop).map_err(|error| error.kind());
        taker.join();
        drop(first);
        std::fs::remove_dir_all(&folder).unwrap();
        second
    });
}
