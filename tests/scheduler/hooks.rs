//! The hooks around fibers and their parks.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use abaca::coroutine::Coroutine;
use abaca::{Builder, Runtime};

thread_local! {
    /// A library's state per thread, which should be kept per fiber.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[inline(never)]
fn depth() -> u32 {
    DEPTH.get()
}

#[inline(never)]
fn set_depth(depth: u32) {
    DEPTH.set(depth);
}

/// A runtime that keeps the thread-local per fiber, and the count of how often it was saved and restored.
fn keeping(workers: usize) -> (Runtime, Arc<AtomicUsize>) {
    let parks = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&parks);
    let runtime = Runtime::builder()
        .workers(workers)
        .around_fiber(|run| {
            set_depth(0);
            run();
        })
        .around_park(move |park| {
            let saved = depth();
            park();
            set_depth(saved);
            theirs.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    (runtime, parks)
}

/// Blocks in several ways inside of a call that counts its depth.
fn nest(levels: u32) {
    let before = depth();
    set_depth(before + 1);
    match levels % 3 {
        0 => abaca::yield_now(),
        1 => abaca::sleep(Duration::from_micros(10)),
        _ => abaca::spawn(|| assert_eq!(depth(), 0)).join().unwrap(),
    }
    assert_eq!(depth(), before + 1);
    if levels > 0 {
        nest(levels - 1);
    }
    assert_eq!(depth(), before + 1);
    set_depth(before);
}

#[test]
fn thread_state_is_kept_per_fiber() {
    for workers in [1, 4] {
        let (runtime, parks) = keeping(workers);
        runtime.run(|| {
            let all: Vec<_> = (0..100).map(|n| abaca::spawn(move || nest(n % 10))).collect();
            all.into_iter().for_each(|fiber| fiber.join().unwrap());
        });
        assert!(parks.load(SeqCst) >= 100);
    }
}

/// It does not matter whether a fiber blocks, or yields because its budget is used up.
#[test]
fn thread_state_is_kept_when_the_budget_makes_a_fiber_yield() {
    let (runtime, parks) = keeping(1);
    runtime.run(|| {
        let busy = |mine: u32| {
            abaca::spawn_local(move || {
                let lock = abaca::sync::Mutex::new(());
                let begin = Instant::now();
                set_depth(mine);
                while begin.elapsed() < Duration::from_millis(20) {
                    drop(lock.lock().unwrap());
                    assert_eq!(depth(), mine);
                }
                set_depth(0);
            })
        };
        let all: Vec<_> = (1..4).map(busy).collect();
        // So many spawns use up the budget.
        set_depth(9);
        let spawned: Vec<_> = (0..10_000).map(|_| abaca::spawn(|| assert_eq!(depth(), 0))).collect();
        assert_eq!(depth(), 9);
        // Up to here no fiber has blocked.
        assert!(parks.load(SeqCst) > 0);
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
        spawned.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
#[expect(
    unsafe_code,
    reason = "spawn_roaming_unchecked is unsafe: these fibers read the thread-local in functions of their own"
)]
fn thread_state_is_kept_for_roaming_fibers() {
    let (runtime, _) = keeping(4);
    runtime.run(|| {
        // SAFETY: the fiber keeps nothing that is bound to a thread across a blocking call.
        let roaming =
            |n: u32| unsafe { Builder::new().spawn_roaming_unchecked(move || nest(n % 10)) }.unwrap();
        let all: Vec<_> = (0..100).map(roaming).collect();
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

/// A panic's payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor of a hook's payload");
    }
}

#[test]
fn each_fiber_is_run_once_whatever_the_hooks_do() {
    let ran = Arc::new(AtomicUsize::new(0));
    let hook = |inside: &mut dyn FnMut(), call: usize| match call % 4 {
        0 => {}
        1 => std::panic::panic_any(Bomb),
        2 => {
            inside();
            std::panic::panic_any(Bomb)
        }
        _ => {
            inside();
            inside();
        }
    };
    let (fibers, parks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let runtime = Runtime::builder()
        .workers(2)
        .around_fiber(move |run| hook(run, fibers.fetch_add(1, SeqCst)))
        .around_park(move |park| hook(park, parks.fetch_add(1, SeqCst)))
        .build()
        .unwrap();
    runtime.run(|| {
        let count = |_| {
            let ran = Arc::clone(&ran);
            abaca::spawn(move || {
                abaca::yield_now();
                ran.fetch_add(1, SeqCst);
            })
        };
        let all: Vec<_> = (0..100).map(count).collect();
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    assert_eq!(ran.load(SeqCst), 100);
}

#[test]
fn a_hook_has_no_fiber_and_blocks_its_thread() {
    let lock = Arc::new(abaca::sync::Mutex::new(0));
    let theirs = Arc::clone(&lock);
    let runtime = Runtime::builder()
        .workers(1)
        .around_park(move |park| {
            abaca::yield_now();
            park();
            abaca::sleep(Duration::from_micros(10));
            *theirs.lock().unwrap() += 1;
        })
        .build()
        .unwrap();
    runtime.run(|| {
        let other = abaca::spawn(|| (0..10).for_each(|_| abaca::yield_now()));
        (0..10).for_each(|_| abaca::yield_now());
        other.join().unwrap();
    });
    drop(runtime);
    assert!(*lock.lock().unwrap() >= 20);
}

fn deep(depth: usize) -> usize {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        let frame = std::hint::black_box([depth as u8; 256]);
        if depth == 0 { 0 } else { deep(depth - 1) + usize::from(frame[3] == depth as u8) }
    })
}

/// As in the documentation of `around_park`.
#[test]
fn stackers_limit_belongs_to_the_fiber() {
    let runtime = Runtime::builder()
        .workers(1)
        .around_fiber(|run| stacker::grow(256 * 1024, run))
        .around_park(|park| {
            let mut kept = Coroutine::new(|kept, ()| stacker::grow(4096, || kept.suspend(())));
            kept.resume(());
            park();
            kept.resume(());
        })
        .build()
        .unwrap();
    runtime.run(|| {
        // The neighbours park inside of calls for which stacker has stored other limits.
        let neighbours: Vec<_> = (0..20)
            .map(|_| {
                abaca::spawn_local(|| {
                    stacker::grow(1 << 20, || {
                        let limit = || stacker::remaining_stack().unwrap() / 4096;
                        let before = limit();
                        (0..3).for_each(|_| abaca::yield_now());
                        assert_eq!(limit(), before);
                        deep(2_000)
                    })
                })
            })
            .collect();
        abaca::yield_now();
        assert_eq!(abaca::spawn_local(|| deep(20_000)).join().unwrap(), 20_000);
        neighbours.into_iter().for_each(|fiber| assert_eq!(fiber.join().unwrap(), 2_000));
        assert_eq!(deep(20_000), 20_000);
    });
}
