//! Every model gives the same answers: keep-alive, pipelining, split packets, slow readers, half-closed and reset
//! connections, garbage, and a thousand clients at once where the model can.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use abaca_lab::busy_loop::BusyLoop;
use abaca_lab::child::Launcher;
use abaca_lab::models::{MODELS, Model, Options};
use socket2::{Domain, Socket, Type};

/// Clients at once.
const CLIENTS: usize = 1000;

/// The pool of models that have one.
const POOL: usize = 32;

/// Models that serve fewer clients at once, and why.
const FEWER_CLIENTS: &[(&str, usize, &str)] = &[
    ("iterative", 1, "it serves a connection to its end before it accepts the next: that is the model"),
    ("preforked", POOL, "a process of the pool belongs to a connection until it closes"),
    ("prethreaded", POOL, "a thread of the pool belongs to a connection until it closes"),
    ("select", 504, "a set has room for 1,024 descriptors, and a client with a backend connection takes two"),
];

/// A client that gives up after a while, so that a model that hangs is a failure and not a hung test.
struct Client(TcpStream);

impl Client {
    fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn send(&mut self, requests: &str) -> io::Result<()> {
        self.0.write_all(requests.as_bytes())
    }

    /// Reads an answer; its status.
    fn status(&mut self) -> io::Result<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let after = |name: &str| head.split(name).nth(1)?.split_whitespace().next()?.parse::<usize>().ok();
        let length = after("content-length:").ok_or_else(|| io::Error::other(head.clone()))?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        assert!(length == 0 || body == b"Hello, world!");
        // hyper answers in the version in which it was asked.
        let code = after("http/1.1").or_else(|| after("http/1.0"));
        code.and_then(|code| code.try_into().ok()).ok_or_else(|| io::Error::other(head))
    }

    fn expect(&mut self, statuses: &[u16]) -> io::Result<()> {
        for (number, expected) in statuses.iter().enumerate() {
            let status = self.status()?;
            if status != *expected {
                return Err(io::Error::other(format!("answer {number} is {status}, not {expected}")));
            }
        }
        Ok(())
    }

    fn expect_end(&mut self) -> io::Result<()> {
        match self.0.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(io::Error::other("bytes after the last answer")),
        }
    }
}

const HELLO: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn keep_alive(server: SocketAddr, _: usize) -> io::Result<()> {
    let mut client = Client::connect(server)?;
    for request in
        [HELLO, "GET /work?cpu_us=50&wait_ms=2 HTTP/1.1\r\n\r\n", "GET /work?wait_ms=1 HTTP/1.1\r\n\r\n"]
    {
        client.send(request)?;
        client.expect(&[200])?;
    }
    Ok(())
}

fn pipelining(server: SocketAddr, _: usize) -> io::Result<()> {
    let mut client = Client::connect(server)?;
    let lost = "GET /lost HTTP/1.1\r\n\r\n";
    let wait = "GET /work?wait_ms=3 HTTP/1.1\r\n\r\n";
    client.send(&[HELLO, lost, wait, HELLO, wait, lost, lost, HELLO].concat())?;
    client.expect(&[200, 404, 200, 200, 200, 404, 404, 200])?;
    // While the backend is waited for, more comes: it must be found afterwards.
    client.send(wait)?;
    client.send(lost)?;
    client.expect(&[200, 404])
}

fn split_packets(server: SocketAddr, _: usize) -> io::Result<()> {
    let mut client = Client::connect(server)?;
    for _ in 0..3 {
        for byte in HELLO.as_bytes() {
            client.0.write_all(&[*byte])?;
            std::thread::yield_now();
        }
        client.expect(&[200])?;
    }
    Ok(())
}

/// A client that sends much and reads late: the model must wait until it can send.
fn slow_reader(server: SocketAddr, _: usize) -> io::Result<()> {
    const REQUESTS: usize = 10_000;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut sender = stream.try_clone()?;
    let sending = std::thread::spawn(move || {
        let requests = HELLO.repeat(REQUESTS);
        sender.write_all(requests.as_bytes()).and_then(|()| sender.shutdown(Shutdown::Write))
    });
    let mut answers = Vec::new();
    (&stream).read_to_end(&mut answers)?;
    sending.join().expect("it does not panic")?;
    let count = answers.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count();
    if count == REQUESTS { Ok(()) } else { Err(io::Error::other(format!("{count} of {REQUESTS} answers"))) }
}

