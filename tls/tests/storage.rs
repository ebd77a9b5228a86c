//! What the code of a fiber finds in its storage: a thread of its own, and a new one for each fiber of a stack.
#![expect(unsafe_code, reason = "calls libc")]

mod fiber;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use abaca_tls::Carrier;
use fiber::{Fiber, has_blocks, in_fiber, suspend};

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    fn __ctype_b_loc() -> *mut *const u16;
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int;
    fn pthread_mutexattr_setrobust(attributes: *mut libc::pthread_mutexattr_t, robust: c_int) -> c_int;
    fn pthread_mutex_consistent(mutex: *mut libc::pthread_mutex_t) -> c_int;
    fn __res_state() -> *mut c_void;
}

fn errno() -> c_int {
    // SAFETY: the calling thread's.
    unsafe { *__errno_location() }
}

fn set_errno(value: c_int) {
    // SAFETY: the calling thread's.
    unsafe { *__errno_location() = value };
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(7) };
    static LIST: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static LAZY: Rc<Cell<u64>> = Rc::new(Cell::new(1));
}

#[test]
fn variables_are_the_fibers() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    NUMBER.set(1);
    let mut fibers: Vec<_> = (0..10)
        .map(|index| {
            Fiber::new(move || {
                assert_eq!(NUMBER.replace(index), 7);
                let lazy = LAZY.with(Rc::clone);
                suspend();
                assert_eq!(NUMBER.get(), index);
                lazy.set(lazy.get() + 1);
                assert_eq!(LAZY.with(|it| it.get()), 2);
            })
        })
        .collect();
    for _ in 0..2 {
        fibers.iter_mut().for_each(|fiber| fiber.resume(&carrier));
    }
    assert!(fibers.iter().all(Fiber::is_done));
    assert_eq!(NUMBER.get(), 1);
}

#[test]
fn the_next_fiber_of_a_stack_is_a_new_thread() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let ids = Arc::new(Mutex::new(HashSet::new()));
    let body = |ids: Arc<Mutex<HashSet<_>>>| {
        move || {
            assert_eq!(errno(), 0);
            assert_eq!(NUMBER.replace(1), 7);
            assert!(LIST.with(|list| list.replace(vec![1])).is_empty());
            assert_eq!(LAZY.with(|it| it.replace(5)), 1);
            assert!(ids.lock().expect("no panic").insert(std::thread::current().id()), "an id of its own");
            // The token of the last fiber is gone: this one does not.
            std::thread::park_timeout(std::time::Duration::from_millis(1));
            std::thread::current().unpark();
            set_errno(libc::EDOM);
        }
    };
    let mut fiber = Fiber::new(body(ids.clone()));
    fiber.run(&carrier);
    for _ in 0..100 {
        fiber.restart(body(ids.clone()));
        fiber.run(&carrier);
    }
    assert_eq!(ids.lock().expect("no panic").len(), 101);
    assert!(!ids.lock().expect("no panic").contains(&std::thread::current().id()));
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Its destructor suspends the fiber, uses another variable, and makes one that has a destructor as well.
struct Suspends;

impl Drop for Suspends {
    fn drop(&mut self) {
        let address = NUMBER.with(|number| number.as_ptr());
        suspend();
        assert_eq!(NUMBER.with(|number| number.as_ptr()), address);
        LATE.set(Some(Counts));
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

struct Counts;

impl Drop for Counts {
    fn drop(&mut self) {
        DROPPED.fetch_add(100, Ordering::Relaxed);
    }
}

thread_local! {
    static SUSPENDS: Cell<Option<Suspends>> = const { Cell::new(None) };
    static LATE: Cell<Option<Counts>> = const { Cell::new(None) };
}

static KEYS_ENDED: AtomicUsize = AtomicUsize::new(0);
static KEY: Mutex<libc::pthread_key_t> = Mutex::new(0);

unsafe extern "C" fn end_of_key(value: *mut c_void) {
    suspend();
    KEYS_ENDED.fetch_add(1, Ordering::Relaxed);
    if value.addr() > 1 {
        let key = *KEY.lock().expect("no panic");
        // SAFETY: the key is there. A value that is set by the destructor is ended as well.
        unsafe { libc::pthread_setspecific(key, null::<u8>().wrapping_add(value.addr() - 1).cast()) };
        NUMBER.set(NUMBER.get() + 1);
    }
}

#[test]
fn destructors_run_at_the_end_and_may_suspend_the_fiber() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let mut other: libc::pthread_key_t = 0;
    // SAFETY: the destructor is as libc expects it.
    unsafe {
        let mut key = 0;
        assert_eq!(libc::pthread_key_create(&raw mut key, Some(end_of_key)), 0);
        *KEY.lock().expect("no panic") = key;
        // A key beyond the 32 that are in libc's record.
        while other < 40 {
            assert_eq!(libc::pthread_key_create(&raw mut other, None), 0);
        }
    }
    let body = move || {
        SUSPENDS.set(Some(Suspends));
        let key = *KEY.lock().expect("no panic");
        // SAFETY: the keys are there.
        unsafe {
            assert!(libc::pthread_getspecific(key).is_null());
            assert!(libc::pthread_getspecific(other).is_null());
            libc::pthread_setspecific(key, null::<u8>().wrapping_add(3).cast());
            libc::pthread_setspecific(other, null::<u8>().wrapping_add(1).cast());
        }
    };
    let mut fiber = Fiber::new(body);
    for round in 1..=3 {
        fiber.run(&carrier);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 101 * round);
        assert_eq!(KEYS_ENDED.load(Ordering::Relaxed), 3 * round);
        fiber.restart(body);
    }
    fiber.run(&carrier);
}

