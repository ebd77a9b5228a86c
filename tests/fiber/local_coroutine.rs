//! A coroutine may leave its fiber in the middle of a use of something that belongs to the fiber. The borrowed value stays
//! alive. (A coroutine of a fiber with thread-local storage of its own ends with that fiber: `tests/own_tls/storage.rs`.)

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::coroutine::{Coroutine, Yielder};
use abaca_tests::with_shared_storage;

/// A value whose memory shows whether it has been dropped.
struct Value(Vec<u64>);

impl Value {
    fn new() -> Self {
        Self(vec![42; 64])
    }

    fn check(&self) {
        // Memory that was given back is likely in use again.
        let churn: Vec<Vec<u64>> = (0..64).map(|n| vec![n; 64]).collect();
        assert!(self.0.iter().all(|n| *n == 42));
        drop(churn);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|n| *n = 0xdead);
    }
}

/// A value that counts its drops. Only one test uses it.
struct Counted(Value);

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
    }
}

/// Checks its value when it is dropped.
struct Look<'a>(&'a Value);

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.0.check();
    }
}

type Suspended = Coroutine<(), (), ()>;

/// A coroutine that is suspended inside of `body`.
fn suspended(body: impl FnOnce(&Yielder<(), ()>) + 'static) -> Suspended {
    let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| body(yielder));
    coroutine.resume(());
    assert!(!coroutine.is_done());
    coroutine
}

fn use_it(value: &Value, yielder: &Yielder<(), ()>) {
    let look = Look(value);
    value.check();
    yielder.suspend(());
    value.check();
    drop(look);
}

/// A coroutine that `make` has made in a fiber of its own, which has ended.
fn left_behind(make: impl FnOnce() -> Suspended + 'static) -> Suspended {
    abaca::spawn_local(make).join().unwrap()
}

abaca::fiber_local! {
    static OLDER: RefCell<Option<Suspended>> = const { RefCell::new(None) };
    static KEY: Value = Value::new();
    static COUNTED: Counted = Counted(Value::new());
    static HELD: RefCell<Value> = RefCell::new(Value::new());
    static SHARED: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_value_in_use_outlives_its_fiber_until_the_coroutine_ends() {
    with_shared_storage().workers(1).build().unwrap().run(|| {
        for ending in 0..3 {
            let dropped = DROPPED.load(SeqCst);
            let using = |yielder: &Yielder<(), ()>| COUNTED.with(|counted| use_it(&counted.0, yielder));
            let mut coroutine = left_behind(move || suspended(using));
            assert_eq!(DROPPED.load(SeqCst), dropped, "it is in use");
            match ending {
                0 => _ = coroutine.resume(()),
                1 => drop(coroutine),
                _ => abaca::spawn_local(move || _ = coroutine.resume(())).join().unwrap(),
            }
            assert_eq!(DROPPED.load(SeqCst), dropped + 1);
        }
        let coroutine =
            left_behind(|| suspended(|yielder| HELD.with_borrow_mut(|value| use_it(value, yielder))));
        drop(coroutine);
    });
}

#[abaca::test(workers = 1)]
fn a_coroutine_in_an_older_value_unwinds_before_the_newer_one_is_dropped() {
    abaca::spawn_local(|| {
        OLDER.with(|_| ());
        OLDER.set(Some(suspended(|yielder| KEY.with(|value| use_it(value, yielder)))));
    })
    .join()
    .unwrap();
}

thread_local! {
    /// The coroutine that the initialiser below has made, and whether the initialiser is running.
    static STORE: RefCell<Option<Suspended>> = const { RefCell::new(None) };
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

abaca::fiber_local!(static RECURSIVE: Value = {
    if !IS_RUNNING.replace(true) {
        // The coroutine uses the key itself, and keeps that value in use. The value that is made here replaces it.
        let coroutine = suspended(|yielder| RECURSIVE.with(|value| use_it(value, yielder)));
        STORE.set(Some(coroutine));
    }
    Value::new()
});

#[abaca::test(workers = 1)]
fn a_value_that_is_replaced_while_it_is_in_use_stays() {
    RECURSIVE.with(Value::check);
    let mut coroutine = STORE.take().unwrap();
    coroutine.resume(());
    assert!(coroutine.is_done());
    RECURSIVE.with(Value::check);
}

#[test]
fn a_coroutine_uses_the_local_values_of_its_resumer() {
    with_shared_storage().workers(1).build().unwrap().run(|| {
        SHARED.set(1);
        let mut coroutine = left_behind(|| {
            SHARED.set(2);
            suspended(|yielder| {
                assert_eq!(SHARED.get(), 2);
                yielder.suspend(());
                assert_eq!(SHARED.replace(3), 1);
            })
        });
        coroutine.resume(());
        assert_eq!(SHARED.get(), 3);
    });
}

#[test]
fn a_plain_threads_value_stays_for_a_coroutine_in_an_older_thread_local() {
    thread_local!(static OLD: RefCell<Option<Suspended>> = const { RefCell::new(None) });
    let thread = std::thread::spawn(|| {
        OLD.with(|_| ());
        OLD.set(Some(suspended(|yielder| KEY.with(|value| use_it(value, yielder)))));
    });
    thread.join().unwrap();
}

/// Each call in which a fiber may be suspended, by number.
fn in_the_middle(n: usize, yielder: &Yielder<(), ()>) {
    let suspend = || yielder.suspend(());
    match n {
        0 => abaca::time::timeout(Duration::from_secs(3600), suspend).unwrap(),
        1 => abaca::cancel::CancellationToken::new().run_until_cancelled(suspend).unwrap(),
        2 => abaca::cancel::shield(suspend),
        3 => abaca::scope(|scope| {
            let fiber = scope.spawn(abaca::yield_now);
            suspend();
            fiber.join().unwrap();
        }),
        4 => abaca::try_scope(|scope| {
            scope.spawn(|| {
                abaca::yield_now();
                Ok::<(), ()>(())
            });
            suspend();
            Ok(())
        })
        .unwrap(),
        5 => abaca::future::block_on(async { suspend() }),
        6 => {
            let once = abaca::sync::OnceLock::new();
            once.get_or_init(suspend);
        }
        7 => {
            let lock = abaca::sync::RwLock::new(0);
            let guard = lock.write().unwrap();
            suspend();
            drop(guard);
        }
        8 => {
            let lock = abaca::io::stderr().lock();
            suspend();
            drop(lock);
        }
        9 => {
            let mut set = abaca::JoinSet::new();
            set.spawn(abaca::park);
            suspend();
            drop(set);
        }
        10 => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                abaca::time::timeout(Duration::from_secs(3600), || {
                    abaca::cancel::shield(|| abaca::scope(|_| suspend()));
                })
            }));
        }
        _ => {
            let _ = abaca::current();
            suspend();
            abaca::current().unpark();
            abaca::park();
        }
    }
}

