//! The report of a fiber that keeps its worker: when it is made, what it says, and that it disturbs nobody.

#![expect(unsafe_code, reason = "calls that a C library makes")]

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use abaca::Runtime;
use abaca::runtime::{Activity, Builder, Stall};

use super::{command, in_child, is_child};

/// One worker, and reports after 10 ms.
fn builder() -> Builder {
    Runtime::builder().workers(1).stall_threshold(Duration::from_millis(10))
}

/// Runs `f` on a runtime of one worker, beside a fiber that wants to run and one that sleeps a little; the reports come
/// through the channel.
fn watched<T: Send>(builder: Builder, f: impl FnOnce(&mpsc::Receiver<Stall>) -> T + Send) -> T {
    let (stalls, reported) = mpsc::channel();
    let runtime = builder.on_stall(move |stall| _ = stalls.send(stall.clone())).build().unwrap();
    runtime.run(move || {
        abaca::spawn_local(abaca::yield_now);
        f(&reported)
    })
}

/// How often a test tries again if the machine takes the processor away at the wrong time, which makes a stall of its own.
const TRIES: usize = 100;

/// Computes until its report has come.
fn compute_until_reported(reported: &mpsc::Receiver<Stall>) -> Stall {
    loop {
        // A neighbour from which the machine takes the processor away is reported as well.
        if let Ok(stall) = reported.try_recv()
            && stall.fiber_name() == Some("main")
        {
            return stall;
        }
        std::hint::spin_loop();
    }
}

#[test]
fn a_fiber_that_keeps_its_worker_is_reported_by_name_and_once() {
    let test = "stalls::a_fiber_that_keeps_its_worker_is_reported_by_name_and_once";
    if is_child() {
        let is_told = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_told);
        std::thread::spawn(move || {
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            told.store(true, SeqCst);
        });
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let hog = abaca::Builder::new().name("hog".into()).spawn(move || {
                // The parent tells when it has the report. A hog that is never reported ends all the same, and the parent
                // sees that.
                let began = Instant::now();
                abaca::spawn_local(|| ());
                while !is_told.load(SeqCst) && began.elapsed() < Duration::from_secs(60) {
                    std::hint::spin_loop();
                }
            });
            hog.unwrap().join().unwrap();
        });
        return;
    }
    let mut command = command(test);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("fiber 'hog' (FiberId(") {
        assert_ne!(errors.read_line(&mut text).unwrap(), 0, "{text}");
    }
    drop(child.stdin.take());
    errors.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    let is_report = |line: &&str| line.contains("fiber 'hog'") && line.contains("has kept worker 0");
    assert_eq!(text.lines().filter(is_report).count(), 1, "{text}");
}

#[test]
fn each_standstill_is_told_with_what_the_fiber_does_and_since_when() {
    watched(builder(), |reported| {
        for _ in 0..3 {
            abaca::spawn_local(|| ());
            let stall = compute_until_reported(reported);
            assert_eq!((stall.worker(), stall.fiber_name()), (0, Some("main")));
            assert_eq!(stall.activity(), Activity::Computing);
            assert!(stall.elapsed() >= Duration::from_millis(10), "{stall:?}");
            assert_eq!(stall.backtrace(), None);
            assert!(stall.to_string().contains("abaca::yield_now"), "{stall}");
            abaca::yield_now();
        }
    });
}

#[inline(never)]
fn the_long_computation(reported: &mpsc::Receiver<Stall>) -> Stall {
    compute_until_reported(reported)
}

static URGENT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_urgent(_signal: libc::c_int) {
    URGENT.fetch_add(1, SeqCst);
}

#[test]
fn a_backtrace_says_where_the_fiber_is_and_leaves_sigurg_to_its_owner() {
    let test = "stalls::a_backtrace_says_where_the_fiber_is_and_leaves_sigurg_to_its_owner";
    if !is_child() {
        let output = in_child(test);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGURG, on_urgent as *const () as usize) };
    for round in 1..=3 {
        let stall = watched(builder().stall_backtrace(true), |reported| {
            let report = |_| {
                abaca::spawn_local(|| ());
                let stall = the_long_computation(reported);
                abaca::yield_now();
                stall
            };
            let is_in_it =
                |stall: &Stall| stall.backtrace().is_some_and(|trace| trace.contains("the_long_computation"));
            (0..TRIES).map(report).find(is_in_it).expect("a backtrace of the long computation")
        });
        let trace = stall.backtrace().expect("it computes");
        assert!(trace.contains("stalls.rs"), "{trace}");
        assert!(stall.to_string().contains("the_long_computation"), "{stall}");
        assert_eq!(URGENT.load(SeqCst), round - 1);
        // SAFETY: raise(3) takes a number.
        unsafe { libc::raise(libc::SIGURG) };
        assert_eq!(URGENT.load(SeqCst), round);
    }
}

/// A call of a C library; 0 is how it ends if nothing interrupts it.
type Call = fn() -> libc::c_int;