#[test]
fn the_locale_of_a_fiber_is_its_own_and_the_next_has_the_process_s() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let body = || {
        // SAFETY: a locale of libc's own; the tables are the calling thread's.
        unsafe {
            let global = libc::uselocale(null_mut());
            let tables = *__ctype_b_loc();
            assert_ne!(*tables.add(usize::from(b'x')), 0);
            let own = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), null_mut());
            assert_eq!(libc::uselocale(own), global);
            suspend();
            assert_eq!(libc::uselocale(null_mut()), own);
        }
    };
    let mut fiber = Fiber::new(body);
    fiber.run(&carrier);
    fiber.restart(body);
    fiber.run(&carrier);
}

#[test]
fn what_a_fiber_has_set_for_its_thread_is_not_set_for_the_next() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let body = || {
        let (mut state, mut kind) = (0, 0);
        // SAFETY: calls that a thread may make. The name is that of no library.
        unsafe {
            pthread_setcancelstate(1, &raw mut state);
            pthread_setcanceltype(1, &raw mut kind);
            assert_eq!((state, kind), (0, 0), "can be cancelled where it waits");
            pthread_setcanceltype(0, null_mut());
            assert!(libc::dlerror().is_null());
            assert!(libc::dlopen(c"/nowhere/at/all".as_ptr(), libc::RTLD_LAZY).is_null());
            // The options of the resolver's state, the second word.
            let options = __res_state().cast::<u64>().add(1);
            assert_eq!(*options, 0);
            let (mut hints, mut list) = (MaybeUninit::<libc::addrinfo>::zeroed(), null_mut());
            (*hints.as_mut_ptr()).ai_family = libc::AF_INET;
            libc::getaddrinfo(c"localhost".as_ptr(), null(), hints.as_ptr(), &raw mut list);
            if !list.is_null() {
                libc::freeaddrinfo(list);
            }
            *options |= 1 << 20;
        }
    };
    let mut fiber = Fiber::new(body);
    for _ in 0..3 {
        fiber.run(&carrier);
        fiber.restart(body);
    }
    fiber.run(&carrier);
}

fn mutex(set_kind: impl Fn(*mut libc::pthread_mutexattr_t)) -> Box<libc::pthread_mutex_t> {
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::zeroed();
    let mut mutex = Box::<libc::pthread_mutex_t>::new_zeroed();
    // SAFETY: both are initialised.
    unsafe {
        libc::pthread_mutexattr_init(attributes.as_mut_ptr());
        set_kind(attributes.as_mut_ptr());
        assert_eq!(libc::pthread_mutex_init(mutex.as_mut_ptr(), attributes.as_ptr()), 0);
        mutex.assume_init()
    }
}

struct Shared(*mut libc::pthread_mutex_t);
// SAFETY: a mutex.
unsafe impl Send for Shared {}

