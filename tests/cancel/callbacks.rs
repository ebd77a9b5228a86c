//! Cancellations that come while a fiber is inside of a C library's callback, through which nothing may unwind: such a
//! callback is a shield.

#![expect(unsafe_code, reason = "calls qsort, and functions in it that C calls back")]

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::channel::{Receiver, Sender, bounded};
use abaca::time::timeout;
use abaca::{Cancelled, Runtime};

use super::{begun, on_one_worker};

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

unsafe extern "C" {
    fn qsort(base: *mut c_void, count: usize, bytes: usize, compare: Compare);
}

abaca::fiber_local! {
    /// The body of the first call of the callback, in the fiber that sorts.
    static BODY: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    if let Some(body) = BODY.with(|body| body.borrow_mut().take()) {
        body();
    }
    // SAFETY: qsort passes two of the elements.
    unsafe { a.cast::<i32>().read() - b.cast::<i32>().read() }
}

/// Sorts three numbers, and calls `body` in the middle of it.
fn sort(body: impl FnOnce() + 'static) {
    BODY.with(|place| *place.borrow_mut() = Some(Box::new(body)));
    let mut numbers = [3, 1, 2];
    // SAFETY: three numbers of four bytes, and the callback compares such.
    unsafe { qsort(numbers.as_mut_ptr().cast(), 3, 4, compare) };
    assert_eq!(numbers, [1, 2, 3]);
}

/// A gate at which a fiber waits that others know to have come.
fn gate() -> (impl FnOnce(), Receiver<()>, Sender<()>) {
    let ((coming, came), (open, opened)) = (bounded(1), bounded::<()>(1));
    let wait = move || {
        coming.send(()).unwrap();
        opened.recv().unwrap();
    };
    (wait, came, open)
}

#[abaca::test]
fn a_cancelled_fiber_unwinds_when_the_callback_has_returned() {
    let (wait, came, open) = gate();
    let sorted = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&sorted);
    let fiber = abaca::spawn(move || {
        sort(move || {
            wait();
            // Asked again and again, it is not cancelled in here.
            abaca::yield_now();
            abaca::cancel::checkpoint();
            abaca::sleep(Duration::from_micros(10));
            assert!(!abaca::cancel::is_cancelled());
        });
        theirs.fetch_add(1, SeqCst);
        assert!(abaca::cancel::is_cancelled());
        abaca::park();
    });
    came.recv().unwrap();
    fiber.cancel();
    (0..10).for_each(|_| abaca::yield_now());
    open.send(()).unwrap();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
    assert_eq!(sorted.load(SeqCst), 1);
}

#[abaca::test]
fn a_timeout_ends_what_comes_after_the_callback() {
    for inner in [None, Some(Duration::from_secs(1_000)), Some(Duration::from_micros(100))] {
        let sorted = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&sorted);
        let late = timeout(Duration::from_millis(1), || {
            sort(move || {
                // The time is up long before one of these ends, by itself or by a timeout in the callback.
                if let Some(inner) = inner {
                    let _ = timeout(inner, || abaca::park_timeout(Duration::from_millis(20)));
                }
                abaca::park_timeout(Duration::from_millis(20));
                abaca::scope(|scope| {
                    scope.spawn(abaca::yield_now);
                });
            });
            theirs.fetch_add(1, SeqCst);
            abaca::park();
        });
        assert!(late.is_err());
        assert_eq!(sorted.load(SeqCst), 1);
    }
}

#[test]
fn a_token_inside_of_the_callback_comes_first_and_one_outside_just_then() {
    on_one_worker(|| {
        let (inner, outer) = (CancellationToken::new(), CancellationToken::new());
        let (theirs, outers) = (inner.clone(), outer.clone());
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let fiber = begun(move || {
            outers.run_until_cancelled(|| {
                sort(move || {
                    assert!(theirs.run_until_cancelled(abaca::park).is_none());
                    count.fetch_add(1, SeqCst);
                });
                abaca::park();
            })
        });
        // The fiber has not gone on between these two.
        inner.cancel();
        outer.cancel();
        assert!(fiber.join().unwrap().is_none());
        assert_eq!(ended.load(SeqCst), 1, "it unwound to the one that it could unwind to");
        // The same with a cancellation of the whole fiber.
        let inner = CancellationToken::new();
        let theirs = inner.clone();
        let count = Arc::clone(&ended);
        let fiber = begun(move || {
            sort(move || {
                assert!(theirs.run_until_cancelled(abaca::park).is_none());
                count.fetch_add(1, SeqCst);
            });
            abaca::park();
        });
        inner.cancel();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<Cancelled>());
        assert_eq!(ended.load(SeqCst), 2);
    });
}

#[test]
fn a_timeout_inside_of_the_callback_outlives_one_outside() {
    let check = || {
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ended);
        let late = timeout(Duration::from_millis(1), || {
            sort(move || {
                // The outer one's time is up first, and it is not obeyed.
                assert!(timeout(Duration::from_millis(5), abaca::park).is_err());
                assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
                let own =
                    timeout(Duration::from_secs(1_000), || abaca::park_timeout(Duration::from_millis(1)));
                assert!(own.is_ok());
                theirs.fetch_add(1, SeqCst);
            });
            abaca::park();
        });
        assert!(late.is_err());
        assert_eq!(ended.load(SeqCst), 1);
    };
    abaca::run(check);
    // On a plain thread as well.
    check();
}

