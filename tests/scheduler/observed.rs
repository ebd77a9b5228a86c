//! The socket at which a runtime is observed: who may connect, what is answered, and that no client stops the program.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;

use abaca::Runtime;
use abaca::observe::flight::Recorder;
use abaca_tests::{Tool, skip};

/// A path that no other test uses, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("abaca-observed-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&place);
        Self(place)
    }

    fn observed(&self) -> Runtime {
        Runtime::builder().workers(2).observe_at(&self.0).build().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn connect(path: &Path) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(path).unwrap())
}

/// The answer, or the error's text.
fn ask(client: &mut BufReader<UnixStream>, request: &str) -> Result<String, String> {
    client.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut head = String::new();
    client.read_line(&mut head).unwrap();
    match head.trim_end().split_once(' ').unwrap_or_else(|| panic!("{head:?}")) {
        ("ok", length) => {
            let mut answer = vec![0; length.parse().unwrap()];
            client.read_exact(&mut answer).unwrap();
            Ok(String::from_utf8_lossy(&answer).into_owned())
        }
        ("error", text) => Err(text.to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn metrics_dumps_and_recordings_are_answered_while_fibers_run() {
    let place = Place::new("answers");
    let builder = Runtime::builder().workers(1).observe_at(&place.0).flight_recorder(Recorder::new());
    let runtime = builder.build().unwrap();
    runtime.run(|| _ = abaca::Builder::new().name("sleeper".into()).spawn(abaca::park));
    let mut client = connect(&place.0);
    // The sleeper may have to start first.
    let metrics = loop {
        let metrics = ask(&mut client, "metrics").unwrap();
        if metrics.contains(r#""abaca_parked_fibers":{"park":1}"#) {
            break metrics;
        }
    };
    assert!(metrics.starts_with(r#"{"abaca_fibers":1,"abaca_fibers_spawned_total":2,"#), "{metrics}");
    let dump = ask(&mut client, "dump").unwrap();
    assert!(dump.contains(r#""name":"sleeper""#), "{dump}");
    assert!(ask(&mut client, "recording html").unwrap().contains("sleeper"));
    assert!(!ask(&mut client, "recording perfetto").unwrap().is_empty());
    // Of all runtimes of the process, in which other tests run.
    assert!(ask(&mut client, "leaks").is_ok());
    assert_eq!(ask(&mut client, "what?"), Err("unknown request".into()));
    assert_eq!(ask(&mut client, ""), Err("unknown request".into()));
}

#[test]
fn only_the_user_may_connect() {
    let place = Place::new("user");
    let runtime = place.observed();
    let file = fs::symlink_metadata(&place.0).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        skip(Tool::Root, "no other user can try");
        return;
    }
    // The mode would keep others out. Even if somebody has opened it, the peer is asked.
    fs::set_permissions(&place.0, fs::Permissions::from_mode(0o666)).unwrap();
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "observed::another_user_connects", "--nocapture"])
        .env("ABACA_TEST_SOCKET", &place.0)
        .uid(65534)
        .output();
    match other {
        Ok(output) => assert!(String::from_utf8_lossy(&output.stdout).contains("turned away"), "{output:?}"),
        Err(error) => skip(Tool::Root, &format!("no other user can run this program: {error}")),
    }
    assert!(ask(&mut connect(&place.0), "metrics").is_ok());
    drop(runtime);
}

/// Run as another user by the test above; alone it does nothing.
#[test]
fn another_user_connects() {
    let Some(path) = std::env::var_os("ABACA_TEST_SOCKET") else { return };
    let mut stream = UnixStream::connect(path).unwrap();
    let asked = stream.write_all(b"metrics\n");
    let mut answer = Vec::new();
    // It is closed: the request may have got that far, but nothing comes back.
    let end = stream.read_to_end(&mut answer);
    assert!(asked.is_err() || end.is_err() || answer.is_empty());
    println!("turned away");
}

#[test]
fn a_path_that_exists_is_an_error_and_is_left_alone() {
    let place = Place::new("exists");
    fs::write(&place.0, "precious").unwrap();
    let error = Runtime::builder().observe_at(&place.0).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(
        text.contains(place.0.to_str().unwrap()) && text.contains("a file of that name exists"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&place.0).unwrap(), "precious");
    let long = Runtime::builder().observe_at("/tmp/".to_owned() + &"x".repeat(200)).build();
    assert!(long.is_err(), "a path that is too long");
    for bad in ["", "a\0b"] {
        let error = Runtime::builder().observe_at(bad).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
    let folder = Runtime::builder().observe_at(std::env::temp_dir()).build().unwrap_err();
    assert_eq!(folder.kind(), io::ErrorKind::AddrInUse);
    let missing = Runtime::builder().observe_at("/nowhere/at/all").build().unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_socket_at_which_nobody_listens_is_replaced_and_one_of_a_program_is_not() {
    let place = Place::new("abandoned");
    drop(std::os::unix::net::UnixListener::bind(&place.0).unwrap());
    assert!(place.0.exists(), "as a program leaves it that is killed");
    let runtime = place.observed();
    assert!(ask(&mut connect(&place.0), "metrics").is_ok());
    let error = Runtime::builder().observe_at(&place.0).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(ask(&mut connect(&place.0), "dump text").unwrap().starts_with("abaca: "));
    drop(runtime);
}

#[test]
fn a_program_that_is_slow_to_accept_has_its_socket() {
    let place = Place::new("slow");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&place.0).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let _waits = UnixStream::connect(&place.0).unwrap();
    let error = Runtime::builder().observe_at(&place.0).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(listener.accept().is_ok());
}

#[test]
fn of_programs_that_find_an_abandoned_socket_one_listens_there() {
    let place = Place::new("race");
    for _ in 0..50 {
        drop(std::os::unix::net::UnixListener::bind(&place.0).unwrap());
        let start = Barrier::new(4);
        let build = || {
            start.wait();
            Runtime::builder().workers(1).observe_at(&place.0).build()
        };
        let built = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(build));
            threads.map(|thread| thread.join().unwrap())
        });
        let is_in_use = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        assert!(built.iter().all(|built| built.as_ref().err().is_none_or(is_in_use)));
        assert_eq!(built.iter().filter(|built| built.is_ok()).count(), 1, "only one has it");
        assert!(ask(&mut connect(&place.0), "metrics").is_ok());
    }
}

/// The child of the test below: two runtimes, of which only one can have the socket.
fn two_runtimes_with_a_path_of_the_environment() {
    let path = std::env::var_os("ABACA_OBSERVE").unwrap();
    let runtimes = [(); 2].map(|()| Runtime::builder().workers(1).build().unwrap());
    for runtime in &runtimes {
        assert_eq!(runtime.run(|| abaca::spawn(|| 5).join().unwrap()), 5);
    }
    assert!(ask(&mut connect(Path::new(&path)), "metrics").is_ok());
}

#[test]
fn a_path_of_the_environment_stops_no_program() {
    const NAME: &str = "observed::a_path_of_the_environment_stops_no_program";
    if std::env::var_os("ABACA_OBSERVED_ROLE").is_some() {
        return two_runtimes_with_a_path_of_the_environment();
    }
    let place = Place::new("environment");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", NAME, "--nocapture"])
        .env("ABACA_OBSERVED_ROLE", "two")
        .env("ABACA_OBSERVE", &place.0);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("abaca: this runtime is not observed: cannot listen at").count(), 1, "{text}");
}

#[test]
fn the_file_goes_with_the_runtime_unless_it_is_another_one() {
    let place = Place::new("goes");
    drop(place.observed());
    assert!(!place.0.exists());
    let runtime = place.observed();
    fs::remove_file(&place.0).unwrap();
    fs::write(&place.0, "another").unwrap();
    drop(runtime);
    assert_eq!(fs::read_to_string(&place.0).unwrap(), "another");
}

#[test]
fn clients_that_do_not_read_or_are_many_stop_nobody() {
    let place = Place::new("silent");
    let runtime = place.observed();
    for _ in 0..500 {
        runtime.spawn(abaca::park);
    }
    // None of them reads; each has asked for more than its socket holds.
    let silent: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = UnixStream::connect(&place.0).unwrap();
            stream.write_all("dump\n".repeat(100).as_bytes()).unwrap();
            stream
        })
        .collect();
    // One more than there may be.
    let mut client = connect(&place.0);
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    assert_eq!(answer, "error too many clients\n");
    runtime.run(|| (0..100).for_each(|_| abaca::spawn(abaca::yield_now).join().unwrap()));
    assert_eq!(runtime.metrics().live, 500);
    // A client that goes makes room.
    drop(silent);
    loop {
        let mut client = connect(&place.0);
        // Those that are turned away may be so before they have asked.
        let asked = client.get_mut().write_all(b"metrics\n").is_ok();
        let mut answer = String::new();
        if asked && client.read_line(&mut answer).is_ok() && answer.starts_with("ok ") {
            break;
        }
    }
}

#[test]
fn a_shutdown_does_not_wait_for_clients() {
    let place = Place::new("shutdown");
    let runtime = place.observed();
    let mut idle = connect(&place.0);
    assert!(ask(&mut idle, "metrics").is_ok());
    let mut half = connect(&place.0);
    half.get_mut().write_all(b"metr").unwrap();
    drop(runtime);
    let mut rest = String::new();
    assert_eq!(idle.read_line(&mut rest).unwrap(), 0, "it was closed");
}

#[test]
fn a_request_without_an_end_is_cut_off() {
    let place = Place::new("endless");
    let runtime = place.observed();
    let mut client = connect(&place.0);
    client.get_mut().write_all(&[b'x'; 1000]).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    assert_eq!(answer, "error unknown request\n");
    drop(runtime);
}
