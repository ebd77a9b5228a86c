//! A thousand fibers, each moved to the other of two OS threads at every suspension, with all that safe Rust believes to be bound to
//! a thread: its value, its address, its owner are the fiber's.
#![expect(unsafe_code, reason = "calls libc")]

mod fiber;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use abaca_tls::Carrier;
use fiber::{Fiber, has_blocks, suspend};
use parking_lot::ReentrantMutex;

const FIBERS: usize = if cfg!(target_arch = "x86_64") { 1_000 } else { 50 };
const FIBERS_PER_BLOCK: usize = 2;

static DROPPED: AtomicUsize = AtomicUsize::new(0);
static KEYS_ENDED: AtomicUsize = AtomicUsize::new(0);
static CONTENDED: Mutex<u64> = Mutex::new(0);
static REENTRANT: ReentrantMutex<Cell<u64>> = ReentrantMutex::new(Cell::new(0));
static REFUSED: AtomicUsize = AtomicUsize::new(0);

struct Counts;
impl Drop for Counts {
    fn drop(&mut self) {
        suspend();
        DROPPED.fetch_add(1, Relaxed);
    }
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static COUNTS: Cell<Option<Counts>> = const { Cell::new(None) };
    static LAZY: Rc<Cell<u64>> = Rc::new(Cell::new(1));
    static LOG: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

unsafe extern "C" fn end_of_key(_: *mut c_void) {
    suspend();
    KEYS_ENDED.fetch_add(1, Relaxed);
}

/// What libc keeps of a thread.
fn uses_libc(index: usize) {
    let errno = c_int::try_from(index % 100).expect("small") + 1;
    let mut mutex = MaybeUninit::<libc::pthread_mutex_t>::zeroed();
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::zeroed();
    let (mutex, attributes) = (mutex.as_mut_ptr(), attributes.as_mut_ptr());
    // SAFETY: the mutex is initialised, and destroyed when it is unlocked.
    unsafe {
        let thread = libc::pthread_self();
        libc::pthread_mutexattr_init(attributes);
        libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK);
        libc::pthread_mutex_init(mutex, attributes);
        for round in 0..4 {
            *__errno_location() = errno;
            assert_eq!(libc::pthread_mutex_lock(mutex), 0);
            suspend();
            assert_eq!(*__errno_location(), errno);
            assert_eq!(libc::pthread_self(), thread);
            assert_eq!(libc::pthread_mutex_lock(mutex), libc::EDEADLK, "the fiber owns it");
            assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
            assert!(libc::sched_getcpu() >= 0 && libc::isalpha(c_int::from(b'x')) != 0);
            let memory = libc::malloc(16 + (index * 37 + round * 101) % 3_000);
            suspend();
            libc::free(memory);
        }
        assert_eq!(libc::pthread_mutex_destroy(mutex), 0);
    }
}

/// Its destructor, which runs in a panic, suspends the fiber and catches another panic.
struct SuspendsInPanic;
impl Drop for SuspendsInPanic {
    fn drop(&mut self) {
        for _ in 0..3 {
            assert!(std::thread::panicking());
            suspend();
        }
        let other = catch_unwind(|| {
            suspend();
            resume_unwind(Box::new(1_u8));
        });
        assert!(other.is_err());
        suspend();
        assert!(std::thread::panicking());
    }
}

