//! A proxy between clients and a server that does what networks do: it cuts, stalls, resets, delays, and slices to single
//! bytes. It runs on plain threads and std's sockets, so that nothing of what is tested is part of it.
//!
//! The client of a connection chooses what happens to it: the first bytes that it sends are the [`Plan`], which the proxy keeps.
//! So the client knows what to expect.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{self, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// What happens to one direction of a connection; the other one is passed on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Each byte is passed on by itself.
    Bytes,
    /// A pause before each part.
    Delay,
    /// After so many bytes, both directions end.
    Cut,
    /// After so many bytes, both directions fail.
    Reset,
    /// After so many bytes, nothing is passed on any more.
    Stall,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::None, Self::Bytes, Self::Delay, Self::Cut, Self::Reset, Self::Stall];

    /// Whether everything arrives in the end.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::None | Self::Bytes | Self::Delay)
    }
}

/// What a client tells the proxy before anything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// Whether it happens to what the server sends.
    pub(crate) on_way_back: bool,
    pub(crate) after_bytes: u32,
}

impl Plan {
    const BYTES: usize = 6;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let fault = Fault::ALL.iter().position(|fault| *fault == self.fault).expect("all are there") as u8;
        let [a, b, c, d] = self.after_bytes.to_le_bytes();
        [fault, u8::from(self.on_way_back), a, b, c, d]
    }

    fn from_bytes([fault, on_way_back, a, b, c, d]: [u8; Self::BYTES]) -> Self {
        let after_bytes = u32::from_le_bytes([a, b, c, d]);
        Self { fault: Fault::ALL[usize::from(fault)], on_way_back: on_way_back != 0, after_bytes }
    }
}

/// Where somebody listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(net::SocketAddr),
}

impl Address {
    fn connect(&self) -> io::Result<Arc<dyn Wire>> {
        Ok(match self {
            Self::Tcp(address) => Arc::new(TcpStream::connect(address)?),
            Self::Unix(address) => Arc::new(UnixStream::connect_addr(address)?),
        })
    }
}

/// A stream, whatever its kind.
trait Wire: Send + Sync {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn send(&self, bytes: &[u8]) -> io::Result<()>;
    fn end(&self, how: Shutdown);
    /// The peer's next call fails, as far as there is such a thing.
    fn make_abortive(&self);
}

impl Wire for TcpStream {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.set_nodelay(true)?;
        (&*self).write_all(bytes)
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }

    fn make_abortive(&self) {
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Wire for UnixStream {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }

    fn make_abortive(&self) {}
}

/// Waits for a connection.
type Accept = Box<dyn Fn() -> io::Result<Arc<dyn Wire>> + Send>;

/// A proxy that runs until it is dropped, and whose threads have ended then.
pub(crate) struct Proxy {
    address: Address,
    stops: Arc<AtomicBool>,
    threads: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts one for the server at `target`, which is of the same kind.
    pub(crate) fn start(target: Address) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let threads = Arc::new(AtomicUsize::new(0));
        let (address, accept): (_, Accept) = match target {
            Address::Tcp(_) => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                let address = listener.local_addr().expect("an address");
                (Address::Tcp(address), Box::new(move || Ok(Arc::new(listener.accept()?.0) as Arc<dyn Wire>)))
            }
            Address::Unix(_) => {
                let any = net::SocketAddr::from_pathname("").expect("the kernel chooses");
                let listener = UnixListener::bind_addr(&any).expect("a free name");
                let address = listener.local_addr().expect("an address");
                (
                    Address::Unix(address),
                    Box::new(move || Ok(Arc::new(listener.accept()?.0) as Arc<dyn Wire>)),
                )
            }
        };
        let proxy = Self { address, stops: Arc::clone(&stops), threads: Arc::clone(&threads) };
        let counted = Arc::clone(&threads);
        start_thread(&counted, move || {
            while let Ok(client) = accept() {
                if stops.load(SeqCst) {
                    return;
                }
                let (target, pumps) = (target.clone(), Arc::clone(&threads));
                start_thread(&threads, move || drop(pass_on(client, &target, &pumps)));
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stops.store(true, SeqCst);
        // It looks when somebody comes.
        drop(self.address.connect());
        while self.threads.load(SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn start_thread(threads: &Arc<AtomicUsize>, body: impl FnOnce() + Send + 'static) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    threads.fetch_add(1, SeqCst);
    let counted = Counted(Arc::clone(threads));
    thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(move || {
            let _counted = counted;
            body();
        })
        .expect("a thread starts");
}

/// Passes on what comes, as the client planned it.
fn pass_on(client: Arc<dyn Wire>, target: &Address, threads: &Arc<AtomicUsize>) -> io::Result<()> {
    let mut plan = [0; Plan::BYTES];
    let mut had = 0;
    while had < plan.len() {
        match client.receive(&mut plan[had..])? {
            0 => return Ok(()),
            length => had += length,
        }
    }
    let plan = Plan::from_bytes(plan);
    let server = target.connect()?;
    let there = Plan { fault: if plan.on_way_back { Fault::None } else { plan.fault }, ..plan };
    let back = Plan { fault: if plan.on_way_back { plan.fault } else { Fault::None }, ..plan };
    let (from, to) = (Arc::clone(&server), Arc::clone(&client));
    start_thread(threads, move || pump(&*from, &*to, back));
    pump(&*client, &*server, there);
    Ok(())
}

/// Passes on one direction, to its end.
fn pump(from: &dyn Wire, to: &dyn Wire, Plan { fault, after_bytes, .. }: Plan) {
    let mut left = if fault.is_harmless() { usize::MAX } else { after_bytes as usize };
    let mut buffer = [0; 4096];
    loop {
        let length = match from.receive(&mut buffer) {
            Ok(1..) if left == 0 => continue,
            Ok(length @ 1..) => length.min(left),
            _ => return to.end(Shutdown::Write),
        };
        let part = &buffer[..length];
        let sent = match fault {
            Fault::Bytes => part.iter().try_for_each(|byte| to.send(std::slice::from_ref(byte))),
            Fault::Delay => {
                thread::sleep(Duration::from_micros(500));
                to.send(part)
            }
            _ => to.send(part),
        };
        if sent.is_err() {
            // The other side has gone; this one is to notice.
            return from.end(Shutdown::Both);
        }
        left -= length;
        if left == 0 && fault != Fault::Stall {
            if fault == Fault::Reset {
                from.make_abortive();
                to.make_abortive();
            }
            from.end(Shutdown::Both);
            return to.end(Shutdown::Both);
        }
    }
}
