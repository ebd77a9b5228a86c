//! Thread per connection: the kernel's scheduler does everything.
//!
//! Stevens, *UNIX Network Programming*, "concurrent server, one thread per client"; Apache's worker model and
//! classic Java servers. A connection costs a kernel stack, a thread's bookkeeping and the touched pages of its
//! stack; each wait is a switch through the kernel.
//!
//! State between two events: on the thread's stack, and in the kernel's thread structure.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::thread;

use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "threads",
    about: "an OS thread per connection",
    state: "the stack of the connection's OS thread",
    source: "Stevens, UNIX Network Programming: one thread per client",
    family: Family::Threads,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

/// Enough for the service; only touched pages cost memory.
pub(super) const STACK_BYTES: usize = 64 * 1024;

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let options = *options;
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                after_failed_accept(error)?;
                continue;
            }
        };
        let connection = move || blocking::converse_std(&client, &options);
        if let Err(error) = thread::Builder::new().stack_size(STACK_BYTES).spawn(connection) {
            // The closure is gone, and with it the connection: its client sees that it was turned away.
            eprintln!("no thread for a connection: {error}");
        }
    }
}
