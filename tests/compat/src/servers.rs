//! The servers: those of this program run on OS threads; Redis and PostgreSQL where they are installed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Servers {
    pub(crate) http: SocketAddr,
    pub(crate) websocket: SocketAddr,
    pub(crate) redis: Option<String>,
    pub(crate) postgres: Option<String>,
    children: Vec<Child>,
    folder: PathBuf,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("abaca-compat-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut children = Vec::new();
        let redis = redis(&folder).map(|(child, url)| {
            children.push(child);
            url
        });
        let postgres = postgres(&folder).map(|(child, url)| {
            children.push(child);
            url
        });
        Self { http: serve(answer), websocket: serve(answer_websocket), redis, postgres, children, folder }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // SIGTERM would do for both; the folder is thrown away anyway.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A server with a thread for each connection.
fn serve(answer: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers one request of HTTP. Whatever else it is sent is a client of another protocol, from which it goes away.
fn answer(stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    if !first.contains("HTTP") {
        return;
    }
    for line in lines.map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    if first.contains("/slow") {
        thread::sleep(Duration::from_millis(200));
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone");
    } else {
        thread::sleep(Duration::from_millis(20));
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nhalf");
    }
}

fn answer_websocket(stream: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let Ok(message) = socket.read() else { return };
    if message.to_text().is_ok_and(|text| text == "slow") {
        thread::sleep(Duration::from_millis(200));
        let _ = socket.send(message);
        let _ = socket.read();
    }
}

/// Waits until the server accepts connections of Unix at this path.
fn wait_for(path: &Path, child: Child) -> Option<Child> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Some(child);
        }
        thread::sleep(Duration::from_millis(20));
    }
    None
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn redis(folder: &Path) -> Option<(Child, String)> {
    let path = folder.join("redis");
    let child =
        quiet(Command::new("redis-server").args(["--port", "0", "--save", "", "--unixsocket"]).arg(&path))
            .spawn();
    let child = wait_for(&path, child.ok()?)?;
    Some((child, format!("redis+unix://{}", path.display())))
}

/// PostgreSQL does not run as root: then it runs as its own user, if there is one.
fn postgres(folder: &Path) -> Option<(Child, String)> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").ok()?.map_while(Result::ok).collect();
    versions.sort_by_key(std::fs::DirEntry::file_name);
    let programs = versions.pop()?.path().join("bin");
    let (data, sockets) = (folder.join("data"), folder.join("sockets"));
    std::fs::create_dir_all(&sockets).ok()?;
    quiet(Command::new("chmod").arg("-R").arg("777").arg(folder)).status().ok()?;
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let command = |name: &str| {
        let program = programs.join(name);
        if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    let made = quiet(command("initdb").args(["-U", "abaca", "-A", "trust", "-D"]).arg(&data)).status();
    if !made.is_ok_and(|status| status.success()) {
        return None;
    }
    let child = quiet(
        command("postgres").arg("-D").arg(&data).arg("-k").arg(&sockets).args(["-c", "listen_addresses="]),
    )
    .spawn();
    let child = wait_for(&sockets.join(".s.PGSQL.5432"), child.ok()?)?;
    Some((child, format!("host={} user=abaca dbname=postgres", sockets.display())))
}
