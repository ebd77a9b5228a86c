//! may_minihttp: the HTTP library of may's coroutines, in place of the lab's service.
//!
//! It is fast by what it leaves out: it does not answer what it cannot parse, never closes a connection by itself, and looks at no
//! header unless the service does. So it cannot take part where all give the same answers, and is compared with hyper only, by `GET /`.
//!
//! State between two events: on the coroutine's stack.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use ::may_minihttp::{HttpServer, HttpService, Request, Response};

use super::{Model, Options, may};
use crate::service::{Target, target};

pub(super) const MODEL: Model = Model {
    name: "may-minihttp",
    about: "the crate may_minihttp on may's coroutines",
    source: "the crate may_minihttp 0.1",
    serve,
    ..may::MODEL
};

#[derive(Clone)]
struct Hello(Options);

impl HttpService for Hello {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        if let Ok(Target::Work { cpu, .. }) = target(request.path()) {
            if !cpu.is_zero() {
                self.0.busy_loop.spend(cpu);
            }
            response.header("Content-Type: text/plain").body("Hello, world!");
        } else {
            response.status_code(404, "Not Found");
        }
        Ok(())
    }
}

/// It binds a listener of its own, to the same port, which others can share.
fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    ::may::config().set_workers(options.workers);
    let address = listener.local_addr()?;
    // Connections that wait at this one would never be accepted.
    drop(listener);
    let server = HttpServer(Hello(*options)).start(address)?;
    server.join().map_err(|_| io::Error::other("the accepting coroutine panicked"))?;
    Err(io::Error::other("the accepting coroutine has ended"))
}
