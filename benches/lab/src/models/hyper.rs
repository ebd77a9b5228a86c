//! hyper, the HTTP library of most Rust servers, on tokio's tasks and on abaca's fibers.
//!
//! hyper 1: the same connection state machine and the same handler on both; what differs is who polls it. The other models
//! have the lab's small parser, so these two compare with each other.
//!
//! State between two events: in hyper's future, which is a task on tokio, and lies on the stack of the fiber that blocks on it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use ::abaca::net::hyper::HyperStream;
use ::abaca::runtime::Builder;
use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::runtime::Runtime;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::{Capacity, Family, Model, Options, abaca, always, tokio};
use crate::service::{ANSWER, Garbage, Target, question, target};

pub(super) const ON_TOKIO: Model = Model {
    name: "hyper",
    about: "hyper on tokio's work-stealing threads",
    state: "hyper's future in the task",
    source: "hyper 1 and tokio 1",
    family: Family::Stackless,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve: |listener, options| serve_on_tokio(&tokio::threads(options)?, listener, options),
};

/// For a bar of what is bound to one CPU.
pub(super) const ON_TOKIO_CT: Model = Model {
    name: "hyper-ct",
    about: "hyper on tokio, one thread",
    source: "hyper 1 and tokio 1, current-thread runtime",
    serve: |listener, options| serve_on_tokio(&tokio::current_thread()?, listener, options),
    ..ON_TOKIO
};

pub(super) const ON_ABACA: Model = Model {
    name: "abaca-hyper",
    about: "hyper on abaca's fibers (M:N)",
    state: "hyper's future on the fiber's stack",
    source: "hyper 1 and this project",
    family: Family::Stackful,
    serve: serve_on_abaca,
    ..ON_TOKIO
};

/// As it comes, but that what a client has asked before it closed its side is answered. (With `pipeline_flush` hyper 1.12 does not
/// send its answer to what it cannot parse.)
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.half_close(true);
    http
}

fn serve_on_tokio(runtime: &Runtime, listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let options = *options;
    on_tokio(runtime, listener, move |request| answer(request, options, wait_on_tokio))
}

fn serve_on_abaca(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let options = *options;
    // A handler may block: it holds up its own connection only.
    let wait = async |options: Options, question| wait_on_abaca(&options, question);
    let builder = ::abaca::Runtime::builder().workers(options.workers);
    on_abaca(builder, listener, move |request| answer(request, options, wait))
}

/// Serves by `answer`, each connection in a task of its own.
pub(super) fn on_tokio<F>(
    runtime: &Runtime,
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> io::Result<Infallible>
where
    F: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    tokio::serve_each(runtime, listener, move |client| {
        // What fails here fails at the first read as well.
        let _ = client.set_nodelay(true);
        http().serve_connection(TokioIo::new(client), service_fn(answer.clone()))
    })
}

/// Serves by `answer`, each connection in a fiber of its own.
pub(super) fn on_abaca<F>(
    builder: Builder,
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> io::Result<Infallible>
where
    F: Future<Output = io::Result<Response<Full<Bytes>>>>,
{
    abaca::serve_each(builder, listener, move |client| {
        let _ = client.set_nodelay(true);
        let connection = http().serve_connection(HyperStream::new(client), service_fn(answer.clone()));
        // A connection ends with its first error, as it does when its client is gone.
        let _ = ::abaca::future::block_on(connection);
    })
}

/// The service; `wait` asks the backend.
async fn answer(
    request: Request<Incoming>,
    options: Options,
    wait: impl AsyncFnOnce(Options, String) -> io::Result<()>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let mut response = Response::new(Full::new(Bytes::new()));
    match target(path) {
        Ok(Target::Work { cpu, wait: time }) => {
            if !cpu.is_zero() {
                options.busy_loop.spend(cpu);
            }
            if !time.is_zero() {
                wait(options, question(time)).await?;
            }
            *response.body_mut() = Full::new(Bytes::from_static(b"Hello, world!"));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        Ok(Target::Nothing) => *response.status_mut() = StatusCode::NOT_FOUND,
        Err(Garbage) => {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    Ok(response)
}

async fn wait_on_tokio(options: Options, question: String) -> io::Result<()> {
    let mut backend = ::tokio::net::TcpStream::connect(options.backend).await?;
    backend.set_nodelay(true)?;
    backend.write_all(question.as_bytes()).await?;
    backend.read_exact(&mut [0; ANSWER.len()]).await?;
    Ok(())
}

fn wait_on_abaca(options: &Options, question: String) -> io::Result<()> {
    use std::io::{Read, Write};
    let mut backend = ::abaca::net::TcpStream::connect(options.backend)?;
    backend.set_nodelay(true)?;
    backend.write_all(question.as_bytes())?;
    backend.read_exact(&mut [0; ANSWER.len()])
}
