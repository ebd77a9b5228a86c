//! What the child processes of these tests do.

use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::observe::Deadlock;
use abaca::runtime::DeadlockPolicy;
use abaca::sync::Mutex;

pub(crate) fn play(role: &str) {
    match role {
        "cycles" => crate::cycles::find_each_kind(),
        "shapes" => crate::shapes::find(),
        "bare" => crate::shapes::find_bare(),
        "shapes beside a terabyte" => crate::wide::find_beside_a_terabyte(),
        "leaks beside a hog" => crate::wide::find_beside_a_hog(),
        "growth" => crate::shapes::grow(),
        "leak beside copies of the log" => crate::shapes::find_beside_copies(false),
        "leak beside copies of the full recorder" => crate::shapes::find_beside_copies(true),
        role if role.starts_with("leak: ") => crate::shapes::find_alone(&role["leak: ".len()..]),
        "report" => report_and_resolve(),
        "stuck" => stay_stuck(false),
        "stuck and busy" => stay_stuck(true),
        "dumps" => show_parked(),
        "echo" => echo(),
        "json" => crate::json::parse(),
        "burn" => _ = abaca::run(crate::profile::burn),
        "overflow" => abaca::run(|| abaca::spawn(|| overflow(0)).join().map(drop).unwrap()),
        "sleep"
        | "timeout"
        | "thread"
        | "blocking"
        | "pipe"
        | "pipe among idle sockets"
        | "child"
        | "signal"
        | "other runtime" => wait(role),
        role => hang(role),
    }
}

/// Two fibers, each with a lock that the other wants. Returns when both wait, or are about to.
pub(crate) fn cross(prefix: &'static str) -> [abaca::JoinHandle<()>; 2] {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let both_have_one = Arc::new(abaca::sync::Barrier::new(2));
    [true, false].map(|is_first| {
        let (locks, both) = (Arc::clone(&locks), Arc::clone(&both_have_one));
        let name = format!("{prefix} {is_first}");
        let fiber = abaca::Builder::new().name(name).spawn(move || {
            let (mine, other) = if is_first { (&locks.0, &locks.1) } else { (&locks.1, &locks.0) };
            let _mine = mine.lock().unwrap();
            both.wait();
            drop(other.lock());
        });
        fiber.unwrap()
    })
}