fn half_close(server: SocketAddr, _: usize) -> io::Result<()> {
    for request in [HELLO, "GET /work?wait_ms=10 HTTP/1.1\r\n\r\n"] {
        let mut client = Client::connect(server)?;
        client.send(request)?;
        client.0.shutdown(Shutdown::Write)?;
        client.expect(&[200])?;
        client.expect_end()?;
    }
    Ok(())
}

/// Clients that reset their connections, in the middle of a request, of a wait and of nothing, harm nobody.
fn reset(server: SocketAddr, _: usize) -> io::Result<()> {
    for beginning in ["", "GET / HT", HELLO, "GET /work?wait_ms=5 HTTP/1.1\r\n\r\n"] {
        let mut client = Client::connect(server)?;
        client.send(beginning)?;
        socket2::SockRef::from(&client.0).set_linger(Some(Duration::ZERO))?;
        drop(client);
        keep_alive(server, 1)?;
    }
    Ok(())
}

fn garbage(server: SocketAddr, _: usize) -> io::Result<()> {
    for garbage in ["hello?\r\n\r\n", "GET /work?cpu_us=x HTTP/1.1\r\n\r\n"] {
        let mut client = Client::connect(server)?;
        client.send(garbage)?;
        client.expect(&[400])?;
        client.expect_end()?;
    }
    Ok(())
}

fn last_requests(server: SocketAddr, _: usize) -> io::Result<()> {
    for last in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"] {
        let mut client = Client::connect(server)?;
        client.send(last)?;
        client.expect(&[200])?;
        client.expect_end()?;
    }
    Ok(())
}

/// All are connected, and all have been answered twice, before the first leaves.
fn many_clients(server: SocketAddr, count: usize) -> io::Result<()> {
    let mut clients = (0..count).map(|_| Client::connect(server)).collect::<io::Result<Vec<_>>>()?;
    for request in [HELLO, "GET /work?wait_ms=20 HTTP/1.1\r\n\r\n"] {
        for client in &mut clients {
            client.send(request)?;
        }
        for client in &mut clients {
            client.expect(&[200])?;
        }
    }
    Ok(())
}

type Check = fn(SocketAddr, usize) -> io::Result<()>;

const CHECKS: &[(&str, Check)] = &[
    ("keep-alive", keep_alive),
    ("pipelining", pipelining),
    ("split packets", split_packets),
    ("slow reader", slow_reader),
    ("half-close", half_close),
    ("reset", reset),
    ("garbage", garbage),
    ("last requests", last_requests),
    ("many clients", many_clients),
];

/// What is wrong with a model.
fn faults(model: &Model, launcher: &Launcher, options: &Options) -> Vec<String> {
    let fewer = FEWER_CLIENTS.iter().find(|(name, ..)| *name == model.name);
    if let Some((name, clients, why)) = fewer {
        eprintln!("{name}: {clients} clients at once, not {CLIENTS}: {why}");
    }
    let clients = fewer.map(|(_, clients, _)| *clients);
    assert_eq!(model.capacity.clients(options), clients, "{}: FEWER_CLIENTS says why", model.name);
    let mut server = match launcher.model(model, options) {
        Ok(server) => server,
        Err(error) => return vec![format!("{}: {error}", model.name)],
    };
    let mut faults = Vec::new();
    for (name, check) in CHECKS {
        if let Err(error) = check(server.address(), clients.unwrap_or(CLIENTS)) {
            let failure = server.failure().unwrap_or_else(|| server.said());
            faults.push(format!("{}: {name}: {error} {failure}", model.name));
        }
    }
    faults
}

#[test]
fn every_model_gives_the_same_answers() {
    abaca_lab::limits::raise_open_files();
    let launcher = Launcher::new(Path::new(env!("CARGO_BIN_EXE_abaca-lab")));
    let backend = launcher.delay_server().expect("the delay server starts");
    let busy_loop = BusyLoop { iterations_per_us: 100.0 };
    let options = Options { backend: backend.address(), workers: 2, pool: POOL, busy_loop };
    let mut wrong = Vec::new();
    for model in MODELS {
        match model.available() {
            Ok(()) => wrong.extend(faults(model, &launcher, &options)),
            Err(why) => eprintln!("{}: not available: {why}", model.name),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
