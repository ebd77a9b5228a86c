//! Runs every example as a user would, with small numbers, and looks at what it prints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

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

#[test]
fn c10k_serves_and_drives_its_connections() {
    let text = stdout(&run("c10k", &["--connections", "200", "--seconds", "0.3", "--workers", "2"]));
    for line in ["connections", "requests/s", "latency p50", "latency p99.9", "memory per connection"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let rate = text.lines().find(|line| line.starts_with("requests/s")).expect("a rate");
    let rate: f64 = rate.split_whitespace().nth(1).expect("a figure").parse().expect("a number");
    assert!(rate > 0.0, "{text}");
}

#[test]
fn c10k_says_when_the_limit_of_open_files_is_too_low() {
    let output = run("c10k", &["--connections", "100000000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("open files"), "{output:?}");
}

#[test]
fn skynet_adds_up_its_leaves() {
    assert!(stdout(&run("skynet", &["--depth", "3"])).contains("sum               499500"));
}

#[test]
fn million_parks_and_wakes_its_fibers() {
    let text = stdout(&run("million", &["--fibers", "2000"]));
    assert!(text.contains("fibers asleep                   2000"), "{text}");
    assert!(text.contains("bytes of page tables"), "{text}");
}

/// Five gigabytes for some seconds: the size that the example is about.
#[test]
fn a_million_fibers_are_parked_on_guarded_stacks_under_the_stock_limit_of_mappings() {
    let text = stdout(&run("million", &[]));
    assert!(text.contains("fibers asleep                1000000"), "{text}");
    let maps = text.lines().find(|line| line.starts_with("memory mappings")).expect("a line");
    let maps: u64 = maps.split_whitespace().nth(2).expect("a figure").parse().expect("a number");
    assert!(maps < 10_000, "{text}");
}

#[test]
fn generator_prints_its_sequences() {
    let text = stdout(&run("generator", &["--count", "10"]));
    assert!(text.contains("fibonacci: 0 1 1 2 3 5 8 13 21 34"), "{text}");
    assert!(text.contains("in order: 4 2 5 1 6 3 7"), "{text}");
}

#[test]
fn every_example_has_help_and_refuses_nonsense() {
    for name in ["c10k", "echo", "http_hello", "skynet", "generator", "million"] {
        assert!(stdout(&run(name, &["--help"])).contains("Usage:"), "{name}");
        assert_eq!(run(name, &["--no-such-option"]).status.code(), Some(2), "{name}");
    }
}

/// A server example that is running.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it on a free port, to end after so many connections.
    fn start(name: &str, connections: usize) -> Self {
        let mut command = example(name);
        command.args(["127.0.0.1:0", "--connections", &connections.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().trim_start_matches("listening on ").trim_start_matches("http://");
        let address = address.trim_end_matches('/').parse().expect("an address");
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("the server listens")
    }

    fn ends_well(mut self) {
        assert!(self.child.wait().expect("the example ends").success());
    }
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server answers");
    bytes
}

#[test]
fn echo_sends_back_what_it_receives() {
    let server = Server::start("echo", 3);
    let streams: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for stream in &streams {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = stream;
                writer.write_all(&megabyte).expect("the server reads");
                stream.shutdown(Shutdown::Write).expect("a half-close");
            });
            assert!(read_all(stream) == megabyte);
        });
    }
    server.ends_well();
}

#[test]
fn http_hello_answers_pieces_pipelines_and_garbage() {
    let server = Server::start("http_hello", 4);

    let mut pieces = server.connect();
    for piece in ["GET / HT", "TP/1.1\r\nHost: a", "\r\n\r", "\nGET / HTTP/1.1\r\n\r\n"] {
        pieces.write_all(piece.as_bytes()).expect("the server reads");
    }
    pieces.shutdown(Shutdown::Write).expect("a half-close");
    let text = String::from_utf8(read_all(&pieces)).expect("text");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");

    let mut pipeline = server.connect();
    pipeline.write_all("GET / HTTP/1.1\r\n\r\n".repeat(100).as_bytes()).expect("the server reads");
    pipeline.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(String::from_utf8_lossy(&read_all(&pipeline)).matches("Hello, world!").count(), 100);

    let mut garbage = server.connect();
    garbage.write_all(b"\x00\x01 nonsense\r\n\r\n").expect("the server reads");
    assert!(read_all(&garbage).starts_with(b"HTTP/1.1 400"));

    let mut post = server.connect();
    post.write_all(b"POST / HTTP/1.1\r\n\r\n").expect("the server reads");
    assert!(read_all(&post).starts_with(b"HTTP/1.1 405"));
    server.ends_well();
}
