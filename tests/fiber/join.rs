//! Spawning and joining: results, panics, detaching, and that everything is dropped exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::{Builder, SpawnError};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<AtomicUsize>, Counted) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&drops), Counted(drops))
}

/// Lets the other fibers run until `done`.
pub(crate) fn yield_until(done: impl Fn() -> bool) {
    while !done() {
        abaca::yield_now();
    }
}

#[abaca::test]
fn join_returns_the_result() {
    assert_eq!(abaca::spawn(|| String::from("result")).join().unwrap(), "result");
}

#[abaca::test]
fn join_returns_the_payload_of_a_panic() {
    let payload = abaca::spawn(|| std::panic::panic_any(7_u8)).join().unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    let payload = abaca::spawn(|| panic!("with a message")).join().unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"with a message"));
}

#[abaca::test]
fn a_panicking_fiber_leaves_its_neighbours_alone() {
    let neighbours: Vec<_> = (0..10)
        .map(|n| {
            abaca::spawn(move || {
                abaca::yield_now();
                n
            })
        })
        .collect();
    let panicking = abaca::spawn(|| panic!("on purpose"));
    assert!(panicking.join().is_err());
    let sum: i32 = neighbours.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 45);
}

#[abaca::test]
fn is_finished_turns_true_at_the_end() {
    let handle = abaca::spawn(|| {
        abaca::park();
    });
    assert!(!handle.is_finished());
    handle.fiber().unpark();
    yield_until(|| handle.is_finished());
    handle.join().unwrap();
}

#[abaca::test]
fn a_joined_result_is_dropped_once_by_its_taker() {
    let (drops, value) = counter();
    let value = abaca::spawn(move || value).join().unwrap();
    assert_eq!(drops.load(SeqCst), 0);
    drop(value);
    assert_eq!(drops.load(SeqCst), 1);
}

#[abaca::test]
fn the_result_of_a_detached_fiber_is_dropped_once() {
    // Detached before it ends.
    let (drops, value) = counter();
    drop(abaca::spawn(move || value));
    yield_until(|| drops.load(SeqCst) == 1);
    // Detached after it has ended.
    let (drops, value) = counter();
    let handle = abaca::spawn(move || value);
    yield_until(|| handle.is_finished());
    assert_eq!(drops.load(SeqCst), 0);
    drop(handle);
    assert_eq!(drops.load(SeqCst), 1);
}

#[abaca::test]
fn detaching_races_with_the_end_and_drops_once() {
    for _ in 0..2_000 {
        let (drops, value) = counter();
        let handle = abaca::spawn(move || value);
        abaca::yield_now();
        drop(handle);
        yield_until(|| drops.load(SeqCst) == 1);
    }
}

#[abaca::test]
fn what_a_panicking_fiber_owns_is_dropped_once() {
    let (drops, value) = counter();
    let result = abaca::spawn(move || {
        let _value = value;
        panic!("on purpose");
    });
    assert!(result.join().is_err());
    assert_eq!(drops.load(SeqCst), 1);
}

#[abaca::test]
fn a_panic_in_the_destructor_of_an_unwanted_result_stays_there() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            panic!("in a destructor");
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let bomb = Bomb(Arc::clone(&drops));
    drop(abaca::spawn(move || bomb));
    yield_until(|| drops.load(SeqCst) == 1);
    assert_eq!(abaca::spawn(|| 1).join().unwrap(), 1);
}

#[abaca::test]
fn a_destructor_of_an_unwanted_result_may_block() {
    struct Sleeper(Arc<AtomicUsize>);
    impl Drop for Sleeper {
        fn drop(&mut self) {
            abaca::sleep(std::time::Duration::from_millis(1));
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let sleeper = Sleeper(Arc::clone(&drops));
        drop(abaca::spawn(move || sleeper));
    }
    yield_until(|| drops.load(SeqCst) == 10);
}

#[abaca::test]
fn local_fibers_share_what_is_not_send() {
    let shared = Rc::new(std::cell::Cell::new(0));
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let shared = Rc::clone(&shared);
            abaca::spawn_local(move || {
                let before = shared.get();
                shared.set(before + 1);
                abaca::yield_now();
                Rc::strong_count(&shared)
            })
        })
        .collect();
    for handle in handles {
        assert!(handle.join().unwrap() >= 1);
    }
    assert_eq!(shared.get(), 100);
}

