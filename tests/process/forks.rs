//! A child by fork(2) of a fiber: the fiber goes on there as a plain thread, and ends the child.

#![expect(unsafe_code, reason = "forks")]

use std::io::{Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use abaca::time::timeout;
use abaca::{Runtime, SpawnError, fiber_local};

use super::{command, is_child};

/// What a child says that has come to its end.
const WELL: i32 = 7;

/// Runs the named test in a child process, in which the caller is the main thread.
fn passes(test: &str) {
    let output = command(&format!("forks::{test}")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A runtime whose fibers share their worker's storage, and where they can have their own one of those.
fn on_each(test: impl Fn(&Arc<Runtime>)) {
    test(&Arc::new(Runtime::builder().workers(2).build().unwrap()));
    #[cfg(feature = "own-tls")]
    abaca_tests::leaks::expect_own_storage();
    #[cfg(feature = "own-tls")]
    if let Ok(runtime) = Runtime::builder().workers(2).own_tls(true).build() {
        test(&Arc::new(runtime));
    }
}

/// How the child of a fork ends, in which `body` is called.
fn in_fork(body: impl FnOnce()) -> Option<i32> {
    // SAFETY: none of the parent's other threads holds what the child uses: they wait.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // What it has is its parent's, and stays.
        abaca_tests::leaks::settle();
        body();
        return None;
    }
    let mut status = 0;
    // SAFETY: a number to be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    Some(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) })
}

fn echoes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    echo.join().unwrap();
    assert_eq!(answer, "hello");
}

fiber_local!(static NUMBER: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

fn park_for_ever() {
    loop {
        abaca::park();
    }
}

/// All that waits in a thread waits; the runtime of the parent is not there, and another one is.
fn waits_as_a_thread(parents: &Arc<Runtime>) {
    abaca::sleep(Duration::from_millis(1));
    abaca::yield_now();
    let (send, receive) = mpsc::channel();
    let (send_ours, receive_ours) = abaca::channel::bounded(0);
    let mutex = Arc::new(abaca::sync::Mutex::new(0));
    let guard = mutex.lock().unwrap();
    let other = Arc::clone(&mutex);
    let thread = thread::spawn(move || {
        send.send(1).unwrap();
        send_ours.send(2).unwrap();
        *other.lock().unwrap() += 3;
    });
    assert_eq!((receive.recv(), receive_ours.recv()), (Ok(1), Ok(2)));
    drop(guard);
    thread.join().unwrap();
    assert_eq!(*mutex.lock().unwrap(), 3);
    echoes();
    assert_eq!(parents.try_spawn(|| ()).unwrap_err(), SpawnError::Forked);
    assert!(catch_unwind(AssertUnwindSafe(|| parents.run(|| ()))).is_err());
    assert_eq!(abaca::Builder::new().spawn(|| ()).unwrap_err(), SpawnError::NoRuntime);
    let own = Runtime::builder().workers(2).build().unwrap();
    let in_grandchild = || in_fork(|| std::process::exit(WELL));
    assert_eq!(own.run(|| abaca::spawn(in_grandchild).join().unwrap()), Some(WELL));
    own.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(in_fork(|| std::process::exit(WELL)), Some(WELL));
}

#[test]
fn a_fiber_goes_on_in_the_child_and_waits_as_a_thread() {
    if !is_child() {
        return passes("a_fiber_goes_on_in_the_child_and_waits_as_a_thread");
    }
    on_each(|runtime| {
        for _ in 0..3 {
            let parents = Arc::clone(runtime);
            let fiber = move || {
                NUMBER.set(1);
                in_fork(|| {
                    assert_eq!(NUMBER.get(), 1, "the fiber's value is the thread's");
                    waits_as_a_thread(&parents);
                    // Nobody is left to be waited for.
                    drop(parents);
                    std::process::exit(WELL);
                })
            };
            assert_eq!(runtime.spawn(fiber).join().unwrap(), Some(WELL));
        }
        assert_eq!(runtime.run(|| abaca::spawn(|| 42).join().unwrap()), 42, "the parent goes on");
    });
}

struct Tells(std::io::PipeWriter);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.write_all(&[u8::from(abaca::Builder::new().spawn(|| ()).is_err())]);
    }
}

fiber_local!(static AT_END: std::cell::RefCell<Vec<Tells>> = const { std::cell::RefCell::new(Vec::new()) });

#[test]
fn a_time_limit_around_a_fork_holds_in_the_child() {
    if !is_child() {
        return passes("a_time_limit_around_a_fork_holds_in_the_child");
    }
    on_each(|runtime| {
        let limited = || {
            let status = timeout(Duration::from_millis(20), || in_fork(park_for_ever));
            if status.is_err() {
                assert!(timeout(Duration::from_millis(1), park_for_ever).is_err(), "one of the child's own");
                std::process::exit(WELL);
            }
            status.unwrap()
        };
        assert_eq!(runtime.spawn(limited).join().unwrap(), Some(WELL));
    });
}

