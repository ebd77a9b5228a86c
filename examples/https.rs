//! An HTTPS server out of plain blocking crates: rustls and httparse do not know that they run on fibers.

use std::io::{self, Read, Write};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use abaca::cancel::CancellationToken;
use abaca::net::{ServeOptions, TcpListener, TcpStream};
use clap::Parser;
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};

/// Answers every GET over TLS, with a certificate of its own for localhost, until interrupted with Ctrl-C
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// End after this many requests
    #[arg(long, value_name = "NUMBER")]
    requests: Option<NonZero<usize>>,
    /// File to write the certificate to, for the client: curl --cacert PATH
    #[arg(long, value_name = "PATH")]
    certificate: Option<std::path::PathBuf>,
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// Bytes that a request, which is all head, must fit into.
const REQUEST_LIMIT: usize = 8192;

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
    let config = self_signed(options)?;
    println!("listening on https://{}/", listener.local_addr()?);
    let left = AtomicUsize::new(options.requests.map_or(usize::MAX, NonZero::get));
    let stop = CancellationToken::new();
    let server = ServeOptions::new().stop_on(&stop).serve(listener, move |stream, peer| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a configuration that is complete");
        let served = serve(Tls::new(session, stream), &left, &stop);
        served.unwrap_or_else(|error| eprintln!("{peer}: {error}"));
    });
    server.stopped()?;
    server.drain(std::time::Duration::from_secs(1));
    Ok(())
}

/// A new key, and a certificate that vouches for itself.
fn self_signed(options: &Options) -> io::Result<Arc<ServerConfig>> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    if let Some(path) = &options.certificate {
        let cannot = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        };
        abaca::fs::write(path, made.cert.pem()).map_err(cannot)?;
    }
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    config.with_single_cert(vec![made.cert.into()], key.into()).map(Arc::new).map_err(io::Error::other)
}

/// Serves one connection until its client ends it, or the server stops.
fn serve(mut stream: Tls, left: &AtomicUsize, stop: &CancellationToken) -> io::Result<()> {
    let (mut buffer, mut filled, mut go_on) = (vec![0; REQUEST_LIMIT], 0, true);
    while go_on {
        let length = stream.read(&mut buffer[filled..])?;
        (filled, go_on) = (filled + length, length > 0);
        while let (true, Some((answer, length, keep_alive))) = (go_on, answer(&buffer[..filled])) {
            if left.fetch_sub(1, Relaxed) == 1 {
                stop.cancel();
            }
            go_on = keep_alive && !stop.is_cancelled();
            stream.write_all(answer.as_bytes())?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
    }
    stream.conn.send_close_notify();
    stream.flush()
}

/// The answer to the first request in `bytes`, the request's length, and whether another may follow. `None` while it is not
/// complete.
fn answer(bytes: &[u8]) -> Option<(String, usize, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < REQUEST_LIMIT => None,
        Ok(httparse::Status::Complete(length)) if request.method == Some("GET") => {
            let body = format!("{} in secret\n", request.path?);
            Some((format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()), length, true))
        }
        _ => Some(("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".into(), 0, false)),
    }
}
