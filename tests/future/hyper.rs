//! hyper on abaca: both sides, both directions at once, timeouts, cancellation.

use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use abaca::future::block_on;
use abaca::net::hyper::{HyperExecutor, HyperStream, HyperTimer};
use abaca::net::{TcpListener, TcpStream};
use abaca_tests::on_one_worker;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Executor, Read, ReadBuf, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
    (client, listener.accept().expect("a connection").0)
}

/// Sends back what it receives while it receives it.
async fn echo(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    Ok(Response::new(request.into_body()))
}

/// 20 requests, one after the other, on a connection of their own.
fn requests(seed: usize) {
    let (client, server) = pair();
    let server = abaca::spawn(move || {
        let http = server::conn::http1::Builder::new();
        block_on(http.serve_connection(HyperStream::new(server), service_fn(echo)))
    });
    let (mut sender, connection) = block_on(client::conn::http1::handshake(HyperStream::new(client)))
        .expect("a handshake sends nothing");
    let connection = abaca::spawn(move || block_on(connection));
    for number in 0..20 {
        let body: Bytes = (0..100_000).map(|at| ((at ^ seed) * 31 + number) as u8).collect();
        let request = Request::post("/").body(Full::new(body.clone())).expect("a request");
        let echoed = block_on(async {
            sender.ready().await?;
            sender.send_request(request).await?.collect().await.map(|echoed| echoed.to_bytes())
        });
        assert!(echoed.expect("an answer") == body);
    }
    drop(sender);
    connection.join().expect("no panic").expect("a clean end");
    server.join().expect("no panic").expect("a clean end");
}

#[test]
fn a_hundred_bodies_go_there_and_back() {
    abaca::run(|| {
        let clients: Vec<_> = (0..5).map(|seed| abaca::spawn(move || requests(seed))).collect();
        clients.into_iter().for_each(|client| client.join().expect("all requests are answered"));
    });
}

