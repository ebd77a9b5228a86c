//! Runtimes that are used, dropped and shut down inside of fibers, of another runtime and of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abaca::runtime::Poller;
use abaca::{Cancelled, Runtime};
use abaca_tests::{on_one_worker, with_workers_on_their_threads};

fn inner(name: &str) -> Runtime {
    Runtime::builder().workers(1).name(name).build().unwrap()
}

/// The number of threads of this process whose names begin with `name`.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

/// Waits until no thread has such a name. A thread that was joined may be in the kernel's list for a little longer.
fn await_end_of(name: &str) {
    while threads(name) > 0 {
        abaca::sleep(Duration::from_millis(1));
    }
}

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a message")
}

#[test]
fn run_in_a_fiber_panics_before_anything_is_built() {
    on_one_worker(|| {
        let said = message(|| abaca::run(|| unreachable!()));
        assert!(said.starts_with("abaca::run starts a runtime"), "{said}");
        let runtime = inner("ran-in");
        let said = message(|| runtime.run(|| unreachable!()));
        assert!(said.starts_with("Runtime::run blocks its thread"), "{said}");
        assert_eq!(runtime.spawn(|| 7).join().unwrap(), 7);
    });
    await_end_of("ran-in");
}

#[test]
fn a_runtime_dropped_in_a_fiber_of_another_has_ended_when_the_drop_returns() {
    for poller in [Poller::Workers, Poller::Thread] {
        on_one_worker(|| {
            let stopped = Arc::new(AtomicUsize::new(0));
            let stops = Arc::clone(&stopped);
            let builder = with_workers_on_their_threads().workers(2).poller(poller).name("dropped");
            let runtime = builder.on_thread_stop(move || _ = stops.fetch_add(1, SeqCst)).build().unwrap();
            let parked = runtime.spawn(abaca::park);
            // The runtime cannot end before this worker has run a neighbour: a blocked worker is a deadlock.
            let (asked, asks) = abaca::channel::bounded::<()>(0);
            struct Asks(abaca::channel::Sender<()>);
            impl Drop for Asks {
                fn drop(&mut self) {
                    self.0.send(()).unwrap();
                }
            }
            let begun = abaca::channel::bounded(1);
            runtime.spawn(move || {
                let _asks = Asks(asked);
                begun.0.send(()).unwrap();
                abaca::park();
            });
            begun.1.recv().unwrap();
            let neighbour = abaca::spawn_local(move || asks.recv().unwrap());
            drop(runtime);
            neighbour.join().unwrap();
            assert!(parked.join().unwrap_err().is::<Cancelled>());
            assert_eq!(stopped.load(SeqCst), 2);
            await_end_of("dropped");
        });
    }
}

#[test]
fn a_runtime_is_dropped_by_a_panic_and_by_a_cancellation() {
    on_one_worker(|| {
        let panicked = catch_unwind(|| {
            let runtime = inner("unwound");
            assert_eq!(runtime.spawn(|| 7).join().unwrap(), 7);
            panic!("on purpose");
        });
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
        let late = abaca::time::timeout(Duration::from_millis(1), || {
            let _runtime = inner("unwound");
            abaca::park();
        });
        assert!(late.is_err());
        await_end_of("unwound");
    });
}

#[test]
fn a_cancelled_fiber_does_not_wait_for_the_runtime_that_it_dropped() {
    on_one_worker(|| {
        let runtime = inner("left");
        let (release, released) = abaca::channel::bounded::<()>(0);
        let (begun, has_begun) = abaca::channel::bounded(1);
        runtime.spawn(move || {
            abaca::cancel::shield(|| {
                begun.send(()).unwrap();
                released.recv().unwrap();
            });
        });
        has_begun.recv().unwrap();
        let late = abaca::time::timeout(Duration::from_millis(1), || {
            drop(runtime);
            abaca::yield_now();
        });
        assert!(late.is_err(), "the cancellation takes effect after the drop");
        assert_eq!(threads("left-worker"), 1);
        release.send(()).unwrap();
        await_end_of("left");
    });
}

