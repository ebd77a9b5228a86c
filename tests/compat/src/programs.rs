//! The programs: a call that takes 200 ms at its server, and one whose server goes away in the middle.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::servers::Servers;

type Call = fn(&Servers) -> Result<String, String>;

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Its package, whose version is in the lock file.
    pub(crate) package: Option<&'static str>,
    pub(crate) is_there: fn(&Servers) -> bool,
    pub(crate) slow: Call,
    pub(crate) dropped: Option<Call>,
    /// Whether a deadline ends its call.
    pub(crate) ends: bool,
}

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "std::net",
        package: None,
        is_there: always,
        slow: std_slow,
        dropped: Some(std_dropped),
        ends: true,
    },
    Program {
        name: "std::process",
        package: None,
        is_there: always,
        slow: process,
        dropped: None,
        ends: true,
    },
    Program {
        name: "std::thread and mpsc",
        package: None,
        is_there: always,
        slow: threads,
        dropped: None,
        ends: false,
    },
    Program {
        name: "ureq",
        package: Some("ureq"),
        is_there: always,
        slow: ureq_slow,
        dropped: Some(ureq_dropped),
        ends: true,
    },
    Program {
        name: "minreq",
        package: Some("minreq"),
        is_there: always,
        slow: minreq_slow,
        dropped: Some(minreq_dropped),
        ends: true,
    },
    Program {
        name: "attohttpc",
        package: Some("attohttpc"),
        is_there: always,
        slow: attohttpc_slow,
        dropped: Some(attohttpc_dropped),
        ends: true,
    },
    Program {
        name: "tiny_http",
        package: Some("tiny_http"),
        is_there: always,
        slow: tiny_http_slow,
        dropped: None,
        ends: true,
    },
    Program {
        name: "tungstenite",
        package: Some("tungstenite"),
        is_there: always,
        slow: tungstenite_slow,
        dropped: Some(tungstenite_dropped),
        ends: true,
    },
    Program {
        name: "redis",
        package: Some("redis"),
        is_there: has_redis,
        slow: redis_slow,
        dropped: Some(redis_dropped),
        ends: true,
    },
    Program {
        name: "postgres",
        package: Some("postgres"),
        is_there: has_postgres,
        slow: postgres_slow,
        dropped: None,
        ends: true,
    },
];

fn always(_: &Servers) -> bool {
    true
}

fn has_redis(servers: &Servers) -> bool {
    servers.redis.is_some()
}

fn has_postgres(servers: &Servers) -> bool {
    servers.postgres.is_some()
}

fn text<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

fn by_std(servers: &Servers, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(servers.http).map_err(text)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    Ok(answer)
}

fn std_slow(servers: &Servers) -> Result<String, String> {
    by_std(servers, "/slow")
}

fn std_dropped(servers: &Servers) -> Result<String, String> {
    by_std(servers, "/dropped")
}

fn process(_: &Servers) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", "sleep 0.2; echo done"]).output().map_err(text)?;
    Ok(format!("{} {}", output.status, String::from_utf8_lossy(&output.stdout)))
}

fn threads(_: &Servers) -> Result<String, String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        sender.send("done").unwrap();
    });
    // A deadline does not end a wait for another thread.
    let answer = receiver.recv().map_err(text)?;
    thread.join().unwrap();
    Ok(answer.into())
}

fn by_ureq(servers: &Servers, path: &str) -> Result<String, String> {
    let mut answer = ureq::get(format!("http://{}{path}", servers.http)).call().map_err(text)?;
    answer.body_mut().read_to_string().map_err(text)
}

fn ureq_slow(servers: &Servers) -> Result<String, String> {
    by_ureq(servers, "/slow")
}

fn ureq_dropped(servers: &Servers) -> Result<String, String> {
    by_ureq(servers, "/dropped")
}

fn by_minreq(servers: &Servers, path: &str) -> Result<String, String> {
    let answer = minreq::get(format!("http://{}{path}", servers.http)).send().map_err(text)?;
    answer.as_str().map(str::to_owned).map_err(text)
}

fn minreq_slow(servers: &Servers) -> Result<String, String> {
    by_minreq(servers, "/slow")
}

fn minreq_dropped(servers: &Servers) -> Result<String, String> {
    by_minreq(servers, "/dropped")
}

fn by_attohttpc(servers: &Servers, path: &str) -> Result<String, String> {
    attohttpc::get(format!("http://{}{path}", servers.http)).send().map_err(text)?.text().map_err(text)
}

fn attohttpc_slow(servers: &Servers) -> Result<String, String> {
    by_attohttpc(servers, "/slow")
}

fn attohttpc_dropped(servers: &Servers) -> Result<String, String> {
    by_attohttpc(servers, "/dropped")
}

/// The server runs where the client does; its own threads are OS threads.
fn tiny_http_slow(_: &Servers) -> Result<String, String> {
    let server = tiny_http::Server::http("127.0.0.1:0").map_err(text)?;
    let address = server.server_addr().to_ip().expect("an address");
    let answerer = std::thread::spawn(move || {
        let request = server.recv().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        request.respond(tiny_http::Response::from_string("done")).unwrap();
    });
    let answer = minreq::get(format!("http://{address}/")).send().map_err(text)?;
    answerer.join().unwrap();
    answer.as_str().map(str::to_owned).map_err(text)
}

fn by_tungstenite(servers: &Servers, message: &str) -> Result<String, String> {
    let stream = TcpStream::connect(servers.websocket).map_err(text)?;
    let (mut socket, _) =
        tungstenite::client(format!("ws://{}/", servers.websocket), stream).map_err(text)?;
    socket.send(tungstenite::Message::text(message)).map_err(text)?;
    socket.read().map_err(text).map(|message| message.to_string())
}

fn tungstenite_slow(servers: &Servers) -> Result<String, String> {
    by_tungstenite(servers, "slow")
}

fn tungstenite_dropped(servers: &Servers) -> Result<String, String> {
    by_tungstenite(servers, "dropped")
}

fn by_redis(url: &str, key: &str) -> Result<String, String> {
    let client = redis::Client::open(url).map_err(text)?;
    let mut connection = client.get_connection().map_err(text)?;
    let nothing: Option<(String, String)> =
        redis::cmd("BLPOP").arg(key).arg(0.2).query(&mut connection).map_err(text)?;
    for n in 0..100 {
        redis::cmd("SET").arg(format!("key{n}")).arg(n).exec(&mut connection).map_err(text)?;
    }
    let last: u32 = redis::cmd("GET").arg("key99").query(&mut connection).map_err(text)?;
    Ok(format!("{nothing:?} {last}"))
}

fn redis_slow(servers: &Servers) -> Result<String, String> {
    by_redis(servers.redis.as_ref().expect("it runs"), "nothing")
}

/// A server that takes the command and closes the connection.
fn redis_dropped(servers: &Servers) -> Result<String, String> {
    by_redis(&format!("redis://{}/", servers.http), "nothing")
}

fn postgres_slow(servers: &Servers) -> Result<String, String> {
    let url = servers.postgres.as_ref().expect("it runs");
    let mut client = postgres::Client::connect(url, postgres::NoTls).map_err(text)?;
    let row = client.query_one("select 6 * 7, pg_sleep(0.2)", &[]).map_err(text)?;
    Ok(row.get::<_, i32>(0).to_string())
}
