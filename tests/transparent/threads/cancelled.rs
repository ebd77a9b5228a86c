//! Cancellation, deadlines and the end of the runtime, in sleeps and at locks.

#![expect(unsafe_code, reason = "threads of C's, which are cancelled as such")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use abaca::time::timeout;

use crate::support::on_one_worker;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn a_timeout_in_a_destructor_ends_a_sleep_while_the_fiber_unwinds() {
    struct Sleeps<'a>(&'a std::cell::Cell<u32>, Duration);
    impl Drop for Sleeps<'_> {
        fn drop(&mut self) {
            // That outside of the destructor is up as well, and ends nothing in it.
            thread::sleep(2 * SHORT);
            let late = timeout(self.1, || thread::sleep(LONG));
            assert!(late.is_err() && thread::panicking());
            self.0.set(self.0.get() + 1);
        }
    }
    on_one_worker(|| {
        let ended = std::cell::Cell::new(0);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = timeout(SHORT, || {
                let _sleeps = Sleeps(&ended, SHORT);
                std::panic::resume_unwind(Box::new("mine"));
            });
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"mine"));
        let late = timeout(SHORT, || {
            let _sleeps = Sleeps(&ended, SHORT);
            abaca::park();
        });
        assert!(late.is_err() && !thread::panicking());
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn a_deadline_ends_a_sleep() {
    on_one_worker(|| {
        let late = timeout(SHORT, || thread::sleep(LONG));
        assert!(late.is_err());
        // Afterwards a sleep lasts again.
        let begin = Instant::now();
        thread::sleep(SHORT);
        assert!(begin.elapsed() >= SHORT);
    });
}

#[test]
fn a_cancelled_fiber_does_not_sleep_on_and_others_run() {
    on_one_worker(|| {
        let (sender, receiver) = mpsc::channel();
        let fiber = abaca::spawn(move || {
            sender.send("begun").unwrap();
            // It takes no notice of being cancelled, but for its sleeps, which are short then.
            (0..100).for_each(|_| thread::sleep(LONG));
            sender.send("through").unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), "begun");
        fiber.cancel();
        assert_eq!(receiver.recv().unwrap(), "through");
        fiber.join().unwrap();
    });
}

#[test]
fn a_wait_for_a_lock_or_a_message_goes_on_over_a_deadline() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(1));
        let (sender, receiver) = mpsc::channel();
        let theirs = mutex.clone();
        let (ready, is_ready) = mpsc::channel();
        let holder = abaca::spawn(move || {
            let guard = theirs.lock().unwrap();
            ready.send(()).unwrap();
            thread::sleep(5 * SHORT);
            drop(guard);
            thread::sleep(5 * SHORT);
            sender.send(2).unwrap();
        });
        is_ready.recv().unwrap();
        let mut seen = Vec::new();
        let result = timeout(SHORT, || {
            seen.push(*mutex.lock().unwrap());
            seen.push(receiver.recv().unwrap());
        });
        assert!(result.is_ok(), "nothing of it was cancelled");
        assert_eq!(seen, [1, 2]);
        holder.join().unwrap();
    });
}

#[test]
fn a_wait_for_a_message_goes_on_over_a_cancellation() {
    on_one_worker(|| {
        let (sender, receiver) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let fiber = abaca::spawn(move || {
            ready.send(()).unwrap();
            (receiver.recv(), abaca::cancel::is_cancelled())
        });
        // The fiber runs on until it waits.
        is_ready.recv().unwrap();
        fiber.cancel();
        let theirs = fiber.fiber();
        abaca::blocking::run(move || theirs.cancel());
        abaca::yield_now();
        assert!(!fiber.is_finished());
        sender.send(7).unwrap();
        assert_eq!(fiber.join().unwrap(), (Ok(7), true));
    });
}

#[test]
fn the_end_of_the_runtime_ends_sleeps() {
    let (sender, receiver) = mpsc::channel();
    let ended = Arc::new(AtomicU32::new(0));
    let theirs = ended.clone();
    on_one_worker(move || {
        for _ in 0..10 {
            let (sender, ended) = (sender.clone(), theirs.clone());
            abaca::spawn(move || {
                sender.send(()).unwrap();
                thread::sleep(LONG);
                ended.fetch_add(1, SeqCst);
            });
        }
        (0..10).for_each(|_| receiver.recv().unwrap());
    });
    assert_eq!(ended.load(SeqCst), 10, "the runtime has waited for all");
}

/// What the crate's page says does not hold: an OS thread would end while it computes.
#[test]
fn a_thread_that_may_be_cancelled_anywhere_ends_in_its_next_call_and_not_while_it_computes() {
    static STEP: AtomicU32 = AtomicU32::new(0);
    fn await_step(step: u32) {
        while STEP.load(SeqCst) < step {
            std::hint::spin_loop();
        }
    }
    unsafe extern "C" {
        fn pthread_setcanceltype(kind: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
        fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
    }
    unsafe extern "C-unwind" {
        fn pthread_testcancel();
    }
    extern "C-unwind" fn computes(_: *mut libc::c_void) -> *mut libc::c_void {
        const ASYNCHRONOUS: libc::c_int = 1;
        // SAFETY: these functions have no preconditions; nothing is alive here that has a destructor.
        unsafe {
            pthread_setcanceltype(ASYNCHRONOUS, std::ptr::null_mut());
            STEP.store(1, SeqCst);
            await_step(2);
            STEP.store(3, SeqCst);
            pthread_testcancel();
        }
        STEP.store(4, SeqCst);
        std::ptr::null_mut()
    }
    abaca_transparent::threads_are_fibers().unwrap();
    // SAFETY: the function has the type that C expects, but that it may unwind, which is how it ends; the thread is joined once.
    unsafe {
        let start: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void =
            std::mem::transmute(computes as extern "C-unwind" fn(*mut libc::c_void) -> *mut libc::c_void);
        let mut thread = std::mem::zeroed();
        assert_eq!(libc::pthread_create(&raw mut thread, std::ptr::null(), start, std::ptr::null_mut()), 0);
        await_step(1);
        assert_eq!(pthread_cancel(thread), 0);
        STEP.store(2, SeqCst);
        let mut result = std::ptr::null_mut();
        assert_eq!(libc::pthread_join(thread, &raw mut result), 0);
        assert_eq!((result.addr(), STEP.load(SeqCst)), (usize::MAX, 3));
    }
}