/// Polls writing and reading in turns, in one task, until `total` bytes went both ways.
fn poll_both(stream: &mut HyperStream, total: usize) {
    let chunk = [7; 50_000];
    let (mut sent, mut received, mut waits) = (0, 0, [0, 0]);
    block_on(std::future::poll_fn(|context| {
        while sent < total {
            let wanted = chunk.len().min(total - sent);
            match Pin::new(&mut *stream).poll_write(context, &chunk[..wanted]) {
                Poll::Ready(length) => sent += length.expect("the peer reads"),
                Poll::Pending => {
                    waits[0] += 1;
                    break;
                }
            }
        }
        while received < total {
            let mut bytes = [0; 10_000];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(context, buffer.unfilled()) {
                Poll::Ready(result) => result.expect("the peer writes"),
                Poll::Pending => {
                    waits[1] += 1;
                    break;
                }
            }
            assert!(!buffer.filled().is_empty() && buffer.filled().iter().all(|byte| *byte == 7));
            received += buffer.filled().len();
        }
        if received == total { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert!(waits[0] > 0 && waits[1] > 0, "it waited for both directions: {waits:?}");
}

#[test]
fn one_task_waits_for_both_directions_at_once() {
    const TOTAL: usize = 20_000_000;
    for peer_on_thread in [false, true] {
        abaca::run(|| {
            let (client, server) = pair();
            // Far less than is sent: left to itself, the kernel may make room for all of it, and no write would wait.
            for end in [&client, &server].map(socket2::SockRef::from) {
                end.set_send_buffer_size(1 << 18).expect("an open socket");
                end.set_recv_buffer_size(1 << 18).expect("an open socket");
            }
            let echo = move || {
                let mut buffer = vec![0; 30_000];
                while let Ok(length @ 1..) = (&server).read(&mut buffer) {
                    (&server).write_all(&buffer[..length]).expect("the client reads");
                }
            };
            let mut stream = HyperStream::new(client);
            let peer: Box<dyn FnOnce()> = if peer_on_thread {
                let thread = std::thread::spawn(echo);
                Box::new(move || thread.join().expect("no panic"))
            } else {
                let fiber = abaca::spawn(echo);
                Box::new(move || fiber.join().expect("no panic"))
            };
            poll_both(&mut stream, TOTAL);
            drop(stream);
            peer();
        });
    }
}

/// Counts its wake-ups, and tells of each.
struct Counter(AtomicUsize, abaca::channel::Sender<()>);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        self.1.send(()).expect("somebody waits");
    }
}

#[test]
fn the_latest_waker_is_woken_and_none_of_a_dropped_stream() {
    on_one_worker(|| {
        let (told, wakes) = abaca::channel::unbounded();
        let counters = [(); 2].map(|()| Arc::new(Counter(AtomicUsize::new(0), told.clone())));
        let poll = |stream: &mut HyperStream, counter: &Arc<Counter>| {
            let mut bytes = [0; 8];
            let waker = Waker::from(Arc::clone(counter));
            let mut buffer = ReadBuf::new(&mut bytes);
            let context = &mut Context::from_waker(&waker);
            Pin::new(stream).poll_read(context, buffer.unfilled()).map_ok(|()| buffer.filled().to_vec())
        };
        let (client, mut server) = pair();
        let mut stream = HyperStream::new(client);
        // The first one three times: it stays linked.
        for counter in [0, 0, 0, 1, 1] {
            assert!(poll(&mut stream, &counters[counter]).is_pending());
        }
        server.write_all(b"hello").expect("an open connection");
        wakes.recv().expect("a wake-up");
        assert_eq!(counters.each_ref().map(|counter| counter.0.load(SeqCst)), [0, 1]);
        assert!(matches!(poll(&mut stream, &counters[0]), Poll::Ready(Ok(bytes)) if bytes == b"hello"));
        // The stream as it was, without tasks.
        assert!(poll(&mut stream, &counters[0]).is_pending());
        let mut client = stream.into_inner();
        server.write_all(b"blocks").expect("an open connection");
        client.read_exact(&mut [0; 6]).expect("it comes");
        let mut stream = HyperStream::new(client);
        assert!(poll(&mut stream, &counters[0]).is_pending());
        drop(stream);
        assert_eq!(server.read(&mut [0]).expect("the end"), 0);
        assert_eq!(
            counters.map(|counter| (counter.0.load(SeqCst), Arc::strong_count(&counter))),
            [(0, 1), (1, 1)]
        );
    });
}

#[test]
fn a_wait_on_a_plain_thread_is_unsupported() {
    let (client, _server) = pair();
    let mut stream = HyperStream::new(client);
    let mut bytes = [0; 8];
    let mut buffer = ReadBuf::new(&mut bytes);
    let error =
        block_on(std::future::poll_fn(|context| Pin::new(&mut stream).poll_read(context, buffer.unfilled())));
    assert_eq!(error.expect_err("there is no poller").kind(), ErrorKind::Unsupported);
}

#[test]
fn a_connection_that_is_cancelled_is_dropped_with_its_service() {
    abaca::run(|| {
        let (mut client, server) = pair();
        let (entered, enters) = abaca::channel::unbounded();
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let connection = abaca::spawn(move || {
            let service = service_fn(move |_: Request<Incoming>| {
                let (alive, entered) = (Arc::clone(&theirs), entered.clone());
                async move {
                    entered.send(()).expect("the test waits");
                    std::future::pending::<()>().await;
                    drop(alive);
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            });
            let mut http = server::conn::http1::Builder::new();
            block_on(http.timer(HyperTimer).serve_connection(HyperStream::new(server), service))
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("an open connection");
        enters.recv().expect("the request arrives");
        connection.cancel();
        let payload = connection.join().expect_err("it was cancelled");
        assert!(payload.is::<abaca::Cancelled>());
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_silent_client_is_timed_out() {
    abaca::run(|| {
        let (mut client, server) = pair();
        let mut http = server::conn::http1::Builder::new();
        http.timer(HyperTimer).header_read_timeout(Duration::from_millis(5));
        let served = block_on(http.serve_connection(HyperStream::new(server), service_fn(echo)));
        assert!(served.expect_err("it said nothing").is_timeout());
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn the_executor_runs_futures_beside_its_caller() {
    on_one_worker(|| {
        let (sender, receiver) = abaca::channel::bounded(0);
        for number in 0..3 {
            let sender = sender.clone();
            HyperExecutor.execute(async move { sender.send(number).expect("somebody receives") });
        }
        let mut received: Vec<_> = (0..3).map(|_| receiver.recv().expect("three are sent")).collect();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2]);
    });
}