#[abaca::test]
fn timeouts_and_tokens_inside_of_the_callback_work_there() {
    let ended = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ended);
    abaca::spawn(move || {
        sort(move || {
            assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
            let token = CancellationToken::new();
            let other = token.clone();
            let canceller = abaca::spawn(move || other.cancel());
            assert!(token.run_until_cancelled(abaca::park).is_none());
            canceller.join().unwrap();
            theirs.fetch_add(1, SeqCst);
        });
    })
    .join()
    .unwrap();
    assert_eq!(ended.load(SeqCst), 1);
}

#[test]
fn a_token_takes_effect_when_the_callback_has_returned() {
    for workers in [1, 2] {
        Runtime::builder().workers(workers).build().unwrap().run(|| {
            let (wait, came, open) = gate();
            let token = CancellationToken::new();
            let theirs = token.clone();
            let sorted = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&sorted);
            let fiber = abaca::spawn(move || {
                theirs.run_until_cancelled(|| {
                    sort(wait);
                    count.fetch_add(1, SeqCst);
                    abaca::park();
                })
            });
            came.recv().unwrap();
            token.cancel();
            (0..10).for_each(|_| abaca::yield_now());
            open.send(()).unwrap();
            assert!(fiber.join().unwrap().is_none());
            assert_eq!(sorted.load(SeqCst), 1);
        });
    }
}

#[abaca::test]
fn a_callback_that_catches_is_cancelled_in_its_wait() {
    // As one does who calls C and unwinds for himself.
    let fiber = abaca::spawn(|| {
        let caught = std::rc::Rc::new(RefCell::new(None));
        let theirs = std::rc::Rc::clone(&caught);
        sort(move || *theirs.borrow_mut() = catch_unwind(AssertUnwindSafe(abaca::park)).err());
        if let Some(payload) = caught.borrow_mut().take() {
            resume_unwind(payload);
        }
    });
    (0..10).for_each(|_| abaca::yield_now());
    fiber.cancel();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn a_shutdown_reports_a_fiber_that_does_not_leave_its_callback() {
    // The state that its threads share is leaked to them.
    abaca_tests::leaks::expect_runtime(1);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (wait, came, open) = gate();
    let fiber = runtime.spawn(move || sort(wait));
    came.recv().unwrap();
    let left = runtime.shutdown(Duration::from_millis(1)).unwrap_err();
    assert_eq!((left.busy_workers, left.fibers), (1, 1));
    // And it ends as it should when the callback does.
    open.send(()).unwrap();
    fiber.join().unwrap();
}

#[abaca::test]
fn a_frame_that_the_unwinder_does_not_know_is_a_shield() {
    /// Calls `body` with a return address and a stack that no unwind tables describe.
    #[unsafe(naked)]
    #[cfg(target_arch = "x86_64")]
    unsafe extern "C" fn without_tables(body: extern "C" fn()) {
        std::arch::naked_asm!("sub rsp, 40", "call rdi", "add rsp, 40", "ret");
    }
    #[cfg(not(target_arch = "x86_64"))]
    unsafe extern "C" fn without_tables(body: extern "C" fn()) {
        body();
    }
    extern "C" fn parks() {
        abaca::park_timeout(Duration::from_millis(20));
    }
    let passed = AtomicUsize::new(0);
    let late = timeout(Duration::from_millis(1), || {
        // SAFETY: it calls the function that it is given.
        unsafe { without_tables(parks) };
        passed.fetch_add(1, SeqCst);
        abaca::park();
    });
    assert!(late.is_err());
    assert_eq!(passed.load(SeqCst), 1);
}

#[test]
fn a_plain_threads_timeout_spares_the_callback() {
    let late = timeout(Duration::from_millis(1), || {
        let mut numbers = [2, 1];
        unsafe extern "C" fn slow(_: *const c_void, _: *const c_void) -> c_int {
            abaca::park_timeout(Duration::from_millis(5));
            1
        }
        // SAFETY: two numbers of four bytes.
        unsafe { qsort(numbers.as_mut_ptr().cast(), 2, 4, slow) };
        abaca::park();
    });
    assert!(late.is_err());
}

#[test]
fn a_plain_threads_token_spares_the_callback() {
    for _ in 0..50 {
        let token = CancellationToken::new();
        let ((coming, came), (open, opened)) = (bounded(1), bounded::<()>(1));
        let sorted = Arc::new(AtomicUsize::new(0));
        let theirs = (token.clone(), Arc::clone(&sorted));
        let thread = std::thread::spawn(move || {
            let (token, sorted) = theirs;
            token.run_until_cancelled(|| {
                let inside = (coming.clone(), sorted.clone());
                sort(move || {
                    // A token inside of the callback works there.
                    let inner = CancellationToken::new();
                    let canceller = std::thread::spawn({
                        let inner = inner.clone();
                        move || inner.cancel()
                    });
                    assert!(inner.run_until_cancelled(abaca::park).is_none());
                    canceller.join().unwrap();
                    inside.0.send(()).unwrap();
                    opened.recv().unwrap();
                    inside.1.fetch_add(1, SeqCst);
                });
                assert!(abaca::cancel::is_cancelled());
                abaca::park();
            })
        });
        came.recv().unwrap();
        // Mostly it sleeps by then.
        (0..1000).for_each(|_| std::thread::yield_now());
        token.cancel();
        open.send(()).unwrap();
        assert!(thread.join().unwrap().is_none());
        assert_eq!(sorted.load(SeqCst), 1);
    }
}
