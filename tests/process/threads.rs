//! The threads of a runtime: their stacks for signals' handlers have room for what comes, and none of them goes unnoticed when
//! it panics.

#![expect(unsafe_code, reason = "sends signals to threads, and takes a runtime its descriptors")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::Runtime;
use abaca::runtime::Poller;
use abaca::signal::{Signal, Signals};

use super::{command, in_child, is_child, stderr};

const ALL: [Signal; 11] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::User1,
    Signal::User2,
    Signal::Pipe,
    Signal::Alarm,
    Signal::Terminate,
    Signal::Child,
    Signal::WindowChange,
    // It ends a stop, and the rest with it: the last.
    Signal::Continue,
];

/// Sends the calling thread all signals at once.
fn burst() {
    // SAFETY: all zeroes are a valid value; the calls write it, and change the calling thread's mask, which is put back.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        for signal in ALL {
            libc::raise(signal.number());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
}

/// Everybody has got something, and it has been counted.
fn take_all(signals: &mut Signals) {
    let seen: Vec<_> = std::iter::from_fn(|| signals.try_wait()).collect();
    assert_eq!(seen, ALL);
}

#[test]
fn all_signals_at_once_find_room_on_every_thread_that_sends_them_to_itself() {
    if is_child() {
        let mut signals = Signals::new(ALL).unwrap();
        std::thread::spawn(burst).join().unwrap();
        take_all(&mut signals);
        // The pool of the coroutine's stack is the process's.
        abaca_tests::leaks::expect_stacks(1);
        for poller in [Poller::Workers, Poller::Thread] {
            let hooks = Arc::new(AtomicUsize::new(0));
            let (start, stop) = (Arc::clone(&hooks), Arc::clone(&hooks));
            let hook = |count: Arc<AtomicUsize>| {
                move || {
                    burst();
                    count.fetch_add(1, SeqCst);
                }
            };
            let builder = abaca_tests::with_workers_on_their_threads().workers(2).poller(poller);
            let runtime = builder.on_thread_start(hook(start)).on_thread_stop(hook(stop)).build().unwrap();
            // A worker that begins later would send its signals while they are looked for.
            while hooks.load(SeqCst) < 2 {
                std::thread::yield_now();
            }
            take_all(&mut signals);
            runtime.run(|| {
                burst();
                take_all(&mut signals);
                let small = abaca::Builder::new().stack_size(4096);
                small.spawn(burst).unwrap().join().unwrap();
                take_all(&mut signals);
                abaca::blocking::run(burst);
                take_all(&mut signals);
                abaca::coroutine::Coroutine::<(), (), ()>::new(|_, ()| burst()).resume(());
                take_all(&mut signals);
            });
            drop(runtime);
            assert_eq!(hooks.load(SeqCst), 4);
            take_all(&mut signals);
        }
        println!("all is well");
        return;
    }
    let output = in_child("threads::all_signals_at_once_find_room_on_every_thread_that_sends_them_to_itself");
    assert!(output.status.success(), "{output:?}");
    assert!(super::stdout(&output).contains("all is well"), "{output:?}");
}