/// A deadlock of all fibers.
fn hang(role: &str) {
    let one = abaca::Runtime::builder().workers(1);
    match role {
        "cycle" => abaca::run(|| cross("deadly").into_iter().for_each(|fiber| fiber.join().unwrap())),
        "park" => one.build().unwrap().run(abaca::park),
        "channel" => abaca::run(|| {
            let (_sender, receiver) = abaca::channel::bounded::<()>(1);
            let other = abaca::spawn(|| 3);
            other.join().unwrap();
            receiver.recv().unwrap();
        }),
        "channels" => abaca::run(|| {
            let ((to_b, at_b), (to_a, at_a)) =
                (abaca::channel::bounded::<u8>(0), abaca::channel::bounded::<u8>(0));
            let named = |name: &str| abaca::Builder::new().name(name.into());
            let ping = named("ping").spawn(move || _ = (at_a.recv(), to_b.send(1))).unwrap();
            let pong = named("pong").spawn(move || _ = (at_b.recv(), to_a.send(1))).unwrap();
            [ping, pong].into_iter().for_each(|fiber| fiber.join().unwrap());
        }),
        "joins" => abaca::run(|| {
            let (to_first, at_first) = abaca::channel::bounded::<abaca::JoinHandle<()>>(1);
            let named = |name: &str| abaca::Builder::new().name(name.into());
            let first = named("first").spawn(move || at_first.recv().unwrap().join().unwrap()).unwrap();
            to_first.send(named("second").spawn(move || first.join().unwrap()).unwrap()).unwrap();
            abaca::park();
        }),
        "no stalls" => one.stall_threshold(None).build().unwrap().run(abaca::park),
        "thread poller" => {
            one.poller(abaca::runtime::Poller::Thread).build().unwrap().run(abaca::park);
        }
        "after sockets and children" => abaca::run(|| {
            let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
            drop(abaca::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            drop(listener);
            abaca::blocking::run(|| ());
            assert!(abaca::process::Command::new("true").status().unwrap().success());
            abaca::sleep(Duration::from_millis(1));
            abaca::park();
        }),
        "with idle sockets" => abaca::run(|| {
            let _idle = idle_sockets();
            cross("deadly").into_iter().for_each(|fiber| fiber.join().unwrap());
        }),
        role => hang_beside_threads(role),
    }
}

/// Sockets that were waited for, and nobody waits for any more. More than a first look asks for.
fn idle_sockets() -> Vec<(abaca::net::unix::UnixStream, abaca::net::unix::UnixStream)> {
    let pair = |_| {
        let mut pair = abaca::net::unix::UnixStream::pair().unwrap();
        assert!(abaca::time::timeout(Duration::from_millis(1), || pair.0.read(&mut [0])).is_err());
        pair
    };
    (0..100).map(pair).collect()
}

/// A deadlock of all fibers, while the process has threads that wake none: the runtime's own, or one that ends without a word.
fn hang_beside_threads(role: &str) {
    let one = abaca::Runtime::builder().workers(1);
    // After the first look.
    let soon = Duration::from_millis(1500);
    match role {
        "observed" => {
            let socket = std::env::temp_dir().join(format!("abaca-observed-{}", std::process::id()));
            one.observe_at(&socket).build().unwrap().run(|| {
                let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
                client.write_all(b"metrics\n").unwrap();
                let mut answer = [0; 3];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"ok ");
                abaca::park();
            });
        }
        "dumped at SIGQUIT" => one.dump_on_sigquit(true).build().unwrap().run(|| {
            let kill = format!("kill -QUIT {}", std::process::id());
            assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            abaca::park();
        }),
        "compacting" => {
            let compacting = one.clone().compact_after(Duration::from_millis(50)).build();
            // The kernel may refuse what it takes.
            compacting.unwrap_or_else(|_| one.build().unwrap()).run(abaca::park);
        }
        "with an orphan" => one.build().unwrap().run(|| {
            let mut cat = abaca::process::Command::new("cat");
            let null = abaca::process::Stdio::null;
            let mut cat =
                cat.stdin(abaca::process::Stdio::piped()).stdout(null()).stderr(null()).spawn().unwrap();
            // It ends with this process, which has the other end.
            let _until_the_end = cat.stdin.take().unwrap();
            drop(cat);
            abaca::park();
        }),
        "after a thread" => one.build().unwrap().run(|| {
            drop(std::thread::spawn(move || std::thread::sleep(soon)));
            abaca::park();
        }),
        "after a thread has dropped a socket" => one.build().unwrap().run(|| {
            let mut idle = idle_sockets();
            idle.truncate(1);
            drop(std::thread::spawn(move || {
                std::thread::sleep(soon);
                drop(idle);
            }));
            abaca::park();
        }),
        "after a call that nobody waits for" => one.build().unwrap().run(|| {
            let call = || abaca::blocking::run_owned(move || std::thread::sleep(soon));
            assert!(abaca::time::timeout(Duration::from_millis(1), call).is_err());
            abaca::park();
        }),
        "after another runtime" => {
            let other = abaca::Runtime::builder().workers(1).build().unwrap();
            one.build().unwrap().run(|| {
                drop(std::thread::spawn(move || {
                    other.run(|| abaca::sleep(soon));
                    drop(other);
                }));
                abaca::park();
            });
        }
        role => panic!("no {role}"),
    }
}

/// What is no deadlock: something outside of the fibers wakes them, in the end. Each comes to its end by itself.
fn wait(role: &str) {
    let told_of_deadlock = |_: &Deadlock| panic!("there is none");
    let policy = DeadlockPolicy::Report(Arc::new(told_of_deadlock));
    let runtime = abaca::Runtime::builder().workers(2).on_deadlock(policy).build().unwrap();
    // Longer than a deadlock takes to be noticed.
    let long = Duration::from_secs(3);
    match role {
        "sleep" => runtime.run(|| abaca::sleep(long)),
        "timeout" => runtime.run(|| assert!(abaca::time::timeout(long, abaca::park).is_err())),
        "thread" => runtime.run(|| {
            let me = abaca::current();
            std::thread::spawn(move || {
                std::thread::sleep(long);
                me.unpark();
            });
            abaca::park();
        }),
        "blocking" => runtime.run(|| abaca::blocking::run(|| std::thread::sleep(long))),
        "pipe" => runtime.run(|| {
            let command = "sleep 3; echo late";
            let output = abaca::process::Command::new("sh").args(["-c", command]).output().unwrap();
            assert_eq!(output.stdout, b"late\n");
        }),
        "pipe among idle sockets" => runtime.run(|| {
            let _idle = idle_sockets();
            let mut child = abaca::process::Command::new("sh");
            let output = child.args(["-c", "sleep 3; echo late"]).output().unwrap();
            assert_eq!(output.stdout, b"late\n");
        }),
        "child" => runtime.run(|| {
            let _idle = idle_sockets();
            assert!(abaca::process::Command::new("sleep").arg("3").status().unwrap().success());
        }),
        "signal" => runtime.run(|| {
            let mut signals = abaca::signal::Signals::new([abaca::signal::Signal::User1]).unwrap();
            let kill = format!("(sleep 3; kill -USR1 {}) &", std::process::id());
            assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            signals.wait().unwrap();
        }),
        "other runtime" => {
            let other = abaca::Runtime::builder().workers(1).build().unwrap();
            let (sender, receiver) = abaca::channel::bounded::<()>(1);
            let sleeper = other.spawn(move || {
                abaca::sleep(long);
                sender.send(()).unwrap();
            });
            runtime.run(|| receiver.recv().unwrap());
            other.run(|| sleeper.join().unwrap());
        }
        role => panic!("no {role}"),
    }
}

