//! The queue's promises, with a Redis of each test's own: kills, restarts, streams that are deleted or trimmed, a drain, dead letters.

#[path = "../src/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use server::Server;

const JOBS: &str = "{queue}:jobs";
const COUNTERS: &str = "{queue}:counters";

fn queue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queue"));
    // Some jobs panic on purpose, and their names suffice.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Whether there is a Redis to test with. Its absence is told on the terminal, behind the back of the test harness, and is a failure where
/// it was promised.
fn has_redis() -> bool {
    let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        assert!(std::env::var_os("ABACA_REQUIRE_REDIS").is_none(), "redis-server is not installed");
        let _ = std::io::stderr()
            .write_all(b"SKIPPED, a test of examples/queue: redis-server is not installed\n");
    }
    is_there
}

/// A Redis, and those who use it.
struct Scene {
    folder: PathBuf,
    server: Server,
    connection: Connection,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("abaca-queue-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = Server::start(&folder).unwrap();
        let connection = connect(&server);
        Self { folder, server, connection }
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = queue();
        command.args([name, "--redis", &self.server.url()]).args(arguments);
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let output = self.command(name, arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }

    /// A worker that has begun.
    fn work(&self, arguments: &[&str]) -> Worker {
        let mut command = self.command("work", arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.ends_with(" works\n"), "{line}");
        Worker { child, output }
    }

    fn produce(&self, name: &str, jobs: u64) {
        self.run("produce", &["--name", name, "--jobs", &jobs.to_string()]);
    }

    fn counter(&mut self, name: &str) -> u64 {
        let value: Option<u64> =
            redis::cmd("HGET").arg(COUNTERS).arg(name).query(&mut self.connection).unwrap();
        value.unwrap_or(0)
    }

    fn pending(&mut self) -> u64 {
        let answer: Value =
            redis::cmd("XPENDING").arg(JOBS).arg("workers").query(&mut self.connection).unwrap();
        let Value::Array(summary) = answer else { panic!("{answer:?}") };
        redis::from_redis_value(summary[0].clone()).unwrap()
    }

    /// Waits until this is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let counters: Vec<String> =
                redis::cmd("HGETALL").arg(COUNTERS).query(&mut self.connection).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}; {counters:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn connect(server: &Server) -> Connection {
    let client = redis::Client::open(server.url()).unwrap();
    let begun = Instant::now();
    loop {
        let mut connection = client.get_connection().unwrap();
        // It listens before it has read its log.
        match redis::cmd("DBSIZE").exec(&mut connection) {
            Ok(()) => return connection,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
    }
}

struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the rest of its output.
    fn drain(mut self) -> String {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        let text: String = self.output.by_ref().lines().map_while(Result::ok).collect();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nothing_is_lost_when_workers_and_redis_are_killed() {
    if !has_redis() {
        return;
    }
    let arguments = "demo --jobs 3000 --in-flight 400 --work-ms 20 --backoff 20 --claim-after 1000 --kills 2 --restarts 1";
    let output = queue().args(arguments.split(' ')).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("3000 jobs: 2970 done, 30 dead letters, 0 lost"), "{text}");
    assert!(text.contains("repeated, 0 of them of jobs that were not in flight"), "{text}");
    assert!(text.contains("2 workers killed, 1 restarts of Redis"), "{text}");
}

#[test]
fn a_stream_that_is_deleted_under_a_blocked_reader_is_made_anew() {
    if !has_redis() {
        return;
    }
    let mut scene = Scene::new("deleted");
    let worker = scene.work(&["--work-ms", "0", "--backoff", "1", "--claim-after", "300"]);
    scene.produce("a", 50);
    scene.until("the first are done", |scene| scene.counter("done") == 50);
    redis::cmd("DEL").arg(JOBS).exec(&mut scene.connection).unwrap();
    scene.produce("b", 50);
    scene.until("those after it are done", |scene| scene.counter("done") == 100);
    // And by a command that takes the group only.
    redis::cmd("XGROUP").arg("DESTROY").arg(JOBS).arg("workers").exec(&mut scene.connection).unwrap();
    scene.produce("c", 50);
    scene.until("those without a group are done", |scene| scene.counter("done") == 150);
    worker.drain();
}

#[test]
fn a_worker_outlives_its_redis() {
    if !has_redis() {
        return;
    }
    let mut scene = Scene::new("restarted");
    let worker = scene.work(&["--work-ms", "0", "--backoff", "1", "--claim-after", "300"]);
    scene.produce("a", 50);
    scene.server.restart().unwrap();
    // The producer's mark is in Redis: these are 50 more.
    scene.produce("a", 99);
    scene.connection = connect(&scene.server);
    scene.until("all are done", |scene| scene.counter("done") == 99);
    assert_eq!(scene.counter("added"), 99);
    worker.drain();
}

#[test]
fn trimmed_entries_that_are_pending_are_counted_as_lost() {
    if !has_redis() {
        return;
    }
    let mut scene = Scene::new("trimmed");
    let stuck = scene.work(&["--work-ms", "3600000"]);
    scene.produce("a", 30);
    scene.until("all are in flight", |scene| scene.pending() == 30);
    stuck.kill();
    redis::cmd("XTRIM").arg(JOBS).arg("MAXLEN").arg(10).exec(&mut scene.connection).unwrap();
    let worker = scene.work(&["--work-ms", "0", "--backoff", "1", "--claim-after", "300"]);
    scene.until("the rest is done", |scene| scene.counter("done") == 10 && scene.pending() == 0);
    assert_eq!(scene.counter("trimmed"), 20);
    worker.drain();
    let status = scene.run("status", &[]).stdout;
    assert!(String::from_utf8_lossy(&status).contains("lost 20"), "{status:?}");
}

#[test]
fn a_drain_ends_what_has_begun_and_takes_no_more() {
    if !has_redis() {
        return;
    }
    let mut scene = Scene::new("drain");
    let worker = scene.work(&["--work-ms", "300", "--in-flight", "20", "--backoff", "3600000"]);
    scene.produce("a", 50);
    scene.until("as many as may are in flight", |scene| scene.pending() == 20);
    let text = worker.drain();
    assert!(text.contains("nothing is left behind"), "{text}");
    assert_eq!(scene.pending(), 0);
    // One in ten fails, and waits for its next attempt.
    let settled = scene.counter("done") + scene.counter("retried");
    assert!((20..50).contains(&settled), "{settled}");
}

#[test]
fn a_job_that_ends_its_workers_becomes_a_dead_letter() {
    if !has_redis() {
        return;
    }
    let mut scene = Scene::new("dead");
    let stuck = scene.work(&["--work-ms", "3600000"]);
    scene.produce("a", 5);
    scene.until("all are in flight", |scene| scene.pending() == 5);
    stuck.kill();
    let worker = scene.work(&["--work-ms", "0", "--claim-after", "300", "--deliveries", "1"]);
    scene.until("they are given up", |scene| scene.counter("dead") == 5);
    let letters = scene.run("dead", &["--requeue"]).stdout;
    let letters = String::from_utf8_lossy(&letters);
    assert!(letters.contains("a:1 after 1 attempts: delivered 1 times"), "{letters}");
    scene.until("put back, they are done", |scene| scene.counter("done") == 5);
    assert_eq!(scene.counter("dead"), 0);
    worker.drain();
}

#[test]
fn without_redis_it_says_what_to_install() {
    let output = queue().arg("demo").env("PATH", "").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("apt-get install redis-server"), "{text}");
}
