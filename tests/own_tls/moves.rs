//! Fibers that go on on another OS thread after each park, with all that safe Rust may hold over it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use abaca::{Builder, JoinHandle};
use arc_swap::ArcSwap;
use parking_lot::ReentrantMutex;
use rand::Rng;

use crate::runtime;

const FIBERS: usize = 10_000;
const MOVES: usize = 20;

/// One fiber in so many also holds what makes others' code walk all threads that hold it, again and again: the square of their number.
const FIBERS_PER_WALKER: usize = if cfg!(debug_assertions) { 8 } else { 1 };

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static SHARED: Rc<Cell<usize>> = Rc::new(Cell::new(0));
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Counts when a thread's, or a fiber's, thread-local is destroyed.
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn roaming<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn_roaming(f).expect("the runtime has own storage")
}

fn kernel_thread() -> i64 {
    #[expect(unsafe_code, reason = "a system call without preconditions")]
    // SAFETY: as the reason says.
    unsafe {
        libc::syscall(libc::SYS_gettid)
    }
}

/// Yields until the calling fiber, which roams beside others, is on another kernel thread.
pub(crate) fn reach_another_thread() {
    let before = kernel_thread();
    while kernel_thread() == before {
        abaca::yield_now();
    }
}

/// One fiber's life: holds everything over its moves, and checks it after each.
fn hold_everything(number: usize, shared: &Shared) {
    let thread = thread::current();
    assert!(shared.ids.lock().unwrap().insert(thread.id()), "a thread's id is given once");
    NUMBER.set(number);
    let address = NUMBER.with(|number| std::ptr::from_ref(number).addr());
    let rc = SHARED.with(Rc::clone);
    rc.set(number);
    let mut random = rand::rng();
    let walked =
        number.is_multiple_of(FIBERS_PER_WALKER).then(|| (crossbeam_epoch::pin(), shared.swap.load()));
    let allocated = vec![number; 100];
    // Who waits for it keeps a thread, and there would be a spare for each.
    let reentrant = match number {
        _ if number.is_multiple_of(1_024) => Some(shared.reentrant.lock()),
        _ if number.is_multiple_of(64) => shared.reentrant.try_lock(),
        _ => None,
    };
    TEXT.with_borrow_mut(|text| {
        for _ in 0..MOVES {
            text.push('a');
            reach_another_thread();
            assert_eq!(NUMBER.get(), number);
            assert_eq!(NUMBER.with(|number| std::ptr::from_ref(number).addr()), address);
            assert_eq!((rc.get(), Rc::strong_count(&rc)), (number, 2));
            assert_eq!(thread::current().id(), thread.id());
            assert!(!thread::panicking());
            let _: u64 = random.random();
            if let Some(held) = &reentrant {
                // The owner enters again, on whatever OS thread it is.
                let again = shared.reentrant.try_lock().expect("the owner");
                again.set(again.get() + 1);
                assert!(held.get() > 0);
            }
        }
        assert_eq!(text.len(), MOVES);
    });
    drop(reentrant);
    assert!(allocated.iter().all(|element| *element == number));
    assert!(walked.as_ref().is_none_or(|(_, loaded)| ***loaded == 7));
    drop(walked);
    thread.unpark();
    thread::park();
}

struct Shared {
    ids: Mutex<std::collections::HashSet<ThreadId>>,
    swap: ArcSwap<u32>,
    reentrant: ReentrantMutex<Cell<u64>>,
}

