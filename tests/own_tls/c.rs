//! What C keeps for a thread, and finds in a fiber that moves: the tables of characters, the resolver's state, the number of the
//! processor, the owner of a lock with priorities, the holder of a stream.

#![expect(unsafe_code, reason = "calls libc")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use abaca::Builder;

use crate::runtime;

/// Runs so many fibers, each of which goes on on the other worker whenever it yields, three times after each other.
fn among_moving_fibers(body: fn()) {
    runtime(2).run(|| {
        for _ in 0..3 {
            let fibers: Vec<_> = (0..20).map(|_| Builder::new().spawn_roaming(body).unwrap()).collect();
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        }
    });
}

#[test]
fn characters_numbers_and_names_are_known_in_new_fibers_and_after_moves() {
    among_moving_fibers(|| {
        for _ in 0..5 {
            // SAFETY: functions without preconditions but C strings.
            unsafe {
                assert_ne!(libc::isalpha(i32::from(b'a')), 0);
                assert_eq!(libc::isalpha(i32::from(b'1')), 0);
                assert_eq!(libc::toupper(i32::from(b'a')), i32::from(b'A'));
                assert_eq!(libc::strtod(c"0.5".as_ptr(), std::ptr::null_mut()), 0.5);
                let said = std::ffi::CStr::from_ptr(libc::strerror(100_000));
                assert!(said.to_bytes().ends_with(b"100000"), "{said:?}");
            }
            abaca::yield_now();
            // It initialises the resolver's state.
            assert_ne!(("localhost", 80).to_socket_addrs().unwrap().count(), 0);
            abaca::yield_now();
        }
    });
}

#[test]
fn a_fiber_is_told_the_processor_that_it_runs_on() {
    /// The processors on which the process may run.
    fn allowed() -> libc::cpu_set_t {
        let mut set = MaybeUninit::zeroed();
        // SAFETY: the set is written; all zeroes are one.
        unsafe {
            assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()), 0);
            set.assume_init()
        }
    }
    fn restrict(set: &libc::cpu_set_t) {
        // SAFETY: a set of processors.
        assert_eq!(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) }, 0);
    }
    runtime(2).run(|| {
        let fiber = abaca::spawn(|| {
            // The processors are the kernel's thread's.
            let _pinned = abaca::fiber::pin();
            let before = allowed();
            // SAFETY: numbers below that of the set's bits.
            let numbers = (0..1024).filter(|&number| unsafe { libc::CPU_ISSET(number, &before) });
            for number in numbers.take(8) {
                // SAFETY: all zeroes are a set, and the number is in range.
                let one = unsafe {
                    let mut one = std::mem::zeroed();
                    libc::CPU_SET(number, &mut one);
                    one
                };
                restrict(&one);
                abaca::yield_now();
                // SAFETY: has no preconditions.
                assert_eq!(usize::try_from(unsafe { libc::sched_getcpu() }), Ok(number));
            }
            restrict(&before);
        });
        fiber.join().unwrap();
    });
}

/// A mutex of C that lends its holder the priority of who waits for it: the kernel is asked only if somebody does.
struct Inheriting(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex is for several threads.
unsafe impl Sync for Inheriting {}

static INHERITING: Inheriting = Inheriting(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

#[test]
fn a_lock_that_inherits_priorities_is_held_over_moves_if_nobody_waits_for_it() {
    let mutex = INHERITING.0.get();
    // SAFETY: the mutex is not in use yet, and is never moved.
    unsafe {
        let mut attributes = MaybeUninit::uninit();
        assert_eq!(libc::pthread_mutexattr_init(attributes.as_mut_ptr()), 0);
        assert_eq!(
            libc::pthread_mutexattr_setprotocol(attributes.as_mut_ptr(), libc::PTHREAD_PRIO_INHERIT),
            0
        );
        assert_eq!(libc::pthread_mutex_init(mutex, attributes.as_ptr()), 0);
        libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
    }
    among_moving_fibers(|| {
        let mutex = INHERITING.0.get();
        for _ in 0..5 {
            // SAFETY: an initialised mutex.
            if unsafe { libc::pthread_mutex_trylock(mutex) } == 0 {
                abaca::yield_now();
                // SAFETY: as above; this fiber has locked it.
                assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex) }, 0);
            }
            abaca::yield_now();
        }
    });
}

unsafe extern "C" {
    fn flockfile(stream: *mut libc::FILE);
    fn funlockfile(stream: *mut libc::FILE);
}

/// A stream of C, which several threads may use.
#[derive(Clone, Copy)]
struct Stream(*mut libc::FILE);

// SAFETY: as above.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

#[test]
fn a_lock_inside_libc_that_is_held_over_a_wait_keeps_out_those_who_want_it_and_nobody_else() {
    // SAFETY: the stream is closed at the end.
    let stream = Stream(unsafe { libc::tmpfile() });
    assert!(!stream.0.is_null());
    runtime(1).run(|| {
        let is_held = Arc::new(AtomicBool::new(false));
        let fibers: Vec<_> = (0..5)
            .map(|_| {
                let is_held = Arc::clone(&is_held);
                abaca::spawn(move || {
                    let Stream(stream) = { stream };
                    // SAFETY: the stream is open. Who waits for it blocks its thread, which its worker leaves.
                    unsafe {
                        flockfile(stream);
                        assert!(!is_held.swap(true, SeqCst));
                        abaca::yield_now();
                        abaca::sleep(std::time::Duration::from_micros(50));
                        // Its holder enters again.
                        assert!(libc::fputs(c"a line\n".as_ptr(), stream) >= 0);
                        assert!(is_held.swap(false, SeqCst));
                        funlockfile(stream);
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    // SAFETY: nobody uses it any more.
    unsafe { libc::fclose(stream.0) };
}
