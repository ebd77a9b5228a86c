//! A web server on hyper, without an async runtime: a fiber per connection, and handlers that may block.

use std::convert::Infallible;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use abaca::cancel::CancelToken;
use abaca::future::block_on;
use abaca::net::hyper::{HyperStream, HyperTimer};
use abaca::net::{ServeOptions, TcpListener, TcpStream};
use clap::Parser;
use http_body_util::BodyExt;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};

/// Tells every client what it asked for, until interrupted with Ctrl-C
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// End after this many requests
    #[arg(long, value_name = "NUMBER")]
    requests: Option<NonZero<usize>>,
    /// How long a client may take for the head of a request
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    patience: Duration,
}

#[abaca::main]
fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let address = &options.address;
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    println!("listening on http://{}/", listener.local_addr()?);
    let left = AtomicUsize::new(options.requests.map_or(usize::MAX, NonZero::get));
    let (stop, patience) = (CancelToken::new(), options.patience);
    let server = ServeOptions::new().stop_on(&stop).serve(listener, move |stream, peer| {
        if let Err(error) = serve(stream, patience, &left, &stop) {
            eprintln!("{peer}: {error}");
        }
    });
    server.stopped()?;
    server.drain(Duration::from_secs(1));
    Ok(())
}

/// Serves one connection until its client has enough, or the server has.
fn serve(stream: TcpStream, patience: Duration, left: &AtomicUsize, stop: &CancelToken) -> hyper::Result<()> {
    let service = service_fn(async |request| {
        let mut response = answer(request).await;
        if left.fetch_sub(1, Relaxed) == 1 {
            stop.cancel();
        }
        if stop.is_cancelled() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.timer(HyperTimer).header_read_timeout(patience);
    block_on(http.serve_connection(HyperStream::new(stream), service))
}

async fn answer(request: Request<Incoming>) -> Response<String> {
    let (head, body) = request.into_parts();
    match body.collect().await {
        Ok(body) => {
            // It blocks its own connection and nobody else, like a query of a database.
            abaca::sleep(Duration::from_millis(1));
            let length = body.to_bytes().len();
            Response::new(format!("{} {} with {length} bytes\n", head.method, head.uri.path()))
        }
        Err(error) => {
            let mut response = Response::new(format!("{error}\n"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
