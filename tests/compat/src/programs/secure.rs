//! TLS and SSH.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::{Gone, Program, Version, text};
use crate::call::{Answer, Call};
use crate::servers::{Servers, Which};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "rustls",
        version: Version::Of("rustls"),
        is_there: has_tls,
        slow: by_rustls,
        look: None,
        gone: Gone::Killed(Which::Tls),
        goes_on: None,
    },
    Program {
        name: "native-tls",
        version: Version::With("native-tls", openssl_version),
        is_there: has_tls,
        slow: by_native_tls,
        look: None,
        gone: Gone::Killed(Which::Tls),
        goes_on: None,
    },
    Program {
        name: "ssh2",
        version: Version::Of("ssh2"),
        is_there: |servers| servers.ssh.is_some(),
        slow: by_ssh,
        look: Some(super::native::marks),
        gone: Gone::Killed(Which::Ssh),
        goes_on: None,
    },
];

fn has_tls(servers: &Servers) -> bool {
    servers.tls.is_some()
}

fn openssl_version() -> String {
    openssl::version::version().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Asks for the slow page.
fn ask(mut stream: impl Read + Write, call: &Call<'_>) -> Answer {
    call.ready();
    let time = call.time.as_millis();
    write!(stream, "GET /slow/{time} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .map_err(text)?;
    stream.flush().map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    Ok(answer)
}

fn by_rustls(call: &Call<'_>) -> Answer {
    let server = call.servers.tls.as_ref().expect("it runs");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.certificate).map_err(text)?).map_err(text)?;
    let settings = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(text)?;
    let mut connection = rustls::ClientConnection::new(Arc::new(settings), name).map_err(text)?;
    let mut stream = TcpStream::connect(server.address).map_err(text)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(text)?;
    }
    ask(rustls::StreamOwned::new(connection, stream), call)
}

fn by_native_tls(call: &Call<'_>) -> Answer {
    let server = call.servers.tls.as_ref().expect("it runs");
    let certificate = std::fs::read(&server.certificate).map_err(text)?;
    let certificate = native_tls::Certificate::from_pem(&certificate).map_err(text)?;
    let connector =
        native_tls::TlsConnector::builder().add_root_certificate(certificate).build().map_err(text)?;
    let stream = TcpStream::connect(server.address).map_err(text)?;
    ask(connector.connect("localhost", stream).map_err(text)?, call)
}

/// A command that leaves a mark while it runs.
fn by_ssh(call: &Call<'_>) -> Answer {
    let server = call.servers.ssh.as_ref().expect("it runs");
    let mut session = ssh2::Session::new().map_err(text)?;
    session.set_tcp_stream(TcpStream::connect(server.address).map_err(text)?);
    session.handshake().map_err(text)?;
    session.userauth_pubkey_file(&server.user, None, &server.key, None).map_err(text)?;
    let mut channel = session.channel_session().map_err(text)?;
    call.ready();
    channel.exec(&super::native::marking(call)).map_err(text)?;
    let mut answer = String::new();
    channel.read_to_string(&mut answer).map_err(text)?;
    channel.wait_close().map_err(text)?;
    Ok(format!("{answer}, status {}", channel.exit_status().map_err(text)?))
}
