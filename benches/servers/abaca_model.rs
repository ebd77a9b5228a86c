//! abaca: a fiber per connection.

use abaca::net::TcpListener;
use abaca::runtime::Poller;

use super::{Service, announce, http};

pub(crate) fn serve(service: Service, workers: usize, poller: Poller) {
    let runtime = abaca::Runtime::builder().workers(workers).poller(poller).stack_size(32 * 1024).build();
    runtime.expect("a runtime").run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        announce(listener.local_addr().expect("an address"));
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            stream.set_nodelay(true).expect("an open socket");
            // A client that resets its connection ends its fiber.
            abaca::spawn(move || match service {
                Service::Echo => http::echo_blocking(&mut stream).is_ok(),
                Service::Hello => http::serve_blocking(&mut stream).is_ok(),
            });
        }
    });
}