/// Says that it is ready, and never ends.
#[inline(never)]
fn keep_the_worker() {
    println!("ready");
    loop {
        std::hint::spin_loop();
    }
}

/// Spawns a fiber that roams and waits, and one that keeps its worker when the main fiber waits as well.
#[expect(unsafe_code, reason = "a fiber that roams")]
fn be_busy() {
    let builder = abaca::Builder::new().name("roams".into());
    // SAFETY: the fiber has nothing that is bound to a thread.
    drop(unsafe { builder.spawn_roaming_unchecked(abaca::park) });
    drop(abaca::spawn(|| {
        let waits = |dump: &abaca::observe::Dump, name: &str| {
            dump.fibers().iter().any(|fiber| fiber.name() == Some(name) && fiber.wait().is_some())
        };
        while !["roams", "main"].into_iter().all(|name| waits(&abaca::dump(), name)) {
            abaca::yield_now();
        }
        keep_the_worker();
    }));
}

/// A deadlock that nobody ends: the parent kills the process, or makes it leave a core.
fn stay_stuck(is_busy: bool) {
    abaca_tests::let_gdb_attach();
    let builder = abaca::Runtime::builder().workers(2).on_deadlock(DeadlockPolicy::Ignore);
    builder.dump_on_sigquit(true).build().unwrap().run(|| {
        let fibers = cross("stuck");
        while abaca::observe::check().is_empty() {
            abaca::yield_now();
        }
        if is_busy {
            be_busy();
        } else {
            println!("ready");
        }
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

/// Answers each line that it reads, while it may be asked for dumps.
fn echo() {
    abaca::Runtime::builder().workers(1).dump_on_sigquit(true).build().unwrap().run(|| {
        println!("ready");
        for line in abaca::io::BufReader::new(std::io::stdin()).lines() {
            println!("{}", line.unwrap());
        }
    });
}

/// Writes a dump with a fiber that parks.
fn show_parked() {
    abaca::run(|| {
        let parked = abaca::Builder::new().name("parked".into()).spawn(abaca::park).unwrap();
        while abaca::observe::parked() != [("park", 1)] {
            abaca::yield_now();
        }
        println!("{}", abaca::dump());
        println!("{}", abaca::dump().to_json());
        parked.fiber().unpark();
        parked.join().unwrap();
    });
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + std::hint::black_box(frame)[3]
}

/// A callback that ends the deadlock of which it is told.
fn report_and_resolve() {
    let parked = Arc::new(std::sync::OnceLock::<abaca::fiber::Fiber>::new());
    let (count, main) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&parked));
    let counted = Arc::clone(&count);
    let resolve = move |deadlock: &Deadlock| {
        assert_eq!(deadlock.dump().cycles().len(), 1, "{deadlock}");
        counted.fetch_add(1, Ordering::Relaxed);
        main.get().unwrap().unpark();
    };
    let builder = abaca::Runtime::builder().workers(2);
    let runtime = builder.on_deadlock(DeadlockPolicy::Report(Arc::new(resolve))).build().unwrap();
    runtime.run(|| {
        parked.set(abaca::current()).unwrap();
        let fibers = cross("reported");
        abaca::park();
        fibers.iter().for_each(|fiber| fiber.cancel());
        fibers.into_iter().for_each(|fiber| drop(fiber.join()));
    });
    assert_eq!(count.load(Ordering::Relaxed), 1);
}
