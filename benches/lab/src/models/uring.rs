//! An io_uring loop per core: the kernel is told what to do, and tells when it is done.
//!
//! io_uring(7) of Linux 5.1 (Axboe, *Efficient IO with io_uring*, 2019). Completion instead of readiness: accept, connect,
//! receive and send are entries in a ring, and one system call submits many and waits for any.
//!
//! State between two events: in a heap object per connection that also holds the buffer the kernel writes to; it must
//! stay in place until the kernel is done.
#![expect(unsafe_code, reason = "the kernel reads and writes buffers while an entry is in flight")]

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::thread;

use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};

use super::uring_connection::Connection;
use super::{Capacity, Family, Model, Options, after_failed_accept, listen_on};

pub(super) const MODEL: Model = Model {
    name: "uring",
    about: "one io_uring loop per core, spread by SO_REUSEPORT",
    state: "a state machine on the heap, by hand, with the kernel's buffers",
    source: "Axboe, Efficient IO with io_uring (2019)",
    family: Family::Events,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available,
    serve,
};

fn available() -> Result<(), String> {
    let ring = IoUring::new(2).map_err(|error| format!("the kernel refuses io_uring: {error}"))?;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| format!("no probe of io_uring: {error}"))?;
    let needed = [opcode::Accept::CODE, opcode::Connect::CODE, opcode::Recv::CODE, opcode::Send::CODE];
    if needed.iter().all(|code| probe.is_supported(*code)) {
        Ok(())
    } else {
        Err("this kernel's io_uring has no sockets".to_owned())
    }
}

/// Entries of the submission ring; the completion ring has twice as many.
const ENTRIES: u32 = 2048;

/// The key of accept; a connection's key is its index.
const ACCEPT: u64 = u64::MAX;

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let address = listener.local_addr()?;
    let others = (1..options.workers).map(|_| listen_on(address)).collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for listener in others {
            scope.spawn(move || {
                let Err(error) = run(&listener, options);
                eprintln!("a ring ended: {error}");
                std::process::exit(1);
            });
        }
        run(&listener, options)
    })
}

fn run(listener: &TcpListener, options: &Options) -> io::Result<Infallible> {
    let mut ring = IoUring::new(ENTRIES)?;
    let mut connections: Vec<Option<Box<Connection>>> = Vec::new();
    let mut free = Vec::new();
    let accept = || {
        let entry = opcode::Accept::new(Fd(listener.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut());
        entry.build().user_data(ACCEPT)
    };
    let mut done = Vec::new();
    push(&mut ring, &accept())?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            submitted => drop(submitted?),
        }
        done.extend(ring.completion().map(|entry| (entry.user_data(), entry.result())));
        for (key, result) in done.drain(..) {
            if key != ACCEPT {
                let index = key as usize;
                let connection = connections[index].as_mut().expect("it has an entry in flight");
                if connection.complete(result) {
                    push(&mut ring, &connection.entry().user_data(key))?;
                } else {
                    connections[index] = None;
                    free.push(index);
                }
                continue;
            }
            push(&mut ring, &accept())?;
            if result < 0 {
                after_failed_accept(io::Error::from_raw_os_error(-result))?;
                continue;
            }
            // SAFETY: the kernel has just opened this descriptor for us.
            let client = unsafe { TcpStream::from_raw_fd(result) };
            client.set_nodelay(true)?;
            let index = free.pop().unwrap_or_else(|| {
                connections.push(None);
                connections.len() - 1
            });
            let connection = connections[index].insert(Box::new(Connection::new(client, options)));
            push(&mut ring, &connection.entry().user_data(index as u64))?;
        }
    }
}

fn push(ring: &mut IoUring, entry: &Entry) -> io::Result<()> {
    loop {
        // SAFETY: the entry's buffers belong to a connection that is boxed, is not touched before its completion and is
        // dropped only when it has no entry in flight.
        let pushed = unsafe { ring.submission().push(entry) };
        if pushed.is_ok() {
            return Ok(());
        }
        ring.submit()?;
    }
}
