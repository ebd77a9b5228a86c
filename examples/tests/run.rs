//! Runs every example as a user would, with small numbers, and looks at what it prints. Servers get real clients.

#[path = "run/curl.rs"]
mod curl;
#[path = "run/figures.rs"]
mod figures;
#[path = "run/models.rs"]
mod models;
#[path = "run/proxy.rs"]
mod proxy;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const NAMES: [&str; 11] = [
    "c10k",
    "dump_many",
    "echo",
    "http_hello",
    "https",
    "hyper_server",
    "proxy",
    "skynet",
    "generator",
    "million",
    "pipeline",
];
const MODELS: [&str; 3] = ["chat", "crawler", "supervised"];

/// Cargo builds the examples before the tests, into a folder beside them.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this test has a path");
    let target: PathBuf = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").into();
    Command::new(target.join("examples").join(name))
}

fn run(name: &str, arguments: &[&str]) -> Output {
    example(name).args(arguments).output().expect("the example starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The figure in the row that begins so.
fn figure(text: &str, row: &str) -> f64 {
    let line =
        text.lines().find_map(|line| line.strip_prefix(row)).unwrap_or_else(|| panic!("{row} in {text}"));
    let word = line.split_whitespace().next().expect("a figure").replace(',', "");
    word.parse().unwrap_or_else(|_| panic!("{word}, of {row}, is a number"))
}

/// Checks that the example fails with one sentence that says this.
fn fails(name: &str, arguments: &[&str], sentence: &str) {
    let output = run(name, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
    assert!(text.starts_with("error: ") && text.contains(sentence), "{name}: {text}");
    assert_eq!(text.lines().count(), 1, "{name}: {text}");
}

#[test]
fn every_example_has_help_and_refuses_nonsense() {
    for name in NAMES.into_iter().chain(MODELS) {
        assert!(stdout(&run(name, &["--help"])).contains("Usage:"), "{name}");
        assert_eq!(run(name, &["--no-such-option"]).status.code(), Some(2), "{name}");
    }
    for (name, option, value) in [
        ("c10k", "--connections", "0"),
        ("c10k", "--message", "0"),
        ("c10k", "--seconds", "soon"),
        ("echo", "--connections", "many"),
        ("http_hello", "--connections", "-1"),
        ("https", "--requests", "0"),
        ("hyper_server", "--requests", "many"),
        ("proxy", "--connections", "0"),
        ("proxy", "--idle-timeout", "-1"),
        ("skynet", "--depth", "9"),
        ("generator", "--count", "94"),
        ("million", "--fibers", "0"),
        ("pipeline", "--stages", "0"),
        ("pipeline", "--seconds", "never"),
        ("chat", "--grace", "soon"),
        ("crawler", "--at-once", "0"),
        ("supervised", "--actors", "0"),
    ] {
        let output = run(name, &[option, value]);
        assert_eq!(output.status.code(), Some(2), "{name} {option} {value}: {output:?}");
    }
}

#[test]
fn an_error_is_one_sentence() {
    fails("c10k", &["--connections", "100000000"], "limit");
    fails("c10k", &["--workers", "0"], "workers");
    fails("skynet", &["--workers", "0"], "workers");
    fails("million", &["--fibers", "1000000000000"], "--fibers");
    fails("million", &["--stack", "4000000000"], "stack_size");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for server in ["chat", "echo", "http_hello", "https", "hyper_server"] {
        fails(server, &[&address], &format!("cannot listen on {address}"));
        fails(server, &["nowhere"], "cannot listen on nowhere");
    }
    fails("proxy", &["127.0.0.1:1", &address], &format!("cannot listen on {address}"));
}

#[test]
fn c10k_serves_and_drives_its_connections() {
    let arguments = ["--connections", "200", "--seconds", "1", "--workers", "2", "--message", "100"];
    let text = stdout(&run("c10k", &arguments));
    assert_eq!(figure(&text, "connections "), 200.0);
    assert!(figure(&text, "requests/s") > 0.0, "{text}");
    let latencies = ["latency p50 ", "latency p99 ", "latency p99.9 "].map(|row| figure(&text, row));
    assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{text}");
    assert!(figure(&text, "OS threads") < 10.0, "a thread per connection? {text}");
    assert!(figure(&text, "memory per connection") > 0.0, "{text}");
}

/// A server example that is running. It ends with the test.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Starts it on a free port.
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = example(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let address = line.strip_prefix("listening on ").expect("the address comes first");
        let address = address.split(';').next().expect("text").trim().trim_end_matches('/');
        let address = address.rsplit("//").next().expect("text").parse().expect("an address");
        Self { child, output, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_nodelay(true).expect("an open socket");
        stream
    }

    /// Presses Enter.
    fn enter(&mut self) {
        self.child.stdin.as_mut().expect("piped").write_all(b"\n").expect("the example reads");
    }

    /// The next line of its output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }

    /// Waits for its end; the rest of its output.
    fn ends_well(mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("the example ends").success(), "{text}");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(mut stream: &TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).expect("the server reads");
}

/// Exactly as many bytes as are expected.
fn expect(mut stream: &TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).expect("the server answers");
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server answers, and closes");
    bytes
}

#[test]
fn echo_sends_back_what_it_receives() {
    let server = Server::start("echo", &["--connections", "3"]);
    let streams: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::thread::scope(|scope| {
        for stream in &streams {
            scope.spawn(|| {
                send(stream, &megabyte);
                stream.shutdown(Shutdown::Write).expect("a half-close");
            });
            scope.spawn(|| assert!(read_all(stream) == megabyte));
        }
    });
    drop(streams);
    assert_eq!(server.ends_well().matches(": 1000000 bytes").count(), 3);
}

#[test]
fn echo_answers_each_piece_and_survives_a_reset() {
    let server = Server::start("echo", &["--connections", "2"]);
    let patient = server.connect();
    expect_echo(&patient, "one ");
    let rude = server.connect();
    send(&rude, "unread");
    rude.peek(&mut [0]).expect("the echo arrives");
    // The kernel resets a connection that is closed with bytes unread.
    drop(rude);
    expect_echo(&patient, "two");
    patient.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(read_all(&patient), b"");
    let report = server.ends_well();
    assert!(report.contains(": 7 bytes") && report.contains("reset"), "{report}");
}

fn expect_echo(stream: &TcpStream, text: &str) {
    for piece in text.split_inclusive(' ') {
        send(stream, piece);
        expect(stream, piece);
    }
}

#[test]
fn echo_once_ends_after_one_connection() {
    let server = Server::start("echo", &["127.0.0.1:0", "--once"]);
    drop(server.connect());
    assert!(server.ends_well().contains(": 0 bytes"));
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

#[test]
fn http_hello_keeps_connections_alive_and_answers_pipelines() {
    let server = Server::start("http_hello", &["--connections", "3"]);

    let stream = server.connect();
    for _ in 0..3 {
        send(&stream, REQUEST);
        expect(&stream, HELLO);
    }
    // One and a half, and when the first is answered, the other half.
    let (head, tail) = REQUEST.split_at(REQUEST.len() - 3);
    send(&stream, format!("{REQUEST}{head}"));
    expect(&stream, HELLO);
    send(&stream, tail);
    expect(&stream, HELLO);
    for byte in REQUEST.bytes() {
        send(&stream, [byte]);
    }
    expect(&stream, HELLO);
    stream.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(read_all(&stream), b"");

    // More than fits into the server's buffer at once.
    let pipeline = server.connect();
    send(&pipeline, REQUEST.repeat(1000));
    expect(&pipeline, &HELLO.repeat(1000));
    drop(pipeline);

    let last = server.connect();
    send(&last, "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n");
    expect(&last, HELLO);
    last.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(read_all(&last), b"");
    server.ends_well();
}

#[test]
fn http_hello_refuses_requests_that_it_cannot_serve() {
    let refused = [
        "\0\u{1} nonsense\r\n\r\n".to_string(),
        "POST / HTTP/1.1\r\n\r\n".to_string(),
        "GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi".to_string(),
        // The last answer arrives although the server has not read all of this.
        format!("GET /{} HTTP/1.1\r\n\r\n", "long/".repeat(4000)),
        format!("nonsense\r\n{REQUEST}"),
    ];
    let server = Server::start("http_hello", &["--connections", &(refused.len() + 2).to_string()]);
    for request in &refused {
        let stream = server.connect();
        send(&stream, request);
        let answer = read_all(&stream);
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(
            answer.windows(5).filter(|bytes| bytes == b"HTTP/").count(),
            1,
            "nothing follows a refusal"
        );
    }
    // A client that resets takes only its own connection down.
    let rude = server.connect();
    send(&rude, REQUEST);
    rude.peek(&mut [0]).expect("the answer arrives");
    drop(rude);
    let stream = server.connect();
    send(&stream, REQUEST);
    expect(&stream, HELLO);
    drop(stream);
    server.ends_well();
}
