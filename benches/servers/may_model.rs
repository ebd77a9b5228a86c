//! may: a coroutine per connection, and may_minihttp.

use std::io;

use may::net::TcpListener;
use may_minihttp::{HttpServer, HttpService, Request, Response};

use super::{Service, announce, http};

pub(crate) fn serve(service: Service, workers: usize) {
    may::config().set_workers(workers);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    announce(listener.local_addr().expect("an address"));
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        may::go!(move || match service {
            Service::Echo => http::echo_blocking(&mut stream).is_ok(),
            Service::Hello => http::serve_blocking(&mut stream).is_ok(),
        });
    }
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _request: Request, response: &mut Response) -> io::Result<()> {
        response.header("Content-Type: text/plain").body("Hello, world!");
        Ok(())
    }
}

pub(crate) fn serve_minihttp(workers: usize) {
    may::config().set_workers(workers);
    // It cannot tell its port, so it gets one that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = HttpServer(Hello).start(free).expect("a server");
    announce(free);
    server.join().expect("it serves until it is killed");
}
