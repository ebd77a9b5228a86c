//! tokio: a task per connection, and hyper.

use std::convert::Infallible;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::{Service, announce, http};

/// `None` is the current-thread runtime.
fn runtime(workers: Option<usize>) -> Runtime {
    let runtime = match workers {
        Some(workers) => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
        None => Builder::new_current_thread().enable_all().build(),
    };
    runtime.expect("a runtime")
}

pub(crate) fn serve(service: Service, workers: Option<usize>) {
    // The accept loop is a task too, as it is a fiber in abaca.
    runtime(workers).block_on(async move { tokio::spawn(accept(service)).await }).expect("it serves");
}

async fn accept(service: Service) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    announce(listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        tokio::spawn(async move {
            match service {
                Service::Echo => echo(stream).await.is_ok(),
                Service::Hello => hello(stream).await.is_ok(),
            }
        });
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

async fn hello(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut answers = Vec::with_capacity(4096);
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..]).await?;
        if length == 0 {
            return Ok(());
        }
        filled += length;
        let Some(taken) = http::answer(&buffer[..filled], &mut answers) else { return Ok(()) };
        stream.write_all(&answers).await?;
        answers.clear();
        buffer.copy_within(taken..filled, 0);
        filled -= taken;
    }
}

pub(crate) fn serve_hyper(workers: usize) {
    let serving = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        announce(listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an open socket");
            let io = hyper_util::rt::TokioIo::new(stream);
            let connection = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(io, hyper::service::service_fn(say_hello));
            tokio::spawn(connection);
        }
    };
    runtime(Some(workers)).block_on(async move { tokio::spawn(serving).await }).expect("it serves");
}

async fn say_hello(_request: Request<Incoming>) -> Result<Response<http_body_util::Full<Bytes>>, Infallible> {
    let mut response = Response::new(http_body_util::Full::new(Bytes::from_static(b"Hello, world!")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
