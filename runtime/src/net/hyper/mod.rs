//! hyper on fibers: its traits of a runtime, for abaca's sockets, timers and fibers. With the feature `hyper`.
//!
//! A [drain](crate::net::Server::drain) ends connections of HTTP/1 between two exchanges; to end one of HTTP/2 gently, call
//! `graceful_shutdown` of hyper's connection.
//!
//! A fiber drives a connection with [`block_on`](crate::future::block_on); a handler may call whatever blocks, since
//! nobody but its own connection waits for it.
//!
//! ```
//! use std::convert::Infallible;
//! use std::io::{Read, Write};
//!
//! use abaca::future::block_on;
//! use abaca::net::hyper::{HyperStream, HyperTimer};
//! use abaca::net::{TcpListener, TcpStream};
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, body::Incoming};
//!
//! # fn main() -> std::io::Result<()> {
//! # abaca::run(|| {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! abaca::spawn(move || {
//!     for stream in listener.incoming().flatten() {
//!         let hello = |_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new("hello".to_string())) };
//!         abaca::spawn(move || {
//!             let mut http = http1::Builder::new();
//!             http.timer(HyperTimer).keep_alive(false);
//!             block_on(http.serve_connection(HyperStream::new(stream), service_fn(hello)))
//!         });
//!     }
//! });
//! let mut stream = TcpStream::connect(address)?;
//! stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.ends_with("\r\n\r\nhello"));
//! # Ok(())
//! # })
//! # }
//! ```

mod exchange;
mod executor;
mod stream;
mod timer;

pub use executor::HyperExecutor;
pub use stream::HyperStream;
pub use timer::HyperTimer;