#[test]
fn a_mutex_that_a_fiber_has_left_locked_is_not_the_next_ones() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    for kind in [libc::PTHREAD_MUTEX_ERRORCHECK, libc::PTHREAD_MUTEX_RECURSIVE] {
        // SAFETY: the attributes are initialised.
        let mut mutex = mutex(|attributes| unsafe {
            libc::pthread_mutexattr_settype(attributes, kind);
        });
        let shared = Shared(&raw mut *mutex);
        let (again, busy) = match kind {
            libc::PTHREAD_MUTEX_RECURSIVE => (0, libc::EBUSY),
            _ => (libc::EBUSY, libc::EBUSY),
        };
        let mut fiber = Fiber::new(move || {
            let shared = shared;
            // SAFETY: the mutex outlives the fibers.
            unsafe {
                assert_eq!(libc::pthread_mutex_lock(shared.0), 0);
                assert_eq!(libc::pthread_mutex_trylock(shared.0), again);
            }
        });
        fiber.run(&carrier);
        let shared = Shared(&raw mut *mutex);
        fiber.restart(move || {
            let shared = shared;
            // SAFETY: as above.
            unsafe {
                assert_eq!(libc::pthread_mutex_trylock(shared.0), busy);
                assert_eq!(libc::pthread_mutex_unlock(shared.0), libc::EPERM);
            }
        });
        fiber.run(&carrier);
    }
}

#[test]
fn a_robust_mutex_tells_that_its_fiber_has_ended() {
    if !has_blocks() {
        return;
    }
    let (mut head, mut bytes) = (0_usize, 0_usize);
    // SAFETY: both are written.
    if unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut bytes) } != 0 {
        println!("skipped: an emulator that knows no robust mutexes");
        return;
    }
    // SAFETY: the attributes are initialised.
    let mut mutexes: Vec<_> =
        (0..3).map(|_| mutex(|it| unsafe { _ = pthread_mutexattr_setrobust(it, 1) })).collect();
    let shared: Vec<_> = mutexes.iter_mut().map(|mutex| Shared(&raw mut **mutex)).collect();
    in_fiber(move || {
        for mutex in shared {
            // SAFETY: the mutexes outlive the fiber.
            assert_eq!(unsafe { libc::pthread_mutex_lock(mutex.0) }, 0);
        }
    });
    for mutex in &mut mutexes {
        // SAFETY: as above.
        unsafe {
            assert_eq!(libc::pthread_mutex_trylock(&raw mut **mutex), libc::EOWNERDEAD);
            assert_eq!(pthread_mutex_consistent(&raw mut **mutex), 0);
            assert_eq!(libc::pthread_mutex_unlock(&raw mut **mutex), 0);
        }
    }
}

#[test]
fn libc_knows_the_fibers_stack() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let range = Arc::new(Mutex::new(0..0));
    let seen = range.clone();
    let mut fiber = Fiber::new(move || {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::zeroed();
        let (mut start, mut bytes) = (null_mut(), 0);
        // SAFETY: the attributes are written before they are read, by all that the call does before it looks for the thread's
        // processors, which no kernel thread of this id has.
        unsafe {
            let result = libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr());
            assert!([0, libc::ESRCH].contains(&result));
            libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut bytes);
        }
        *seen.lock().expect("no panic") = start.addr()..start.addr() + bytes;
    });
    fiber.run(&carrier);
    assert_eq!(*range.lock().expect("no panic"), fiber.stack_range());
}

#[test]
fn a_thread_is_made_and_joined_by_a_fiber_and_names_are_told_apart() {
    if !has_blocks() {
        return;
    }
    in_fiber(|| {
        assert_eq!(std::thread::current().name(), None);
        let id = std::thread::current().id();
        let other = std::thread::Builder::new().name("other".into()).spawn(|| {
            assert_eq!(NUMBER.get(), 7);
            (std::thread::current().name() == Some("other"), std::thread::current().id())
        });
        let (named, other) = other.expect("a thread").join().expect("no panic");
        assert!(named && other != id);
        // SAFETY: has no preconditions.
        assert!(unsafe { libc::sched_getcpu() } >= 0);
    });
}

#[test]
fn panics_are_the_fibers() {
    if !has_blocks() {
        return;
    }
    struct Looks;
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            suspend();
            assert!(std::thread::panicking());
        }
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let mut fiber = Fiber::new(|| {
        let result = std::panic::catch_unwind(|| {
            let _looks = Looks;
            std::panic::resume_unwind(Box::new(5));
        });
        assert!(result.is_err() && !std::thread::panicking());
    });
    fiber.resume(&carrier);
    assert!(!fiber.is_done() && !std::thread::panicking());
    fiber.run(&carrier);
}
