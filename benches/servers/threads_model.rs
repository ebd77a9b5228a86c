//! An OS thread per connection.

use std::net::TcpListener;
use std::thread;

use super::{Service, announce, http};

pub(crate) fn serve(service: Service) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    announce(listener.local_addr().expect("an address"));
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        let connection = move || match service {
            Service::Echo => http::echo_blocking(&mut stream).is_ok(),
            Service::Hello => http::serve_blocking(&mut stream).is_ok(),
        };
        thread::Builder::new().stack_size(64 * 1024).spawn(connection).expect("a thread");
    }
}
