//! The servers: those of this program run on OS threads; the others are Debian's, where they are installed.

mod child;
mod http;
mod ldap;
#[cfg(feature = "whole")]
mod lines;
mod mqtt;
mod sql;
mod ssh;
mod tls;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use child::{Ready, Server, quiet};

/// A server that is a process, which can be killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Which {
    Redis,
    Postgres,
    Mariadb,
    Ssh,
    Tls,
    Mosquitto,
    Slapd,
}

pub(crate) struct Servers {
    pub(crate) http: SocketAddr,
    #[cfg(feature = "whole")]
    pub(crate) websocket: SocketAddr,
    /// Of SMTP and FTP.
    #[cfg(feature = "whole")]
    pub(crate) lines: SocketAddr,
    #[cfg(feature = "whole")]
    pub(crate) memcached: SocketAddr,
    /// The path of its socket.
    pub(crate) redis: Option<PathBuf>,
    /// The folder of its socket.
    pub(crate) postgres: Option<PathBuf>,
    /// The path of its socket.
    pub(crate) mariadb: Option<PathBuf>,
    pub(crate) ssh: Option<ssh::Account>,
    pub(crate) tls: Option<tls::Address>,
    pub(crate) mosquitto: Option<SocketAddr>,
    pub(crate) slapd: Option<SocketAddr>,
    processes: Mutex<Vec<(Which, Server)>>,
    /// Calls that run a command leave a file here while it runs.
    pub(crate) marks: PathBuf,
    folder: PathBuf,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("abaca-compat-{}", std::process::id()));
        let marks = folder.join("marks");
        std::fs::create_dir_all(&marks).unwrap();
        // Some servers run as another user.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let http = serve(http::answer);
        let mut processes = Vec::new();
        let redis = keep(&mut processes, Which::Redis, redis(&folder));
        let is_whole = cfg!(feature = "whole");
        let postgres =
            keep(&mut processes, Which::Postgres, is_whole.then(|| sql::postgres(&folder)).flatten());
        let mariadb = keep(&mut processes, Which::Mariadb, is_whole.then(|| sql::mariadb(&folder)).flatten());
        let ssh = keep(&mut processes, Which::Ssh, is_whole.then(|| ssh::start(&folder)).flatten());
        let tls = keep(&mut processes, Which::Tls, is_whole.then(|| tls::start(&folder, http)).flatten());
        let mosquitto =
            keep(&mut processes, Which::Mosquitto, is_whole.then(|| mqtt::start(&folder)).flatten());
        let slapd = keep(&mut processes, Which::Slapd, is_whole.then(|| ldap::start(&folder)).flatten());
        Self {
            http,
            #[cfg(feature = "whole")]
            websocket: serve(http::answer_websocket),
            #[cfg(feature = "whole")]
            lines: serve(lines::greet_and_answer),
            #[cfg(feature = "whole")]
            memcached: serve(lines::answer),
            redis,
            postgres,
            mariadb,
            ssh,
            tls,
            mosquitto,
            slapd,
            processes: Mutex::new(processes),
            marks,
            folder,
        }
    }

    /// Kills a server in the middle of whatever it does.
    pub(crate) fn kill(&self, which: Which) {
        self.with(which, Server::kill);
    }

    /// Starts a server that was killed anew, where it was.
    pub(crate) fn restart(&self, which: Which) {
        assert!(self.with(which, Server::start), "{which:?} does not start again");
        // Nobody may be left who would take its marks away.
        for mark in std::fs::read_dir(&self.marks).unwrap().map_while(Result::ok) {
            std::fs::remove_file(mark.path()).unwrap();
        }
    }

    fn with<R>(&self, which: Which, f: fn(&mut Server) -> R) -> R {
        let mut processes = self.processes.lock().unwrap();
        let (_, server) = processes.iter_mut().find(|(name, _)| *name == which).expect("it runs");
        f(server)
    }
}

fn keep<T>(processes: &mut Vec<(Which, Server)>, which: Which, started: Option<(Server, T)>) -> Option<T> {
    let (server, address) = started?;
    processes.push((which, server));
    Some(address)
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, server) in self.processes.lock().unwrap().iter_mut() {
            server.kill();
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

fn redis(folder: &Path) -> Option<(Server, PathBuf)> {
    let path = folder.join("redis");
    let mut command = Command::new("redis-server");
    quiet(command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&path));
    Some((Server::new(command, Ready::Unix(path.clone()))?, path))
}