#[test]
fn a_shutdown_in_a_fiber_reports_the_fibers_that_are_left() {
    // The runtime's threads still use what they share.
    abaca_tests::leaks::expect_runtime(1);
    on_one_worker(|| {
        let runtime = inner("stuck");
        let (release, released) = abaca::channel::bounded::<()>(0);
        let (begun, has_begun) = abaca::channel::bounded(1);
        runtime.spawn(move || {
            abaca::cancel::shield(|| {
                begun.send(()).unwrap();
                released.recv().unwrap();
            });
        });
        has_begun.recv().unwrap();
        let error = runtime.shutdown(Duration::from_millis(1)).unwrap_err();
        assert_eq!((error.busy_workers, error.fibers), (1, 1));
        release.send(()).unwrap();
        inner("easy").shutdown(Duration::from_secs(100)).unwrap();
    });
}

/// Lets a fiber of a new runtime own that runtime, and calls `end` there with the last reference to it.
fn owned_by_its_fiber(name: &str, end: impl FnOnce(Arc<Runtime>) + Send + 'static) {
    let runtime = Arc::new(inner(name));
    let drops = Arc::new(AtomicUsize::new(0));
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let counted = Counted(Arc::clone(&drops));
    let begun = abaca::channel::bounded(1);
    runtime.spawn(move || {
        let _counted = counted;
        begun.0.send(()).unwrap();
        abaca::park();
    });
    begun.1.recv().unwrap();
    let place = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&place);
    let owner = runtime.spawn(move || {
        let runtime: Arc<Runtime> = loop {
            match theirs.lock().unwrap().take() {
                Some(runtime) => break runtime,
                None => std::thread::yield_now(),
            }
        };
        while Arc::strong_count(&runtime) > 1 {
            std::thread::yield_now();
        }
        // Dropping the runtime does not wait for this fiber, which is cancelled like the others.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            end(runtime);
            abaca::park();
        }));
        assert!(ended.unwrap_err().is::<Cancelled>());
    });
    *place.lock().unwrap() = Some(Arc::clone(&runtime));
    drop(runtime);
    owner.join().unwrap();
    await_end_of(name);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_runtime_dropped_in_its_own_fiber_ends() {
    owned_by_its_fiber("own-drop", drop);
}

#[test]
fn a_runtime_dropped_by_a_panic_in_its_own_fiber_ends() {
    owned_by_its_fiber("own-panic", |runtime| {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _runtime = runtime;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
    });
}

#[test]
fn a_runtime_dropped_on_its_own_pool_thread_ends() {
    owned_by_its_fiber("own-pool", |runtime| abaca::blocking::run(move || drop(runtime)));
}

#[test]
fn a_shutdown_in_its_own_fiber_panics_and_ends_it() {
    owned_by_its_fiber("own-shut", |runtime| {
        let runtime = Arc::into_inner(runtime).unwrap();
        let said = message(|| runtime.shutdown(Duration::ZERO).unwrap());
        assert!(said.contains("cannot be shut down from one of its fibers"), "{said}");
    });
}

#[test]
fn a_runtime_dropped_with_a_fiber_local_a_closure_or_a_thread_local_ends() {
    abaca::fiber_local! {
        static FIBERS: std::cell::RefCell<Option<Runtime>> = const { std::cell::RefCell::new(None) };
    }
    thread_local! {
        static THREADS: std::cell::RefCell<Option<Runtime>> = const { std::cell::RefCell::new(None) };
    }
    on_one_worker(|| {
        abaca::spawn(|| FIBERS.with(|place| *place.borrow_mut() = Some(inner("kept")))).join().unwrap();
        let runtime = inner("kept");
        let unstarted = abaca::spawn(move || drop(runtime));
        unstarted.cancel();
        let _ = unstarted.join();
        await_end_of("kept");
        THREADS.with(|place| *place.borrow_mut() = Some(inner("kept")));
    });
    // The worker with the thread-local has ended.
    await_end_of("kept");
}
