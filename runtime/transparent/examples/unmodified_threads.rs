//! A thread-per-connection server as one writes it with std, and ten thousand clients, each a thread: all of them fibers, on two OS
//! threads, because of the first line of `main`.
//!
//! `ABACA_WORKERS=2 cargo run --release -p abaca-transparent --example unmodified_threads [CONNECTIONS [threads]]`
//!
//! With `threads` the first line is left out: the same program on threads of the kernel.

#[path = "servers/limits.rs"]
mod limits;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Requests on each connection, once all are open.
const REQUESTS: usize = 5;

/// Connections that are made at once. Std's listeners have a queue of 128; what comes beyond it the kernel answers late, and resets some.
const AT_ONCE: usize = 100;

/// Waits, when it is dropped, until all clients have come so far: those that fail as well, so that nobody waits for them.
struct Gate(Arc<Barrier>);

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let connections = arguments.next().map(|text| text.parse()).transpose().map_err(io::Error::other)?;
    if arguments.next().as_deref() != Some("threads") {
        abaca_transparent::threads_are_fibers()?;
    }
    // Both ends of each connection are in this process, which has some other files open, too.
    let most = limits::allow_files()?.saturating_sub(100) / 2;
    let connections = connections.unwrap_or_else(|| most.min(10_000));
    if connections > most {
        return Err(io::Error::other(format!(
            "the limit of open files (ulimit -Hn) allows {most} connections"
        )));
    }

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&listener));
    drive(address, connections)
}

/// The server: nothing of it knows of fibers.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || answer(&stream))),
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        // One write, so that the client reads one line.
        let mut stream = stream;
        stream.write_all(format!("you said {}\n", line?).as_bytes())?;
    }
    Ok(())
}

/// The clients.
fn drive(address: SocketAddr, connections: usize) -> io::Result<()> {
    let begin = Instant::now();
    let all_are_open = Arc::new(Barrier::new(connections + 1));
    let answers = Arc::new(Mutex::new(0_usize));
    let mut clients = Vec::with_capacity(connections);
    for first in (0..connections).step_by(AT_ONCE) {
        let (open, none_is_left) = mpsc::channel::<()>();
        for number in first..connections.min(first + AT_ONCE) {
            let (open, all_are_open, answers) =
                (open.clone(), Gate(Arc::clone(&all_are_open)), Arc::clone(&answers));
            clients.push(thread::spawn(move || -> io::Result<()> {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let mut lines = BufReader::new(&stream).lines();
                let mut ask = |question: String| -> io::Result<bool> {
                    (&stream).write_all(format!("{question}\n").as_bytes())?;
                    let answer = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
                    Ok(answer == format!("you said {question}"))
                };
                let mut right = usize::from(ask(format!("hello from {number}"))?);
                drop(open);
                drop(all_are_open);
                for request in 0..REQUESTS {
                    right += usize::from(ask(format!("{number} asks {request}"))?);
                }
                *answers.lock().expect("nobody panics") += right;
                Ok(())
            }));
        }
        drop(open);
        // Nothing is sent: this ends when all of them have their first answers, or have failed.
        let _ = none_is_left.recv();
    }
    all_are_open.wait();
    let opened = begin.elapsed();
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    for client in clients {
        client.join().expect("nobody panics")?;
    }
    let took = begin.elapsed();
    let answers = *answers.lock().expect("nobody panics");
    println!(
        "{connections} connections, {} threads of the program, {threads} of the kernel",
        2 * connections + 1
    );
    println!("{answers} right answers of {}", connections * (REQUESTS + 1));
    println!(
        "{:.0} ms until all were open, {:.0} ms in all",
        opened.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e3
    );
    if answers == connections * (REQUESTS + 1) {
        Ok(())
    } else {
        Err(io::Error::other("some answers were wrong"))
    }
}
