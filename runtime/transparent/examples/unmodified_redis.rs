//! Ten thousand threads that share one pool of connections to Redis, by the crates redis and r2d2 as they are: all of them fibers, on two OS
//! threads, because of the first line of `main`.
//!
//! `ABACA_WORKERS=2 cargo run --release -p abaca-transparent --example unmodified_redis [CALLERS [threads]]`
//!
//! It starts a `redis-server` of its own, which must be installed. With `threads` the first line is left out.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Commands};

/// Connections of the pool.
const CONNECTIONS: u32 = 32;
/// Calls of each thread.
const CALLS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let callers: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    if arguments.next().as_deref() != Some("threads") {
        abaca_transparent::threads_are_fibers()?;
    }
    let server = Server::start()?;
    let pool = r2d2::Pool::builder().max_size(CONNECTIONS).connection_timeout(Duration::from_secs(120));
    let pool = pool.build(Client::open(server.url())?)?;

    let all_are_there = Arc::new(Barrier::new(callers + 1));
    let threads: Vec<_> = (0..callers)
        .map(|number| {
            let (pool, all_are_there) = (pool.clone(), Arc::clone(&all_are_there));
            thread::spawn(move || {
                all_are_there.wait();
                ask(&pool, number).map_err(|error| error.to_string())
            })
        })
        .collect();
    all_are_there.wait();
    let begun = Instant::now();
    let of_kernel = std::fs::read_dir("/proc/self/task")?.count();
    for thread in threads {
        thread.join().expect("nobody panics")?;
    }
    let took = begun.elapsed();
    let mut connection = pool.get()?;
    let (calls, members): (usize, usize) = (connection.get("calls")?, connection.scard("callers")?);
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut connection)?;
    println!(
        "{callers} threads of the program, {of_kernel} of the kernel, {} connections",
        clients.lines().count()
    );
    println!("{calls} calls of {} are counted, by {members} callers", callers * CALLS);
    println!(
        "{:.0} ms, {:.0} calls/s",
        took.as_secs_f64() * 1e3,
        (callers * CALLS) as f64 / took.as_secs_f64()
    );
    if (calls, members) == (callers * CALLS, callers) { Ok(()) } else { Err("some calls were lost".into()) }
}

/// What each thread does: nothing of it knows of fibers.
fn ask(pool: &r2d2::Pool<Client>, number: usize) -> Result<(), Box<dyn Error>> {
    for _ in 0..CALLS {
        let mut connection = pool.get()?;
        let () = connection.incr("calls", 1)?;
        let () = connection.sadd("callers", number)?;
    }
    Ok(())
}

/// A redis-server that ends with this value.
struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("abaca-unmodified-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(folder.join("redis"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child =
            child.map_err(|error| format!("{error}: install redis-server (apt-get install redis-server)"))?;
        let mut server = Self { child, folder };
        while std::os::unix::net::UnixStream::connect(server.folder.join("redis")).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("redis-server has ended: {status}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.join("redis").display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing that is to be kept.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
