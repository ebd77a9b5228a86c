//! A dump shows every fiber, what it waits for, and who holds that.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use abaca::channel::{bounded, oneshot};
use abaca::observe::{Dump, FiberDump, FiberState, Holder, Wait};
use abaca::sync::{Condvar, Mutex, Notify, Once, RwLock, Semaphore};

use super::whole_dump;

/// Spawns a fiber with this name, and lets it run until it waits.
pub(super) fn park_in(name: &str, f: impl FnOnce() + Send + 'static) -> abaca::JoinHandle<()> {
    let began = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&began);
    let fiber = abaca::Builder::new().name(name.into()).spawn(move || {
        theirs.store(true, Ordering::Release);
        f();
    });
    while !began.load(Ordering::Acquire) {
        abaca::yield_now();
    }
    fiber.unwrap()
}

pub(super) fn find<'a>(dump: &'a Dump, name: &str) -> &'a FiberDump {
    let found = dump.fibers().iter().find(|fiber| fiber.name() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {dump}"))
}

/// Dumps until the fiber with this name waits.
pub(super) fn dump_when_parked(name: &str) -> Dump {
    loop {
        let dump = whole_dump();
        let is_parked = |fiber: &FiberDump| fiber.name() == Some(name) && fiber.state() == FiberState::Parked;
        if dump.fibers().iter().any(is_parked) {
            return dump;
        }
        abaca::yield_now();
    }
}

/// Dumps until this fiber waits.
fn dump_when_parked_as(id: abaca::fiber::FiberId) -> Dump {
    loop {
        let dump = whole_dump();
        let is_parked = |fiber: &FiberDump| fiber.id() == Some(id) && fiber.state() == FiberState::Parked;
        if dump.fibers().iter().any(is_parked) {
            return dump;
        }
        abaca::yield_now();
    }
}

pub(super) fn wait<'a>(dump: &'a Dump, name: &str) -> &'a Wait {
    find(dump, name).wait().unwrap_or_else(|| panic!("{name} does not wait in {dump}"))
}

pub(super) fn with_runtime(workers: usize, f: impl FnOnce() + Send) {
    abaca::Runtime::builder().workers(workers).build().unwrap().run(f);
}

#[test]
fn locks_are_shown_with_their_holders() {
    with_runtime(2, || {
        let me = Holder::Fiber(abaca::current().id());
        let mutex = Arc::new(Mutex::new(0));
        let lock = Arc::new(RwLock::new(0));
        let guards = (mutex.lock().unwrap(), lock.write().unwrap());
        let of_mutex = park_in("mutex", {
            let mutex = Arc::clone(&mutex);
            move || *mutex.lock().unwrap() += 1
        });
        let of_reader = park_in("reader", {
            let lock = Arc::clone(&lock);
            move || assert_eq!(*lock.read().unwrap(), 0)
        });
        let dump = dump_when_parked("mutex");
        assert_eq!((wait(&dump, "mutex").reason(), wait(&dump, "mutex").holder()), ("mutex", Some(&me)));
        let dump = dump_when_parked("reader");
        let reader = wait(&dump, "reader");
        assert_eq!((reader.reason(), reader.holder()), ("reader-writer lock", Some(&me)));
        assert!(dump.cycles().is_empty());
        drop(guards);
        of_mutex.join().unwrap();
        of_reader.join().unwrap();

        // Readers are counted, and not known.
        let reading = lock.read().unwrap();
        let of_writer = park_in("writer", {
            let lock = Arc::clone(&lock);
            move || *lock.write().unwrap() += 1
        });
        let dump = dump_when_parked("writer");
        let writer = wait(&dump, "writer");
        assert_eq!(writer.holder(), None);
        assert!(writer.object().unwrap().ends_with("held by 1 reader"), "{dump}");
        drop(reading);
        of_writer.join().unwrap();
    });
}

#[test]
fn a_lock_of_a_plain_thread_is_held_by_another() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.lock().unwrap();
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    let waiting = abaca::Builder::new().name("late".into());
    let waiting = runtime.run(|| {
        let mutex = Arc::clone(&mutex);
        let fiber = waiting.spawn(move || drop(mutex.lock().unwrap())).unwrap();
        dump_when_parked("late");
        fiber
    });
    let dump = whole_dump();
    assert_eq!(wait(&dump, "late").holder(), Some(&Holder::Other));
    drop(held);
    runtime.run(|| waiting.join().unwrap());
}