#[test]
fn the_end_of_the_fiber_is_the_end_of_the_child() {
    if !is_child() {
        return passes("the_end_of_the_fiber_is_the_end_of_the_child");
    }
    on_each(|runtime| {
        for panics in [false, true] {
            let (mut reader, writer) = pipe().unwrap();
            let fiber = move || {
                AT_END.with_borrow_mut(|values| values.push(Tells(writer.try_clone().unwrap())));
                let status = in_fork(|| assert!(!panics, "the child's"));
                drop(writer);
                status
            };
            // As that of a process's last thread, however it has ended.
            assert_eq!(runtime.spawn(fiber).join().unwrap(), Some(0));
            // Its values have been destroyed in both.
            let mut ended = Vec::new();
            reader.read_to_end(&mut ended).unwrap();
            ended.sort_unstable();
            assert_eq!(ended, [0, 1]);
        }
        let status = |body: fn()| runtime.run(|| in_fork(body));
        assert_eq!(status(|| ()), Some(0));
        assert_eq!(status(|| panic!("of a main fiber")), Some(101));
    });
}

/// libc takes the stack of the worker, in which the kernel writes where the thread runs, for one that is free, and gives it back when it has
/// more than 40 MiB of such.
#[test]
#[cfg(feature = "own-tls")]
fn the_worker_s_stack_may_go() {
    if !is_child() {
        return passes("the_worker_s_stack_may_go");
    }
    abaca_tests::leaks::expect_own_storage();
    let Ok(runtime) = Runtime::builder().workers(40).own_tls(true).build() else { return };
    let in_child = || {
        for _ in 0..100 {
            (0..4).map(|_| thread::spawn(thread::yield_now)).for_each(|thread| thread.join().unwrap());
        }
        std::process::exit(WELL)
    };
    for _ in 0..40 {
        let fiber = move || in_fork(in_child);
        assert_eq!(runtime.spawn(fiber).join().unwrap(), Some(WELL));
    }
}

#[test]
fn a_plain_thread_s_child_leaves_the_runtime_alone() {
    if !is_child() {
        return passes("a_plain_thread_s_child_leaves_the_runtime_alone");
    }
    on_each(|runtime| {
        let mut runtime = Some(Arc::clone(runtime));
        let status = in_fork(|| {
            let parents = runtime.take().unwrap();
            assert_eq!(parents.try_spawn(|| ()).unwrap_err(), SpawnError::Forked);
            drop(parents);
            std::process::exit(WELL);
        });
        assert_eq!(status, Some(WELL));
    });
    let status = in_fork(|| {
        let own = Runtime::new().unwrap();
        assert_eq!(own.run(|| abaca::spawn(|| 6 * 7).join().unwrap()), 42);
        drop(own);
        std::process::exit(WELL);
    });
    assert_eq!(status, Some(WELL));
}

/// A child that has ended and that nobody has waited for is there still.
fn is_there(child: u32) -> bool {
    std::path::Path::new(&format!("/proc/{child}")).exists()
}

#[test]
fn a_copy_waits_for_its_own_children_whose_handles_were_dropped() {
    if !is_child() {
        return passes("a_copy_waits_for_its_own_children_whose_handles_were_dropped");
    }
    // One that its parent's thread waits for meanwhile.
    let parents = abaca::process::Command::new("sleep").arg("1000").spawn().unwrap().id();
    let status = in_fork(|| {
        // SAFETY: it takes a number. If nobody waits, this ends the copy.
        unsafe { libc::alarm(60) };
        // It has not ended when its handle is dropped.
        let child = abaca::process::Command::new("sleep").arg("0.1").spawn().unwrap().id();
        while is_there(child) {
            thread::sleep(Duration::from_millis(1));
        }
        std::process::exit(WELL)
    });
    // SAFETY: it takes numbers; the child lives until then, and is waited for afterwards.
    unsafe { libc::kill(parents as i32, libc::SIGKILL) };
    while is_there(parents) {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(status, Some(WELL));
}

/// Whatever locks it finds as they were copied: others look at the parent's runtimes, and make some, at each moment.
#[test]
fn a_copy_looks_at_itself_and_makes_runtimes_while_its_parent_does() {
    if !is_child() {
        return passes("a_copy_looks_at_itself_and_makes_runtimes_while_its_parent_does");
    }
    let parents = Runtime::builder().workers(1).build().unwrap();
    let waits = parents.spawn(abaca::park);
    let stop = AtomicBool::new(false);
    let again = |what: fn()| {
        while !stop.load(Ordering::Relaxed) {
            what();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| again(|| drop(abaca::observe::dump())));
        scope.spawn(|| again(|| drop(Runtime::builder().workers(1).build().unwrap())));
        for _ in 0..5 {
            let status = in_fork(|| {
                // SAFETY: it takes a number. If a lock is never given back, this ends the copy.
                unsafe { libc::alarm(60) };
                assert!(abaca::observe::dump().fibers().is_empty(), "those of the parent are not there");
                let own = Runtime::builder().workers(1).build().unwrap();
                assert_eq!(own.run(|| abaca::observe::dump().fibers().len()), 1);
                std::process::exit(WELL)
            });
            assert_eq!(status, Some(WELL));
        }
        stop.store(true, Ordering::Relaxed);
    });
    waits.fiber().unpark();
    waits.join().unwrap();
}