/// Calls that return EINTR when they are interrupted, whatever the handler's flags say.
#[test]
fn system_calls_of_others_are_not_interrupted() {
    for has_backtrace in [false, true] {
        let calls: [(Call, &str); 3] = [
            // SAFETY: no descriptors, and a time.
            (|| unsafe { libc::poll(std::ptr::null_mut(), 0, 100) }, "poll"),
            // SAFETY: a time.
            (|| unsafe { libc::usleep(100_000) }, "nanosleep"),
            (
                || {
                    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                    ours.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                    let error = (&ours).read(&mut [0]).unwrap_err();
                    // EAGAIN is the end of its time.
                    libc::c_int::from(error.kind() != std::io::ErrorKind::WouldBlock)
                },
                "recv",
            ),
        ];
        for (call, name) in calls {
            let stall = watched(builder().stall_backtrace(has_backtrace), |reported| {
                // It may run before the monitor has looked for the first time: until it is reported.
                loop {
                    assert_eq!(call(), 0, "{name}: {}", std::io::Error::last_os_error());
                    if let Ok(stall) = reported.try_recv() {
                        break stall;
                    }
                }
            });
            // Its last look may have found it between two calls.
            if stall.activity() != Activity::Computing {
                assert!(matches!(stall.activity(), Activity::Waiting(_)), "{stall:?}");
                assert!(stall.to_string().contains("(2), which abaca does not know of"), "{stall}");
                assert_eq!(stall.backtrace(), None);
            }
        }
    }
}

#[test]
fn a_lock_of_std_that_is_held_over_a_park_is_named_as_the_cause() {
    // It may be reported before it comes to the lock.
    let reports = (0..TRIES).map(|_| stall_at_a_lock());
    let stall = reports
        .into_iter()
        .find(|stall| stall.activity() == Activity::Locking)
        .expect("it waits for the lock");
    assert!(stall.to_string().contains("a lock of std::sync"), "{stall}");
}

/// The report of a fiber that waits for a lock of std until it is reported.
fn stall_at_a_lock() -> Stall {
    let lock = Arc::new(std::sync::Mutex::new(()));
    let theirs = Arc::clone(&lock);
    let (stalls, reported) = mpsc::channel();
    let (begins, begun) = mpsc::channel();
    // A thread holds it, and not a fiber of the same worker, so that the test ends.
    let holder = std::thread::spawn(move || {
        let _guard = theirs.lock().unwrap();
        begins.send(()).unwrap();
        reported.recv().unwrap()
    });
    begun.recv().unwrap();
    let runtime = builder().on_stall(move |stall: &Stall| _ = stalls.send(stall.clone())).build().unwrap();
    runtime.run(|| {
        abaca::spawn_local(|| ());
        drop(lock.lock().unwrap());
    });
    holder.join().unwrap()
}

#[test]
fn nobody_is_reported_who_keeps_nobody_waiting_or_yields() {
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    let runtime = builder().on_stall(move |_| _ = counts.fetch_add(1, SeqCst)).build().unwrap();
    // Others live, and one of them waits for something that does not come.
    let (_gate, closed) = abaca::channel::bounded::<()>(0);
    let longest = runtime.run(|| {
        let compute = |time| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(time) {
                std::hint::spin_loop();
            }
        };
        drop(abaca_tests::begun(move || closed.recv()));
        // A report of it, if the machine has taken the processor away while it kept this fiber waiting.
        count.store(0, SeqCst);
        // Longer than the monitor needs to see it twenty times.
        compute(200);
        assert_eq!(count.load(SeqCst), 0);
        // When the last two turns began, and the longest time that two turns took: it has all of the turn between two picks.
        let turns = Rc::new(Cell::new(([Instant::now(); 2], Duration::ZERO)));
        let note = |turns: &Cell<([Instant; 2], Duration)>| {
            let (([before, last], longest), now) = (turns.get(), Instant::now());
            turns.set(([last, now], longest.max(now - before)));
        };
        let fibers: Vec<_> = (0..4)
            .map(|_| {
                let turns = Rc::clone(&turns);
                abaca::spawn_local(move || {
                    for _ in 0..100 {
                        note(&turns);
                        compute(1);
                        abaca::yield_now();
                    }
                    note(&turns);
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        (0..2).for_each(|_| note(&turns));
        turns.get().1
    });
    // A machine that takes the processor away for long makes a real stall.
    assert!(count.load(SeqCst) == 0 || longest >= Duration::from_millis(10), "{longest:?}");
}

/// Standard error is a pipe that is full and that nobody reads: the report is lost, and nobody waits for it.
#[test]
fn a_full_standard_error_holds_up_neither_the_fiber_nor_the_monitor() {
    let test = "stalls::a_full_standard_error_holds_up_neither_the_fiber_nor_the_monitor";
    if !is_child() {
        let output = in_child(test);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let (_reader, writer) = std::io::pipe().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
    // SAFETY: numbers, and a live buffer.
    let before = unsafe {
        libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
        while libc::write(fd, [0_u8; 4096].as_ptr().cast(), 4096) > 0 {}
        libc::fcntl(fd, libc::F_SETFL, 0);
        let before = libc::dup(2);
        libc::dup2(fd, 2);
        before
    };
    let quiet = builder().build().unwrap();
    let told = quiet.run(|| {
        // This runtime's monitor has written its report when that of the other one, which began later, has told of its own.
        abaca::spawn_local(|| ());
        std::thread::spawn(|| watched(builder(), compute_until_reported)).join().unwrap()
    });
    assert_eq!(told.activity(), Activity::Computing);
    // It ends as well: its monitor's thread is joined.
    quiet.shutdown(Duration::MAX).unwrap();
    // SAFETY: numbers.
    unsafe { libc::dup2(before, 2) };
    // SAFETY: a descriptor of ours.
    unsafe { libc::close(before) };
}
