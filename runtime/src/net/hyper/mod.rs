//! hyper on fibers: hyper's runtime traits for abaca's sockets, timers and fibers. Needs the feature `hyper`,
//! and the crate hyper itself: `hyper = { version = "1", features = ["http1", "server"] }`.
//!
//! A fiber drives each connection with [`block_on`](crate::future::block_on). A handler may make blocking calls: only its own
//! connection waits.
//!
//! # A server that stops gracefully
//!
//! When the token is cancelled, the server accepts no more, and each connection gets hyper's `graceful_shutdown`: it answers
//! the request that it is busy with, and ends. This works for HTTP/2 as well, with `http2::Builder::new(HyperExecutor)`.
//!
//! ```
//! use std::convert::Infallible;
//! use std::future::poll_fn;
//! use std::io::{Read, Write};
//! use std::pin::pin;
//! use std::time::Duration;
//!
//! use abaca::cancel::CancellationToken;
//! use abaca::future::block_on;
//! use abaca::net::hyper::{HyperStream, HyperTimer};
//! use abaca::net::{ServeOptions, TcpListener, TcpStream};
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".to_string()))
//! }
//!
//! /// Serves one connection until its client ends it, or `stop` is cancelled.
//! fn serve(stream: TcpStream, stop: &CancellationToken) -> hyper::Result<()> {
//!     let mut http = http1::Builder::new();
//!     http.timer(HyperTimer).header_read_timeout(Duration::from_secs(30));
//!     let mut connection = pin!(http.serve_connection(HyperStream::new(stream), service_fn(hello)));
//!     let mut stopped = pin!(stop.cancelled_async());
//!     let mut is_stopping = false;
//!     block_on(poll_fn(|context| {
//!         if !is_stopping && stopped.as_mut().poll(context).is_ready() {
//!             is_stopping = true;
//!             connection.as_mut().graceful_shutdown();
//!         }
//!         connection.as_mut().poll(context)
//!     }))
//! }
//!
//! #[abaca::main]
//! fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     let stop = CancellationToken::new();
//!     let theirs = stop.clone();
//!     let server = ServeOptions::new().stop_on(&stop).serve(listener, move |stream, peer| {
//!         if let Err(error) = serve(stream, &theirs) {
//!             eprintln!("{peer}: {error}");
//!         }
//!     });
//!
//!     // A client whose connection is kept alive.
//!     let mut client = TcpStream::connect(address)?;
//!     client.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")?;
//!     let mut answer = Vec::new();
//!     while !answer.ends_with(b"\r\n\r\nhello") {
//!         let mut byte = [0];
//!         client.read_exact(&mut byte)?;
//!         answer.extend(byte);
//!     }
//!
//!     // In a program of your own: abaca::signal::ctrl_c()?;
//!     assert_eq!(server.drain(Duration::from_secs(10)), 0, "no handler had to be cancelled");
//!     assert_eq!(client.read(&mut [0])?, 0, "the idle connection has ended");
//!     Ok(())
//! }
//! ```
//!
//! A handler without the token works too: a [drain](crate::net::Server::drain) by itself ends connections of HTTP/1 between two
//! exchanges.
//!
//! # A client
//!
//! One fiber drives the connection, and others send requests. Put [`time::timeout`](fn@crate::time::timeout) around a request
//! to limit it. `http_body_util::BodyExt::collect` reads a body.
//!
//! ```
//! use abaca::future::block_on;
//! use abaca::net::TcpStream;
//! use abaca::net::hyper::HyperStream;
//! use hyper::client::conn::http1;
//! use hyper::{Request, StatusCode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # abaca::run(|| {
//! # use std::io::{Read, Write};
//! # let listener = abaca::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # listener.serve(|mut stream, _| {
//! #     let _ = stream.read(&mut [0; 1024]);
//! #     let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
//! # });
//! let stream = TcpStream::connect(address)?;
//! let (mut sender, connection) = block_on(http1::handshake(HyperStream::new(stream)))?;
//! abaca::spawn(move || block_on(connection));
//!
//! let request = Request::get("/").header("host", "www.example.org").body(String::new())?;
//! let response = block_on(sender.send_request(request))?;
//! assert_eq!(response.status(), StatusCode::OK);
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
