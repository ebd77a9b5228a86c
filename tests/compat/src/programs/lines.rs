//! Clients that speak by lines: of SMTP, FTP and memcached.

use lettre::Transport;
use lettre::address::Envelope;
use lettre::transport::smtp::SmtpTransport;
use suppaftp::FtpStream;

use super::http::HERE;
use super::{Gone, Program, Version, text};
use crate::call::{Answer, Call};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "lettre",
        version: Version::Of("lettre"),
        slow: |call| by_lettre(call, &call.time.as_millis().to_string()),
        gone: Gone::Closes(|call| by_lettre(call, "half")),
        ..HERE
    },
    Program {
        name: "suppaftp",
        version: Version::Of("suppaftp"),
        slow: |call| by_suppaftp(call, &call.time.as_millis().to_string()),
        gone: Gone::Closes(|call| by_suppaftp(call, "half")),
        ..HERE
    },
    Program {
        name: "memcache",
        version: Version::Of("memcache"),
        slow: |call| by_memcache(call, &call.time.as_millis().to_string()),
        gone: Gone::Closes(|call| by_memcache(call, "half")),
        ..HERE
    },
];

fn by_lettre(call: &Call<'_>, sender: &str) -> Answer {
    let address = call.servers.lines;
    let transport = SmtpTransport::builder_dangerous(address.ip().to_string()).port(address.port()).build();
    let from = format!("{sender}@localhost").parse().map_err(text)?;
    let to = "somebody@localhost".parse().map_err(text)?;
    let envelope = Envelope::new(Some(from), vec![to]).map_err(text)?;
    call.ready();
    let answer = transport.send_raw(&envelope, b"Subject: slow\r\n\r\n.a line\r\n").map_err(text)?;
    Ok(answer.message().collect())
}

fn by_suppaftp(call: &Call<'_>, time: &str) -> Answer {
    let mut stream = FtpStream::connect(call.servers.lines).map_err(text)?;
    stream.login("somebody", "secret").map_err(text)?;
    call.ready();
    let answer = stream.site(time).map_err(text)?;
    stream.quit().map_err(text)?;
    answer.as_string().map_err(text)
}

/// A client with a pool of one connection. A pool that tests its connections repeats that for 30 s, whatever ends the tests.
fn by_memcache(call: &Call<'_>, key: &str) -> Answer {
    let address = format!("memcache://{}?protocol=ascii", call.servers.memcached);
    let manager = memcache::ConnectionManager::new(address.parse().map_err(text)?);
    let pool = r2d2::Pool::builder().max_size(1).test_on_check_out(false).build(manager).map_err(text)?;
    let client = memcache::Client::with_pool(pool).map_err(text)?;
    client.version().map_err(text)?;
    call.ready();
    let answer: Option<String> = client.get(key).map_err(text)?;
    Ok(answer.unwrap_or_default())
}
