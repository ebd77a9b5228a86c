//! A proxy for datagrams that loses, doubles and reorders them. It runs on plain threads and std's sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{self, UnixDatagram};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use abaca_tests::Choices;

/// A datagram socket, whatever its kind.
pub(crate) trait Socket: Send + Sync + Sized + 'static {
    type Address: Clone + Send + 'static;

    fn bind() -> Self;
    fn address(&self) -> Self::Address;
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Self::Address)>;
    fn send(&self, bytes: &[u8], to: &Self::Address) -> io::Result<usize>;
    fn set_patience(&self, time: Duration);
}

impl Socket for UdpSocket {
    type Address = SocketAddr;

    fn bind() -> Self {
        Self::bind("127.0.0.1:0").expect("a free port")
    }

    fn address(&self) -> SocketAddr {
        self.local_addr().expect("an address")
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer)
    }

    fn send(&self, bytes: &[u8], to: &SocketAddr) -> io::Result<usize> {
        self.send_to(bytes, to)
    }

    fn set_patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a timeout");
    }
}

impl Socket for UnixDatagram {
    type Address = net::SocketAddr;

    fn bind() -> Self {
        Self::bind_addr(&net::SocketAddr::from_pathname("").expect("the kernel chooses"))
            .expect("a free name")
    }

    fn address(&self) -> net::SocketAddr {
        self.local_addr().expect("an address")
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, net::SocketAddr)> {
        self.recv_from(buffer)
    }

    fn send(&self, bytes: &[u8], to: &net::SocketAddr) -> io::Result<usize> {
        self.send_to_addr(bytes, to)
    }

    fn set_patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a timeout");
        self.set_write_timeout(Some(time)).expect("a timeout");
    }
}

/// Passes datagrams on between one client and one server, until it is dropped.
pub(crate) struct Lossy<S: Socket> {
    front: Arc<S>,
    back: Arc<S>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Socket> Lossy<S> {
    pub(crate) fn start(server: S::Address, seed: u64) -> Self {
        let (front, back) = (Arc::new(S::bind()), Arc::new(S::bind()));
        // What is stuck behind a full queue is lost, too.
        [&front, &back].iter().for_each(|socket| socket.set_patience(Duration::from_millis(50)));
        let client = Arc::new(Mutex::new(None));
        let there = {
            let (front, back, client) = (Arc::clone(&front), Arc::clone(&back), Arc::clone(&client));
            thread::spawn(move || {
                pass_on(&*front, &*back, Choices::new(seed, 0), |from| {
                    *client.lock().expect("no panic") = Some(from);
                    Some(server.clone())
                });
            })
        };
        let here = {
            let (front, back) = (Arc::clone(&front), Arc::clone(&back));
            thread::spawn(move || {
                pass_on(&*back, &*front, Choices::new(seed, 1), |_| client.lock().expect("no panic").clone());
            })
        };
        Self { front, back, threads: vec![there, here] }
    }

    pub(crate) fn address(&self) -> S::Address {
        self.front.address()
    }
}

impl<S: Socket> Drop for Lossy<S> {
    fn drop(&mut self) {
        // An empty datagram ends a direction. It may find the queue full, at first.
        let stop = S::bind();
        for (socket, thread) in [&self.front, &self.back].into_iter().zip(self.threads.drain(..)) {
            while !thread.is_finished() {
                let _ = stop.send(b"", &socket.address());
                thread::sleep(Duration::from_millis(1));
            }
            thread.join().expect("no panic");
        }
    }
}

/// One direction, until an empty datagram comes.
fn pass_on<S: Socket>(
    from: &S,
    to: &S,
    mut choices: Choices,
    mut target: impl FnMut(S::Address) -> Option<S::Address>,
) {
    let mut buffer = [0; 2048];
    let mut held: Option<Vec<u8>> = None;
    loop {
        let Ok((length, sender)) = from.receive(&mut buffer) else { continue };
        if length == 0 {
            return;
        }
        let Some(target) = target(sender) else { continue };
        let bytes = &buffer[..length];
        let send = |bytes: &[u8]| drop(to.send(bytes, &target));
        match choices.below(8) {
            0 => {}
            1 => (0..2).for_each(|_| send(bytes)),
            // Behind the next one.
            2 if held.is_none() => held = Some(bytes.to_vec()),
            _ => {
                send(bytes);
                held.take().iter().for_each(|late| send(late));
            }
        }
    }
}