#[abaca::test]
fn many_results_are_joined_in_any_order() {
    let mut handles: Vec<_> = (0..10_000_u64).map(|n| (n, abaca::spawn(move || n * n))).collect();
    handles.reverse();
    handles.rotate_left(3_333);
    for (n, handle) in handles {
        assert_eq!(handle.join().unwrap(), n * n);
    }
}

#[abaca::test]
fn a_fiber_is_joined_from_a_plain_thread_and_the_other_way_round() {
    let handle = abaca::spawn(|| 5);
    let from_thread = std::thread::spawn(move || handle.join().unwrap());
    yield_until(|| from_thread.is_finished());
    assert_eq!(from_thread.join().unwrap(), 5);
}

#[test]
fn spawning_outside_of_a_runtime_says_what_to_do() {
    assert_eq!(Builder::new().spawn(|| ()).unwrap_err(), SpawnError::NoRuntime);
    let panic = catch_unwind(AssertUnwindSafe(|| abaca::spawn(|| ()))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("abaca::run"));
}

#[test]
fn the_limit_of_fibers_is_an_error_and_recovers() {
    let runtime = abaca::Runtime::builder().max_fibers(3).build().unwrap();
    runtime.run(|| {
        let first = abaca::spawn(abaca::park);
        let second = abaca::spawn(abaca::park);
        let error = Builder::new().spawn(|| ()).unwrap_err();
        assert_eq!(error, SpawnError::LimitReached { max_fibers: 3 });
        assert!(error.to_string().contains("max_fibers"));
        first.fiber().unpark();
        first.join().unwrap();
        yield_until(|| Builder::new().spawn(|| ()).is_ok());
        second.fiber().unpark();
        second.join().unwrap();
    });
}

#[abaca::test]
fn the_builder_gives_names_and_stacks() {
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([1_u8; 1024]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(frame[levels % 1024]) }
    }
    let handle = Builder::new().name("deep".into()).stack_size(8 << 20).spawn(|| {
        assert_eq!(abaca::current().name(), Some("deep"));
        deep(1_000)
    });
    let handle = handle.unwrap();
    assert_eq!(handle.fiber().name(), Some("deep"));
    assert_eq!(handle.thread().id(), handle.fiber().id());
    assert_eq!(handle.join().unwrap(), 1_000);
    assert_eq!(Builder::new().stack_size(usize::MAX).spawn(|| ()).unwrap_err(), SpawnError::StackTooLarge);
}

#[abaca::test]
fn a_name_with_a_nul_panics_as_in_std() {
    let message = |payload: Box<dyn std::any::Any + Send>| {
        payload.downcast_ref::<String>().map_or_else(
            || payload.downcast_ref::<&str>().map(|text| (*text).to_owned()).unwrap_or_default(),
            String::clone,
        )
    };
    let builder = || abaca::Builder::new().name("with\0nul".into());
    let spawns: [fn(abaca::Builder); 3] = [
        |builder| drop(builder.spawn(|| ())),
        |builder| drop(builder.spawn_local(|| ())),
        |builder| abaca::scope(|scope| drop(builder.spawn_scoped(scope, || ()))),
    ];
    for spawn in spawns {
        let payload = std::panic::catch_unwind(|| spawn(builder())).unwrap_err();
        assert!(message(payload).starts_with("thread name may not contain interior null bytes"));
    }
    assert_eq!(
        abaca::Runtime::builder().name("a\0b").build().unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
    assert_eq!(abaca::spawn(|| 1).join().unwrap(), 1, "nothing is left behind");
}