/// The child of the next test: threads of every kind that do what they do when signals come.
fn wait_in_every_way() {
    let mut signals = Signals::new(ALL).unwrap();
    let is_told = Arc::new(AtomicBool::new(false));
    let runtimes = [Poller::Workers, Poller::Thread].map(|poller| {
        let runtime = Runtime::builder().workers(2).poller(poller).build().unwrap();
        let (told, begun) = (Arc::clone(&is_told), Arc::new(AtomicUsize::new(0)));
        let (computes, waits) = (Arc::clone(&begun), Arc::clone(&begun));
        // One worker is in a fiber, one thread of the pool in a job; the other worker sleeps in its hub.
        runtime.spawn(move || {
            computes.fetch_add(1, SeqCst);
            while !told.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        let told = Arc::clone(&is_told);
        runtime.spawn(move || {
            abaca::blocking::run(|| {
                waits.fetch_add(1, SeqCst);
                while !told.load(SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            })
        });
        while begun.load(SeqCst) < 2 {
            std::thread::yield_now();
        }
        runtime
    });
    // One line for each round: first here we are, then what has come.
    println!("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        // Of a thread that has not run yet since, some may come a little later.
        let mut missing = ALL.to_vec();
        while !missing.is_empty() {
            let signal = signals.wait().unwrap();
            missing.retain(|one| *one != signal);
        }
        println!("{line}");
    }
    is_told.store(true, SeqCst);
    drop(runtimes);
    // At once, while `signals` live: a thread that has not run since the last round may still have some to handle, which
    // would kill the process when nobody listens.
    // SAFETY: _exit(2) takes a number.
    unsafe { libc::_exit(0) }
}

fn threads_of(process: u32) -> Vec<(libc::pid_t, String)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|task| task.unwrap().path());
    let describe = |path: std::path::PathBuf| {
        let id = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        (id, fs::read_to_string(path.join("comm")).unwrap().trim().to_string())
    };
    tasks.map(describe).collect()
}

#[test]
fn all_signals_at_once_find_room_on_every_thread_whatever_it_does() {
    const ROUNDS: usize = 10;
    if is_child() {
        return wait_in_every_way();
    }
    let mut command = command("threads::all_signals_at_once_find_room_on_every_thread_whatever_it_does");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut input: ChildStdin = child.stdin.take().unwrap();
    let begun = lines.by_ref().find(|line| line.contains("ready"));
    assert!(begun.is_some(), "{:?}", child.wait());
    // Names are cut off after 15 bytes.
    let kinds = ["abaca-worker-0", "abaca-worker-1", "abaca-monitor", "abaca-poller", "abaca-blocking-"];
    let threads = loop {
        let threads = threads_of(child.id());
        // A thread has its name once it runs.
        if kinds.iter().all(|kind| threads.iter().any(|(_, name)| name.starts_with(kind))) {
            break threads;
        }
        assert!(child.try_wait().unwrap().is_none(), "{threads:?}");
    };
    let process = libc::pid_t::try_from(child.id()).unwrap();
    for round in 0..ROUNDS {
        // While it is stopped they pile up, and all come at once when it goes on.
        // SAFETY: these take numbers, and waitpid(2) a live local.
        unsafe {
            libc::kill(process, libc::SIGSTOP);
            let mut status = 0;
            assert_eq!(libc::waitpid(process, &mut status, libc::WUNTRACED), process);
            assert!(libc::WIFSTOPPED(status), "it has died: {status:x}");
            for signal in ALL {
                for (thread, _) in &threads {
                    libc::syscall(libc::SYS_tgkill, process, *thread, signal.number());
                }
            }
        }
        writeln!(input, "round {round}").unwrap();
        let answer = lines.next();
        assert_eq!(answer.as_deref(), Some(&*format!("round {round}")), "{:?}", child.try_wait());
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// Puts /dev/null in the place of each descriptor whose name contains `kind`.
fn take_away(kind: &str) {
    let null = fs::File::open("/dev/null").unwrap();
    for entry in fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap) {
        let name = fs::read_link(entry.path()).unwrap_or_default();
        if name.to_str().unwrap().contains(kind) {
            let fd: libc::c_int = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: it is a runtime's, which is to see that it is gone.
            unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), fd) };
        }
    }
}

/// A thread of ours panics only by a bug; a library that takes away the descriptors of others brings it about.
#[test]
fn a_panic_in_any_thread_of_a_runtime_ends_the_process() {
    if is_child() {
        let (kind, poller) = match std::env::var("CASE").unwrap().as_str() {
            "worker" => ("eventpoll", Poller::Workers),
            "poller" => ("eventpoll", Poller::Thread),
            _ => ("timerfd", Poller::Workers),
        };
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        Runtime::builder().workers(2).poller(poller).build().unwrap().run(|| {
            let waits = abaca::spawn(move || {
                let pipe = abaca::io::Pollable::new(reader.try_clone().unwrap()).unwrap();
                pipe.wait_readable().unwrap();
                reader.read_exact(&mut [0]).unwrap();
            });
            while !abaca::observe::parked().iter().any(|(reason, _)| *reason == "read") {
                abaca::yield_now();
            }
            take_away(kind);
            writer.write_all(&[1]).unwrap();
            let _ = waits.join();
            loop {
                abaca::sleep(std::time::Duration::from_millis(1));
            }
        });
    }
    for case in ["worker", "poller", "monitor"] {
        let mut command = command("threads::a_panic_in_any_thread_of_a_runtime_ends_the_process");
        let output = command.env("CASE", case).output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{case}: {output:?}");
        let text = stderr(&output);
        let end = format!("abaca: thread 'abaca-{case}");
        assert!(text.contains(&end) && text.contains("outside of any fiber or job"), "{case}: {text}");
    }
}
