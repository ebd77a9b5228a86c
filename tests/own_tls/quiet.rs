//! The monitor sleeps while a fiber keeps its thread and nobody waits, and wakes up when somebody does. But for the first, none of these
//! tests would end if it did not.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::{command, is_child, passes, runtime};

/// Long enough that the monitor has looked twice and seen that nobody waits.
const WHILE: Duration = Duration::from_millis(5);

/// Computes for that long.
fn compute(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Computes, outside of the runtime, until somebody who has waited says so.
fn hog_until(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        std::hint::spin_loop();
    }
}

/// How often the thread of this process that has the name has slept, so far.
fn sleeps_of(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    // One that has ended meanwhile has no name.
    let mut named =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|found| found.trim() == name));
    let task = named.next().expect("a thread with that name");
    assert!(named.next().is_none(), "one thread has the name");
    let status = fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn a_fiber_that_is_alone_wakes_nobody_however_long_it_computes() {
    if std::env::var_os("ALONE").is_some() {
        // The other worker sleeps.
        runtime(2).run(|| {
            compute(WHILE);
            let before = sleeps_of("abaca-monitor");
            compute(20 * WHILE);
            let sleeps = sleeps_of("abaca-monitor") - before;
            // With a look each half millisecond there would be 200.
            assert!(sleeps <= 10, "the monitor slept {sleeps} times");
        });
        return;
    }
    // Alone in a process, since the name is not.
    let this = std::env::current_exe().unwrap();
    let name = "quiet::a_fiber_that_is_alone_wakes_nobody_however_long_it_computes";
    let output = Command::new(this).args([name, "--exact"]).env("ALONE", "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_fiber_that_its_worker_has_left_is_no_deadlock() {
    if !is_child() {
        passes(command("quiet::a_fiber_that_its_worker_has_left_is_no_deadlock"));
        return;
    }
    // No other thread is there that could wake a fiber.
    let runtime = runtime(1);
    runtime.run(|| {
        let has_run = Arc::new(AtomicBool::new(false));
        let other = abaca::spawn({
            let has_run = Arc::clone(&has_run);
            move || has_run.store(true, SeqCst)
        });
        // The worker leaves this thread for the other fiber, and then sleeps.
        hog_until(&has_run);
        compute(100 * WHILE);
        other.join().unwrap();
    });
    assert!(runtime.hand_offs() > 0);
}

#[test]
fn a_fiber_that_another_thread_wakes_gets_the_worker() {
    runtime(1).run(|| {
        let woken = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&woken);
        let (sender, receiver) = abaca::channel::unbounded();
        let waiting = abaca::spawn(move || {
            receiver.recv().unwrap();
            theirs.store(true, SeqCst);
        });
        abaca::yield_now();
        let waker = thread::spawn(move || {
            thread::sleep(WHILE);
            sender.send(()).unwrap();
        });
        hog_until(&woken);
        waiting.join().unwrap();
        waker.join().unwrap();
    });
}

#[test]
fn a_timer_gets_the_worker() {
    runtime(1).run(|| {
        let woken = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&woken);
        let waiting = abaca::spawn(move || {
            abaca::sleep(2 * WHILE);
            theirs.store(true, SeqCst);
        });
        abaca::yield_now();
        hog_until(&woken);
        waiting.join().unwrap();
    });
}

#[test]
fn a_descriptor_gets_the_worker() {
    runtime(1).run(|| {
        let woken = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&woken);
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let here = abaca::net::UnixStream::from(here);
        let waiting = abaca::spawn(move || {
            assert_eq!((&here).read(&mut [0; 4]).unwrap(), 1);
            theirs.store(true, SeqCst);
        });
        abaca::yield_now();
        let writer = thread::spawn(move || {
            thread::sleep(WHILE);
            (&there).write_all(&[1]).unwrap();
        });
        hog_until(&woken);
        waiting.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn what_the_fiber_itself_spawns_gets_the_worker() {
    runtime(1).run(|| {
        compute(WHILE);
        let woken = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&woken);
        let spawned = abaca::spawn(move || theirs.store(true, SeqCst));
        hog_until(&woken);
        spawned.join().unwrap();
    });
}

#[test]
fn what_is_spawned_from_outside_gets_the_worker() {
    let runtime = runtime(1);
    let woken = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&woken);
    let hog = runtime.spawn(move || hog_until(&theirs));
    thread::sleep(WHILE);
    runtime.spawn(move || woken.store(true, SeqCst)).join().unwrap();
    hog.join().unwrap();
}

#[test]
fn a_cancellation_gets_the_worker() {
    runtime(1).run(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        struct Ends(Arc<AtomicBool>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let ends = Ends(theirs);
        let waiting = abaca::spawn(move || {
            let _ends = ends;
            abaca::park();
        });
        abaca::yield_now();
        let fiber = waiting.fiber().clone();
        let canceller = thread::spawn(move || {
            thread::sleep(WHILE);
            fiber.cancel();
        });
        hog_until(&ended);
        assert!(waiting.join().is_err());
        canceller.join().unwrap();
    });
}

#[test]
fn a_shutdown_does_not_wait_for_the_next_look() {
    let runtime = runtime(2);
    let [begun, ended] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let theirs = [Arc::clone(&begun), Arc::clone(&ended)];
    let hog = runtime.spawn(move || {
        theirs[0].store(true, SeqCst);
        hog_until(&theirs[1]);
    });
    hog_until(&begun);
    thread::sleep(WHILE);
    let ends = thread::spawn(move || {
        thread::sleep(WHILE);
        ended.store(true, SeqCst);
    });
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    hog.join().unwrap();
    ends.join().unwrap();
}
