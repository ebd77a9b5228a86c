//! What a dump says of waits besides locks: for what, and who may have to do with it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::channel::{bounded, broadcast, select, watch};
use abaca::net::{TcpListener, TcpStream, UnixStream};
use abaca::observe::FiberState;
use abaca::park::WaitQueue;
use abaca::signal::{Signal, Signals};
use abaca::sync::{Barrier, WaitGroup};

use super::dumps::{dump_when_parked, find, park_in, wait, with_runtime};
use super::whole_dump;

#[test]
fn waits_for_others_for_the_kernel_and_for_the_pool_have_their_objects() {
    with_runtime(2, || {
        let group = WaitGroup::new();
        let member = group.clone();
        let ((_a, at_a), (_b, at_b)) = (bounded::<u8>(0), bounded::<u8>(0));
        let (_news, mut reader) = broadcast::channel::<u8>(1);
        let (_value, mut watcher) = watch::channel(0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let quiet = TcpListener::bind("127.0.0.1:0").unwrap();
        let quiet_address = quiet.local_addr().unwrap();
        let (_unread, full) = StdStream::pair().unwrap();
        let mut full = UnixStream::from(full);
        let (end_job, job_ends) = std::sync::mpsc::channel::<()>();
        let mut child = abaca::process::Command::new("sleep").arg("3600").spawn().unwrap();
        let child_id = child.id().to_string();
        let fibers = vec![
            park_in("scope", || abaca::scope(|scope| drop(scope.spawn(abaca::park)))),
            park_in("barrier", || _ = Barrier::new(2).wait()),
            park_in("group", move || group.wait()),
            park_in("select", move || select! { recv(at_a) -> _ => (), recv(at_b) -> _ => () }),
            park_in("broadcast", move || drop(reader.recv())),
            park_in("watch", move || drop(watcher.changed())),
            park_in("accept", move || drop(quiet.accept())),
            park_in("tcp read", move || drop(TcpStream::connect(address).unwrap().read(&mut [0]))),
            park_in("write", move || drop(full.write_all(&vec![0; 1 << 24]))),
            park_in("job", move || abaca::blocking::run(move || _ = job_ends.recv())),
            park_in("child", move || drop(child.wait())),
            park_in("signal", || drop(Signals::new([Signal::User1]).unwrap().wait())),
            park_in("queue", || _ = WaitQueue::new(()).lock().wait(None)),
        ];
        let quiet_address = quiet_address.to_string();
        let expected = [
            ("scope", "end of a scope", "1 running fiber: "),
            ("barrier", "barrier", "0x"),
            ("group", "wait group", ", 1 member left"),
            ("select", "select", " or 0x"),
            ("broadcast", "broadcast channel", "0x"),
            ("watch", "watch channel", "0x"),
            ("accept", "accept", &*quiet_address),
            ("tcp read", "read", "127.0.0.1:"),
            ("write", "write", "descriptor "),
            ("job", "blocking call", "waits_for_others"),
            ("child", "child process", "descriptor "),
            ("signal", "signal", ""),
            ("queue", "wait queue", "0x"),
        ];
        for (name, reason, object) in expected {
            let dump = dump_when_parked(name);
            let wait = wait(&dump, name);
            assert_eq!(wait.reason(), reason, "{name}");
            assert!(wait.object().unwrap_or("").contains(object), "{name}: {:?}", wait.object());
        }
        let job = loop {
            let dump = whole_dump();
            let object = wait(&dump, "job").object().unwrap().to_owned();
            if object.ends_with(", which has begun") {
                break object;
            }
        };
        assert!(job.starts_with("a job of the pool, "), "{job}");
        drop((member, end_job));
        let killed = std::process::Command::new("kill").args(["-KILL", &child_id]).status();
        assert!(killed.unwrap().success());
        fibers.iter().for_each(|fiber| fiber.cancel());
        fibers.into_iter().for_each(|fiber| drop(fiber.join()));
    });
}

#[test]
fn a_fiber_that_may_go_on_is_ready() {
    with_runtime(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let yields = park_in("yields", move || {
            while !stops.load(Ordering::Relaxed) {
                abaca::yield_now();
            }
        });
        let dump = whole_dump();
        let seen = find(&dump, "yields");
        assert_eq!((seen.state(), seen.wait().is_none()), (FiberState::Ready, true), "{dump}");
        assert!(dump.to_string().contains("'yields' [ready]"), "{dump}");
        assert!(dump.to_json().contains(r#""state":"ready""#));
        stop.store(true, Ordering::Relaxed);
        yields.join().unwrap();
    });
}

#[test]
fn who_may_have_the_other_end_of_a_channel_is_told() {
    with_runtime(1, || {
        let pair = abaca::spawn(|| {
            let (sender, receiver) = bounded::<u8>(0);
            let reads = park_in("reads", move || assert!(receiver.recv().is_err()));
            let keeps = park_in("keeps", move || {
                abaca::park();
                drop(sender);
            });
            [reads, keeps]
        });
        let fibers = pair.join().unwrap();
        dump_when_parked("keeps");
        let dump = dump_when_parked("reads");
        let keeper = find(&dump, "keeps").id().unwrap();
        let others = wait(&dump, "reads").others();
        assert!(others.contains(&keeper), "{others:?} in {dump}");
        assert!(!others.contains(&find(&dump, "reads").id().unwrap()), "it has its own: {dump}");
        assert!(wait(&dump, "keeps").others().is_empty());
        assert!(dump.to_string().contains(" may have"), "{dump}");
        assert!(dump.to_json().contains(r#""others":["#), "{}", dump.to_json());
        fibers[1].fiber().unpark();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn names_and_labels_stay_on_their_lines_whatever_is_in_them() {
    with_runtime(1, || {
        let name = "a\nfiber 99 'b' [park]\u{1b}[2J\"\u{202e}";
        let builder = abaca::Builder::new().name(name.into()).label("l\r", "1\n2\"\\");
        let fiber = builder.spawn(abaca::park).unwrap();
        let dump = dump_when_parked(name);
        let text = dump.to_string();
        assert!(!text.contains("\nfiber 99") && !text.contains(['\r', '\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("'a\\nfiber 99 'b'") && text.contains("l\\r=1\\n2"), "{text}");
        let json = dump.to_json();
        assert!(json.contains(r#""name":"a\nfiber 99 'b' [park]\u001b[2J\"#), "{json}");
        assert!(json.contains(r#""labels":{"l\u000d":"1\n2\"\\"}"#), "{json}");
        assert_eq!(find(&dump, name).labels(), [("l\r".to_owned(), "1\n2\"\\".to_owned())]);
        fiber.fiber().unpark();
        fiber.join().unwrap();
    });
}
