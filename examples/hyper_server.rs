//! A web server on hyper, without an async runtime: a fiber per connection, handlers that may block, and a graceful stop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::future::block_on;
use abaca::net::hyper::{HyperStream, HyperTimer};
use abaca::net::{ServeOptions, TcpListener, TcpStream};
use clap::Parser;
use http_body_util::BodyExt;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};

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
    header_timeout: Duration,
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
    let (stop, header_timeout) = (CancellationToken::new(), options.header_timeout);
    let server = ServeOptions::new().stop_on(&stop).serve(listener, move |stream, peer| {
        if let Err(error) = serve(stream, header_timeout, &left, &stop) {
            eprintln!("{peer}: {error}");
        }
    });
    server.stopped()?;
    server.drain(Duration::from_secs(1));
    Ok(())
}

/// Serves one connection until its client ends it, or the server stops: then it answers the request under way, and ends.
fn serve(
    stream: TcpStream,
    header_timeout: Duration,
    left: &AtomicUsize,
    stop: &CancellationToken,
) -> hyper::Result<()> {
    let service = service_fn(async |request| {
        let mut response = answer(request).await;
        if left.fetch_sub(1, Relaxed) == 1 {
            stop.cancel();
            // This response is written before the connection sees that.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.timer(HyperTimer).header_read_timeout(header_timeout);
    let mut connection = pin!(http.serve_connection(HyperStream::new(stream), service));
    let mut stopped = pin!(stop.cancelled_async());
    let mut is_stopping = false;
    block_on(poll_fn(|context| {
        if !is_stopping && stopped.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    }))
}

async fn answer(request: Request<Incoming>) -> Response<String> {
    let (head, body) = request.into_parts();
    match body.collect().await {
        Ok(body) => {
            // Blocks only its own connection. It stands for a query of a database.
            abaca::sleep(Duration::from_millis(1));
            let length = body.to_bytes().len();
            Response::new(format!("{} {} with {length} bytes\n", head.method, head.uri.path()))
        }
        Err(error) => Response::builder().status(400).body(format!("{error}\n")).expect("400 is a status"),
    }
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