#[test]
fn each_kind_of_wait_has_its_words() {
    with_runtime(2, || {
        let (sender, receiver) = bounded::<u8>(1);
        let (full, _full_receiver) = bounded::<u8>(0);
        let (_once_sender, once_receiver) = oneshot::channel::<u8>();
        let (notify, semaphore) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let pair = Arc::new((std::sync::Mutex::new(()), Mutex::new(()), Condvar::new()));
        let once = Arc::new(Once::new());
        let joined = park_in("joined", abaca::park);
        let joined_id = joined.fiber().id();
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut here = abaca::net::UnixStream::from(here);
        let (theirs, permits) = (Arc::clone(&notify), Arc::clone(&semaphore));
        let (waits, runs, calls) = (Arc::clone(&pair), Arc::clone(&once), Arc::clone(&once));
        let fibers = vec![
            park_in("receive", move || assert!(receiver.recv().is_err())),
            park_in("send", move || assert!(full.send(1).is_err())),
            park_in("oneshot", move || drop(once_receiver.recv())),
            park_in("notified", move || theirs.notified()),
            park_in("permit", move || drop(permits.acquire())),
            park_in("condvar", move || drop(waits.2.wait(waits.1.lock().unwrap()))),
            park_in("once holder", move || runs.call_once(abaca::park)),
            park_in("once", move || calls.call_once(|| ())),
            park_in("read", move || drop(here.read(&mut [0]))),
            park_in("sleep", || abaca::sleep(Duration::from_secs(3600))),
            park_in("join", move || drop(joined.join())),
        ];
        let expected = [
            ("receive", "channel receive", "with 1 sender, 1 receiver"),
            ("send", "channel send", "with 1 sender, 1 receiver"),
            ("oneshot", "oneshot channel", "0x"),
            ("notified", "notification", "0x"),
            ("permit", "semaphore", "0x"),
            ("condvar", "condition variable", "0x"),
            ("once", "once", "0x"),
            ("read", "read", "descriptor "),
            ("sleep", "sleep", "due in "),
            ("join", "join", "fiber "),
            ("joined", "park", ""),
        ];
        for (name, reason, object) in expected {
            let dump = dump_when_parked(name);
            let wait = wait(&dump, name);
            assert_eq!(wait.reason(), reason, "{name}");
            assert!(wait.object().unwrap_or("").contains(object), "{name}: {:?}", wait.object());
            assert!(wait.age() < Duration::from_secs(3600), "{:?}", wait.age());
        }
        let dump = whole_dump();
        assert_eq!(wait(&dump, "join").holder(), Some(&Holder::Fiber(joined_id)));
        let holder = find(&dump, "once holder").id().unwrap();
        assert_eq!(wait(&dump, "once").holder(), Some(&Holder::Fiber(holder)));
        assert!(dump.cycles().is_empty(), "{dump}");
        let text = dump.to_string();
        assert!(!text.contains("wait_by") && !text.contains("block_on"), "they are the runtime's: {text}");
        drop((sender, there));
        fibers.iter().for_each(|fiber| fiber.cancel());
        fibers.into_iter().for_each(|fiber| drop(fiber.join()));
    });
}

#[inline(never)]
fn deep_in_the_program() {
    abaca::park();
    std::hint::black_box(());
}

#[test]
fn a_fiber_has_its_spawn_site_its_stack_and_its_frames() {
    with_runtime(1, || {
        let line = line!() + 1;
        let fiber = abaca::spawn(deep_in_the_program);
        let id = fiber.fiber().id();
        let dump = dump_when_parked_as(id);
        let seen = dump.fibers().iter().find(|fiber| fiber.id() == Some(id)).unwrap();
        let site = seen.spawn_site().unwrap();
        assert!(site.file().ends_with("dumps.rs") && site.line() == line, "{site}");
        let (used, bytes) = (seen.stack_used().unwrap(), seen.stack_bytes().unwrap());
        assert!(used > 100 && used < bytes && bytes >= 64 * 1024, "{used} of {bytes}");
        let has = |fiber: &FiberDump, name: &str| {
            fiber
                .frames()
                .iter()
                .any(|frame| frame.function().is_some_and(|function| function.contains(name)))
        };
        assert!(has(seen, "deep_in_the_program"), "{dump:#}");
        assert!(has(seen, "fiber_start"), "the stack is walked to its end: {dump:#}");
        let me = dump.fibers().iter().find(|fiber| fiber.id() == Some(abaca::current().id())).unwrap();
        assert_eq!(me.state(), FiberState::Running);
        assert!(has(me, "a_fiber_has_its_spawn_site"), "{dump:#}");
        let text = dump.to_string();
        assert!(text.contains("deep_in_the_program") && !text.contains("fiber_start"), "{text}");
        fiber.fiber().unpark();
        fiber.join().unwrap();
    });
}

#[test]
fn frames_go_on_from_a_coroutine_into_its_fiber() {
    with_runtime(1, || {
        let fiber = abaca::spawn(|| {
            let mut coroutine = abaca::coroutine::Coroutine::<(), (), ()>::new(|_, ()| deep_in_the_program());
            coroutine.resume(());
        });
        let dump = dump_when_parked_as(fiber.fiber().id());
        let seen = dump.fibers().iter().find(|seen| seen.id() == Some(fiber.fiber().id())).unwrap();
        let position = |name: &str| {
            let is = |frame: &abaca::observe::Frame| frame.function().is_some_and(|f| f.contains(name));
            seen.frames().iter().position(is).unwrap_or_else(|| panic!("no {name} in {dump:#}"))
        };
        assert!(position("deep_in_the_program") < position("coroutine_start"), "{dump:#}");
        assert!(position("coroutine_start") < position("fiber_start"), "{dump:#}");
        fiber.fiber().unpark();
        fiber.join().unwrap();
    });
}