#[test]
fn a_coroutine_can_leave_its_fiber_in_any_call_and_end_elsewhere() {
    with_shared_storage().workers(2).build().unwrap().run(|| {
        let ends = Arc::new(AtomicUsize::new(0));
        for n in 0..12 {
            for ending in 0..5 {
                let ended = Arc::clone(&ends);
                let mut coroutine = left_behind(move || {
                    suspended(move |yielder| {
                        struct Count(Arc<AtomicUsize>);
                        impl Drop for Count {
                            fn drop(&mut self) {
                                self.0.fetch_add(1, SeqCst);
                            }
                        }
                        let _count = Count(ended);
                        in_the_middle(n, yielder);
                    })
                });
                // Other fibers use the memory that the fiber had.
                (0..8).for_each(|_| drop(abaca::spawn_local(abaca::yield_now)));
                abaca::yield_now();
                match ending {
                    0 => _ = coroutine.resume(()),
                    1 => drop(coroutine),
                    2 => abaca::spawn_local(move || _ = coroutine.resume(())).join().unwrap(),
                    3 => abaca::spawn_local(move || drop(coroutine)).join().unwrap(),
                    _ => {
                        let inside = abaca::time::timeout(Duration::from_secs(3600), move || {
                            coroutine.resume(());
                            abaca::yield_now();
                        });
                        inside.unwrap();
                    }
                }
                abaca::yield_now();
            }
        }
        assert_eq!(ends.load(SeqCst), 12 * 5);
    });
}

#[abaca::test(workers = 1)]
fn cancel_scopes_left_in_any_order_no_longer_affect_their_fiber() {
    // Each coroutine is suspended inside of a shield. They end in another order than they began.
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let mut coroutines =
            [(); 3].map(|()| Some(suspended(|yielder| abaca::cancel::shield(|| yielder.suspend(())))));
        for n in order {
            coroutines[n].take().unwrap().resume(());
        }
        let late = abaca::time::timeout(Duration::ZERO, abaca::park);
        assert!(late.is_err());
    }
}

#[test]
fn coroutines_in_the_locals_of_workers_and_threads_do_not_unwind_when_those_end() {
    struct Count<'a>(&'a Value);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            UNWOUND.fetch_add(1, SeqCst);
            self.0.check();
        }
    }
    static UNWOUND: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static KEPT: RefCell<Vec<Suspended>> = const { RefCell::new(Vec::new()) };
        static USED: Value = Value::new();
    }
    abaca::fiber_local!(static LOCAL: RefCell<Vec<Suspended>> = const { RefCell::new(Vec::new()) });
    let keep = |place: fn(Suspended)| {
        place(suspended(|yielder| {
            USED.with(|value| {
                let _count = Count(value);
                yielder.suspend(());
            });
        }));
    };
    // The thread's first coroutine comes before the thread-local that is destroyed last.
    drop(suspended(|yielder| yielder.suspend(())));
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(move || {
        drop(suspended(|yielder| yielder.suspend(())));
        KEPT.with(|_| ());
        keep(|coroutine| KEPT.with_borrow_mut(|kept| kept.push(coroutine)));
    });
    drop(runtime);
    let plain = std::thread::spawn(move || {
        LOCAL.with(|_| ());
        keep(|coroutine| LOCAL.with_borrow_mut(|kept| kept.push(coroutine)));
    });
    plain.join().unwrap();
    assert_eq!(UNWOUND.load(SeqCst), 0);
    // In a fiber-local the coroutine unwinds as usual: the worker's thread-locals are alive.
    abaca::run(move || {
        let fiber = abaca::spawn(move || {
            LOCAL.with(|_| ());
            keep(|coroutine| LOCAL.with_borrow_mut(|kept| kept.push(coroutine)));
        });
        fiber.join().unwrap();
        assert_eq!(UNWOUND.load(SeqCst), 1);
    });
}
