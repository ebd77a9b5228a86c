//! A drain of a hyper server whose handlers have no token.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use abaca::channel::{self, oneshot};
use abaca::future::block_on;
use abaca::net::hyper::{HyperStream, HyperTimer};
use abaca::net::{Server, TcpListener, TcpStream};
use abaca_tests::on_one_worker;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

const LONG: Duration = Duration::from_secs(3600);
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/// A body of two chunks, the second of which waits for its signal.
struct TwoChunks {
    is_first: bool,
    signal: Option<<oneshot::Receiver<()> as IntoFuture>::IntoFuture>,
}

impl Body for TwoChunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.is_first) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"first")))));
        }
        let Some(signal) = &mut self.signal else { return Poll::Ready(None) };
        let _ = ready!(Pin::new(signal).poll(context));
        self.signal = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"second")))))
    }
}

/// Each response takes its signal from `signals`.
fn serve(signals: channel::Receiver<oneshot::Receiver<()>>) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = listener.serve(move |stream, _| {
        let respond = |_: Request<Incoming>| {
            let signal = signals.recv().ok().map(IntoFuture::into_future);
            async { Ok::<_, Infallible>(Response::new(TwoChunks { is_first: true, signal })) }
        };
        let mut http = http1::Builder::new();
        http.timer(HyperTimer);
        block_on(http.serve_connection(HyperStream::new(stream), service_fn(respond))).expect("a clean end");
    });
    (server, address)
}

fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut text = Vec::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("more of the response");
        text.push(byte[0]);
    }
}

#[test]
fn connections_between_two_requests_end_and_no_response_is_cut_short() {
    on_one_worker(|| {
        let (to_server, signals) = channel::unbounded();
        let (server, address) = serve(signals);
        let connect = || TcpStream::connect(address).expect("it listens");
        // A connection that is kept alive, one that has sent nothing, and one in the middle of a response.
        let [mut idle, mut fresh, mut busy] = [connect(), connect(), connect()];
        for _ in 0..2 {
            let (signal, receiver) = oneshot::channel();
            signal.send(()).expect("a receiver");
            to_server.send(receiver).expect("a server");
            idle.write_all(QUESTION).expect("a connection");
            read_until(&mut idle, b"second\r\n0\r\n\r\n");
        }
        let (signal, receiver) = oneshot::channel();
        to_server.send(receiver).expect("a server");
        busy.write_all(QUESTION).expect("a connection");
        read_until(&mut busy, b"first\r\n");
        let draining = abaca::spawn(move || server.drain(LONG));
        for stream in [&mut idle, &mut fresh] {
            assert_eq!(stream.read(&mut [0]).expect("a clean end"), 0);
        }
        let refused = TcpStream::connect(address).expect_err("it is closed");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(!draining.is_finished());
        signal.send(()).expect("a receiver");
        read_until(&mut busy, b"second\r\n0\r\n\r\n");
        assert_eq!(busy.read(&mut [0]).expect("a clean end"), 0);
        assert_eq!(draining.join().expect("no panic"), 0);
    });
}
