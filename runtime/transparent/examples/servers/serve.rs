//! The servers. `answer` is the same code for all that block.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use rustix::thread::{CpuSet, sched_setaffinity};

pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// The processor of the server.
pub(crate) const PROCESSOR: usize = 0;

/// Serves until the process is killed.
pub(crate) fn serve(kind: &str) -> io::Result<()> {
    run_on(PROCESSOR)?;
    match kind {
        "fibers" => {
            abaca_transparent::threads_are_fibers()?;
            // The main thread stays one of the kernel.
            thread::spawn(by_threads).join().expect("it does not panic")
        }
        "threads" => by_threads(),
        "abaca" => abaca::run(by_abaca),
        "tokio" => by_tokio(answer_by_hand),
        "hyper" => by_tokio(answer_by_hyper),
        _ => Err(io::Error::other("no such server")),
    }
}

/// From now on this process runs on one processor, if there are two.
pub(crate) fn run_on(processor: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor % thread::available_parallelism()?.get());
    Ok(sched_setaffinity(None, &set)?)
}

/// Tells the parent where it listens.
fn announce(address: SocketAddr) {
    println!("{address}");
}

fn by_threads() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || stream.set_nodelay(true).and_then(|()| answer(stream)));
    }
    Ok(())
}

fn by_abaca() -> io::Result<()> {
    let listener = abaca::net::TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        abaca::spawn(move || stream.set_nodelay(true).and_then(|()| answer(stream)));
    }
    Ok(())
}

/// Requests of which `buffer` has the ends: they have no bodies.
fn ends(buffer: &[u8]) -> usize {
    buffer.windows(4).filter(|bytes| bytes == b"\r\n\r\n").count()
}

/// Answers the requests of a connection. What comes in pieces is for the next read.
fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let (mut buffer, mut filled) = ([0; 1024], 0);
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            length => filled += length,
        }
        for _ in 0..ends(&buffer[..filled]) {
            stream.write_all(ANSWER)?;
            filled = 0;
        }
    }
}

fn by_tokio<F: Future<Output = ()> + 'static>(answer: fn(tokio::net::TcpStream) -> F) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(answer(stream));
        }
    })
}

async fn answer_by_hand(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut buffer, mut filled) = ([0; 1024], 0);
    while let Ok(length @ 1..) = stream.read(&mut buffer[filled..]).await {
        filled += length;
        for _ in 0..ends(&buffer[..filled]) {
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
            filled = 0;
        }
    }
}

async fn answer_by_hyper(stream: tokio::net::TcpStream) {
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::header::{CONTENT_TYPE, HeaderValue};
    let service = hyper::service::service_fn(async |_: hyper::Request<Incoming>| {
        let mut answer = hyper::Response::new(Full::new(Bytes::from_static(b"Hello, world!")));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Ok::<_, std::convert::Infallible>(answer)
    });
    // The same bytes as the others: without a date.
    let mut http = hyper::server::conn::http1::Builder::new();
    let connection =
        http.auto_date_header(false).serve_connection(hyper_util::rt::TokioIo::new(stream), service);
    // It ends with its first error.
    let _ = connection.await;
}