#[test]
fn a_fiber_keeps_all_that_is_bound_to_its_thread_over_its_moves() {
    let shared = Arc::new(Shared {
        ids: Mutex::default(),
        swap: ArcSwap::from_pointee(7),
        reentrant: ReentrantMutex::new(Cell::new(0)),
    });
    runtime(2).run(|| {
        // So that no fiber is ever alone, as both workers must have something to run.
        let companions = companions();
        let fibers: Vec<_> = (0..FIBERS)
            .map(|number| {
                let shared = Arc::clone(&shared);
                roaming(move || hold_everything(number, &shared))
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        drop(companions);
    });
    assert_eq!(shared.ids.lock().unwrap().len(), FIBERS);
}

/// Fibers that do nothing but yield, until this is dropped.
pub(crate) struct Companions(Arc<AtomicBool>, Vec<JoinHandle<()>>);

pub(crate) fn companions() -> Companions {
    let is_over = Arc::new(AtomicBool::new(false));
    let fibers = (0..3).map(|_| {
        let is_over = Arc::clone(&is_over);
        roaming(move || {
            while !is_over.load(SeqCst) {
                abaca::yield_now();
            }
        })
    });
    let fibers = fibers.collect();
    Companions(is_over, fibers)
}

impl Drop for Companions {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
        self.1.drain(..).for_each(|fiber| fiber.join().unwrap());
    }
}

#[test]
fn thread_locals_are_destroyed_once_wherever_their_fiber_ends() {
    static DESTROYED: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static COUNTED: Counted = const { Counted(&DESTROYED) });
    runtime(2).run(|| {
        let fibers: Vec<_> = (0..1_000)
            .map(|_| {
                roaming(|| {
                    COUNTED.with(|_| ());
                    (0..5).for_each(|_| abaca::yield_now());
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        // A join comes after them, as that of a thread does.
        assert_eq!(DESTROYED.load(SeqCst), 1_000);
    });
}

/// Moves when a panic drops it, and checks that the fiber, and no other, unwinds; so many more panics begin and end in it.
struct MovesWhenDropped(usize);

impl Drop for MovesWhenDropped {
    fn drop(&mut self) {
        assert!(thread::panicking());
        for _ in 0..2 {
            reach_another_thread();
            assert!(thread::panicking());
        }
        if let Some(depth) = self.0.checked_sub(1) {
            let inner = catch_unwind(AssertUnwindSafe(|| {
                let _moves = MovesWhenDropped(depth);
                resume_unwind(Box::new(depth))
            }));
            assert_eq!(inner.unwrap_err().downcast_ref(), Some(&depth));
            reach_another_thread();
            assert!(thread::panicking());
        }
    }
}

#[test]
fn a_fiber_takes_its_panics_along() {
    runtime(2).run(|| {
        let companions = companions();
        let fibers: Vec<_> = (0..500_u32)
            .map(|number| {
                roaming(move || {
                    abaca::yield_now();
                    assert!(!thread::panicking());
                    if number.is_multiple_of(2) {
                        let caught = catch_unwind(AssertUnwindSafe(|| {
                            let _moves = MovesWhenDropped(2);
                            resume_unwind(Box::new(number));
                        }));
                        reach_another_thread();
                        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&number));
                    } else {
                        (0..8).for_each(|_| {
                            abaca::yield_now();
                            assert!(!thread::panicking());
                        });
                    }
                    assert!(!thread::panicking());
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        drop(companions);
    });
}

#[test]
fn locks_of_std_and_lazy_values_are_held_over_moves() {
    static LAZY: LazyLock<u32> = LazyLock::new(|| {
        (0..10).for_each(|_| abaca::yield_now());
        5
    });
    let lock = Arc::new(abaca::sync::Mutex::new(0));
    let once = Arc::new(OnceLock::new());
    runtime(2).run(|| {
        let fibers: Vec<_> = (0..200_u32)
            .map(|number| {
                let (lock, once) = (Arc::clone(&lock), Arc::clone(&once));
                roaming(move || {
                    for _ in 0..5 {
                        let mut value = lock.lock().unwrap();
                        let before = *value;
                        abaca::yield_now();
                        *value = before + 1;
                    }
                    once.get_or_init(|| number);
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(*roaming(|| *LAZY).join().as_ref().unwrap(), 5);
    });
    assert_eq!(*lock.lock().unwrap(), 1_000);
}

#[test]
fn a_fiber_that_moves_takes_its_timer_with_it() {
    runtime(2).run(|| {
        let fibers: Vec<_> = (0..500_u32)
            .map(|number| {
                roaming(move || {
                    let (sender, receiver) = abaca::channel::bounded::<u32>(1);
                    let other = roaming(move || {
                        if !number.is_multiple_of(5) {
                            abaca::yield_now();
                            sender.send(number).unwrap();
                        } else {
                            // The receiver's deadline passes first.
                            abaca::park();
                        }
                    });
                    let patience = Duration::from_millis(if number.is_multiple_of(5) { 1 } else { 100_000 });
                    match receiver.recv_timeout(patience) {
                        Ok(got) => assert_eq!(got, number),
                        Err(_) => {
                            assert!(number.is_multiple_of(5));
                            other.fiber().unpark();
                        }
                    }
                    other.join().unwrap();
                    abaca::sleep(Duration::from_micros(50));
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn a_roaming_fiber_that_is_pinned_stays_on_its_thread() {
    runtime(2).run(|| {
        let fibers: Vec<_> = (0..100)
            .map(|_| {
                roaming(|| {
                    for _ in 0..10 {
                        let pinned = abaca::fiber::pin();
                        let inner = abaca::fiber::pin();
                        let before = kernel_thread();
                        abaca::yield_now();
                        assert_eq!(kernel_thread(), before);
                        drop(pinned);
                        abaca::yield_now();
                        assert_eq!(kernel_thread(), before);
                        drop(inner);
                        abaca::yield_now();
                    }
                    // Forgotten guards end with the fiber.
                    std::mem::forget(abaca::fiber::pin());
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn fibers_that_share_what_is_not_send_stay_together() {
    runtime(2).run(|| {
        roaming(|| {
            let shared = Rc::new(Cell::new(0));
            let beside: Vec<_> = (0..10)
                .map(|_| {
                    let shared = Rc::clone(&shared);
                    abaca::spawn_local(move || {
                        for _ in 0..10 {
                            let before = shared.get();
                            shared.set(before + 1);
                            abaca::yield_now();
                        }
                        kernel_thread()
                    })
                })
                .collect();
            for _ in 0..10 {
                abaca::yield_now();
            }
            let here = kernel_thread();
            beside.into_iter().for_each(|fiber| assert_eq!(fiber.join().unwrap(), here));
            assert_eq!(shared.get(), 100);
        })
        .join()
        .unwrap();
    });
}
