//! Fork per connection: a process for each client.
//!
//! Unix's own answer (Stevens, *UNIX Network Programming*, "concurrent server"; inetd, CERN httpd, sshd to this day).
//! Each client is isolated in an address space of its own, which is copied on write: fork, page faults and exit are
//! paid per connection, not per request.
//!
//! State between two events: on the stack of the connection's process.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use rustix::process::WaitOptions;

use super::process::{fork, reap};
use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "fork",
    about: "a process per connection",
    state: "the stack of the connection's process",
    source: "Stevens, UNIX Network Programming: the concurrent server; inetd",
    family: Family::Processes,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                if let Err(error) = fork(|| blocking::converse_std(&client, options)) {
                    eprintln!("no process for a connection: {error}");
                }
            }
            Err(error) => after_failed_accept(error)?,
        }
        reap(WaitOptions::NOHANG);
    }
}