fn uses_std(index: usize) {
    assert_eq!(NUMBER.replace(index), usize::MAX);
    let address = NUMBER.with(Cell::as_ptr);
    COUNTS.set(Some(Counts));
    let lazy = LAZY.with(Rc::clone);
    let (thread, id) = (std::thread::current(), std::thread::current().id());
    let own = ReentrantMutex::new(());
    let _own_guard = own.lock();
    let standard = Mutex::new(0);
    let mut standard_guard = standard.lock().expect("no panic");
    for round in 0..4 {
        *standard_guard += 1;
        drop(own.try_lock().expect("the fiber owns it"));
        LOG.with(|log| {
            let mut log = log.borrow_mut();
            log.push(round);
            suspend();
            assert_eq!(log.len(), round + 1);
        });
        let vectors: Vec<_> = (0..8).map(|size| vec![index; (index * 131 + size * 977) % 1_000]).collect();
        suspend();
        assert!(vectors.iter().flatten().all(|value| *value == index));
        lazy.set(lazy.get() + 1);
        let again = Rc::clone(&lazy);
        suspend();
        assert_eq!(LAZY.with(Rc::as_ptr), Rc::as_ptr(&again));
        if let Ok(mut guard) = CONTENDED.try_lock() {
            *guard += 1;
            let value = *guard;
            suspend();
            assert_eq!(*guard, value);
        }
        if let Some(guard) = REENTRANT.try_lock() {
            let value = guard.get();
            suspend();
            let again = REENTRANT.try_lock().expect("the fiber owns it");
            again.set(value + 1);
            assert_eq!(guard.get(), value + 1);
        } else {
            REFUSED.fetch_add(1, Relaxed);
        }
        let pin = crossbeam_epoch::pin();
        suspend();
        // SAFETY: the function uses nothing.
        unsafe { pin.defer_unchecked(|| ()) };
        drop(pin);
        assert_eq!(std::thread::current().id(), id);
        assert_eq!((NUMBER.get(), NUMBER.with(Cell::as_ptr)), (index, address));
    }
    if index.is_multiple_of(4) {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _suspends = SuspendsInPanic;
            resume_unwind(Box::new(index));
        }));
        assert_eq!(panic.expect_err("it panics").downcast_ref(), Some(&index));
    }
    assert!(!std::thread::panicking());
    thread.unpark();
    suspend();
    std::thread::park();
    assert_eq!((LAZY.with(|it| it.get()), *standard_guard), (5, 4));
}

struct Shared {
    queues: [Mutex<VecDeque<Fiber>>; 2],
    left: AtomicUsize,
    moves: AtomicUsize,
    ids: Mutex<HashSet<ThreadId>>,
}

fn body(shared: &Arc<Shared>, index: usize, key: libc::pthread_key_t) -> impl FnOnce() + Send + 'static {
    let shared = Arc::clone(shared);
    move || {
        // SAFETY: the key is there.
        unsafe { libc::pthread_setspecific(key, std::ptr::without_provenance(1)) };
        assert!(shared.ids.lock().expect("no panic").insert(std::thread::current().id()));
        uses_std(index);
        uses_libc(index);
    }
}

#[test]
fn all_that_is_a_threads_is_the_fibers_wherever_it_runs() {
    if !has_blocks() {
        return;
    }
    let mut key = 0;
    // SAFETY: the destructor is as libc expects it.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_key)) }, 0);
    let shared = Arc::new(Shared {
        queues: [const { Mutex::new(VecDeque::new()) }; 2],
        left: AtomicUsize::new(FIBERS * FIBERS_PER_BLOCK),
        moves: AtomicUsize::new(0),
        ids: Mutex::default(),
    });
    for index in 0..FIBERS {
        let fiber = Fiber::new(body(&shared, index, key));
        shared.queues[index % 2].lock().expect("no panic").push_back(fiber);
    }
    std::thread::scope(|scope| {
        for own in 0..2 {
            let shared = &shared;
            scope.spawn(move || {
                let carrier = Carrier::of_this_thread().expect("blocks");
                while shared.left.load(Relaxed) > 0 {
                    let next = shared.queues[own].lock().expect("no panic").pop_front();
                    let Some(mut fiber) = next else {
                        std::thread::yield_now();
                        continue;
                    };
                    fiber.resume(&carrier);
                    if fiber.is_done() {
                        let left = shared.left.fetch_sub(1, Relaxed);
                        if left <= FIBERS {
                            shared.moves.fetch_add(fiber.moves(), Relaxed);
                            continue;
                        }
                        // Another one with the same block.
                        fiber.restart(body(shared, left, key));
                    }
                    shared.queues[1 - own].lock().expect("no panic").push_back(fiber);
                }
            });
        }
    });
    let fibers = FIBERS * FIBERS_PER_BLOCK;
    assert_eq!(DROPPED.load(Relaxed), fibers);
    assert_eq!(KEYS_ENDED.load(Relaxed), fibers);
    assert_eq!(shared.ids.lock().expect("no panic").len(), fibers);
    assert!(shared.moves.load(Relaxed) > fibers * 20, "{} moves", shared.moves.load(Relaxed));
    assert!(REFUSED.load(Relaxed) > 0, "the re-entrant lock was never another's");
}