#[test]
fn equal_stacks_are_one_group() {
    with_runtime(2, || {
        let line = line!() + 1;
        let fibers: Vec<_> = (0..100).map(|_| abaca::spawn(deep_in_the_program)).collect();
        let waits = |dump: &Dump| {
            let is_ours = |fiber: &&FiberDump| {
                fiber.spawn_site().is_some_and(|site| site.line() == line) && fiber.wait().is_some()
            };
            dump.fibers().iter().filter(is_ours).count()
        };
        let dump = loop {
            let dump = whole_dump();
            if waits(&dump) == 100 {
                break dump;
            }
            abaca::yield_now();
        };
        let text = dump.to_string();
        assert!(text.contains("\n100 fibers [park]\n") && text.contains("... and 92 more"), "{text}");
        for fiber in fibers {
            fiber.fiber().unpark();
            fiber.join().unwrap();
        }
    });
}

#[inline(never)]
fn compute_until(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[test]
fn the_fibers_of_a_worker_that_is_busy_are_read_from_outside() {
    let stop = Arc::new(AtomicBool::new(false));
    let (reader, mut writer) = std::io::pipe().unwrap();
    for blocks in [false, true] {
        let runtime = abaca::Runtime::builder().workers(1).stall_threshold(None).build().unwrap();
        let line = line!() + 1;
        let neighbour = runtime.spawn(deep_in_the_program);
        let sleeper = runtime.spawn(|| {
            abaca::observe::set_label("request", 4711);
            abaca::sleep(Duration::from_secs(3600));
        });
        while [line, line + 1].iter().any(|line| state_at(*line) != Some(FiberState::Parked)) {
            std::thread::yield_now();
        }
        let began = Arc::new(AtomicBool::new(false));
        let (theirs, stops, mut reader) =
            (Arc::clone(&began), Arc::clone(&stop), reader.try_clone().unwrap());
        let hog = runtime.spawn(move || {
            theirs.store(true, Ordering::Release);
            if blocks {
                reader.read_exact(&mut [0]).unwrap();
            } else {
                compute_until(&stops);
            }
        });
        while !began.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let dump = abaca::dump();
        let at = |line: u32| {
            let is = |fiber: &&FiberDump| {
                fiber
                    .spawn_site()
                    .is_some_and(|site| site.file().ends_with("dumps.rs") && site.line() == line)
            };
            dump.fibers().iter().find(is)
        };
        let Some(seen) = at(line) else { panic!("{dump}") };
        assert_eq!(seen.wait().map(Wait::reason), Some("park"), "{dump}");
        let sleeping = at(line + 1).unwrap();
        assert!(sleeping.wait().and_then(Wait::object).unwrap().starts_with("due in 3"), "{dump}");
        assert_eq!(sleeping.labels(), [("request".to_string(), "4711".to_string())], "{dump}");
        let has = |name: &str| {
            let is = |frame: &abaca::observe::Frame| frame.function().is_some_and(|f| f.contains(name));
            dump.fibers().iter().any(|fiber| fiber.frames().iter().any(is))
        };
        assert!(has("deep_in_the_program"), "{dump:#}");
        assert!(dump.to_string().contains("worker 0 of runtime"), "{dump}");
        let runs =
            |fiber: &&FiberDump| fiber.runtime() == seen.runtime() && fiber.state() == FiberState::Running;
        assert_eq!(dump.fibers().iter().filter(runs).count(), 1, "{dump}");
        assert!(has(if blocks { "read" } else { "compute_until" }), "{dump:#}");
        stop.store(true, Ordering::Relaxed);
        if blocks {
            std::io::Write::write_all(&mut writer, &[0]).unwrap();
        }
        neighbour.fiber().unpark();
        sleeper.cancel();
        runtime.run(|| (hog.join().unwrap(), neighbour.join().unwrap(), sleeper.join().unwrap_err()));
        stop.store(false, Ordering::Relaxed);
    }
}

fn state_at(line: u32) -> Option<FiberState> {
    let dump = abaca::dump();
    let is = |fiber: &&FiberDump| {
        fiber.spawn_site().is_some_and(|site| site.file().ends_with("dumps.rs") && site.line() == line)
    };
    dump.fibers().iter().find(is).map(FiberDump::state)
}

#[test]
fn a_dump_in_a_destructor_of_a_cancelled_fiber_works() {
    struct DumpOnDrop(Arc<AtomicUsize>);
    impl Drop for DumpOnDrop {
        fn drop(&mut self) {
            self.0.store(abaca::dump().fibers().len(), Ordering::Relaxed);
        }
    }
    with_runtime(1, || {
        let seen = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&seen);
        let fiber = park_in("cancelled", move || {
            let _dump = DumpOnDrop(theirs);
            abaca::park();
        });
        fiber.cancel();
        drop(fiber.join());
        assert!(seen.load(Ordering::Relaxed) >= 2);
    });
}
