//! futex(2) through syscall(2), with libc's own kernel as the oracle.

#![expect(unsafe_code, reason = "makes system calls")]

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_PRIVATE_FLAG,
    FUTEX_REQUEUE, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, SYS_futex,
    timespec,
};

use super::{as_on_threads, spawn, until};

/// The result of a call, or the negative error number.
fn futex(
    word: &AtomicU32,
    operation: c_int,
    value: u32,
    timeout: *const timespec,
    word2: Option<&AtomicU32>,
    value3: u32,
) -> i64 {
    let word2 = word2.map_or(ptr::null_mut(), AtomicU32::as_ptr);
    // SAFETY: the words are there, and the timeout is null, a local, or a number.
    unsafe {
        match libc::syscall(SYS_futex, word.as_ptr(), operation, value, timeout, word2, value3) {
            -1 => -i64::from(*libc::__errno_location()),
            result => result,
        }
    }
}

fn private(operation: c_int) -> c_int {
    operation | FUTEX_PRIVATE_FLAG
}

fn in_ms(clock: c_int, ms: i64) -> timespec {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes a local.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let ns = time.tv_nsec + ms * 1_000_000;
    timespec { tv_sec: time.tv_sec + ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) }
}

#[test]
fn waits_end_as_the_kernels() {
    let _same = as_on_threads(|| {
        let word = AtomicU32::new(1);
        let short = timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let wrong = timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
        let past = timespec { tv_sec: 1, tv_nsec: 0 };
        let before = timespec { tv_sec: -1, tv_nsec: 0 };
        let (monotonic, real) = (in_ms(CLOCK_MONOTONIC, 3), in_ms(CLOCK_REALTIME, 3));
        let wait = private(FUTEX_WAIT);
        let bits = private(FUTEX_WAIT_BITSET);
        let real_bits = bits | FUTEX_CLOCK_REALTIME;
        vec![
            futex(&word, wait, 2, ptr::null(), None, 0),
            futex(&word, wait, 1, &short, None, 0),
            futex(&word, wait, 1, &wrong, None, 0),
            futex(&word, wait, 1, &before, None, 0),
            futex(&word, bits, 1, &monotonic, None, 1),
            futex(&word, real_bits, 1, &real, None, !0),
            futex(&word, bits, 1, &past, None, !0),
            futex(&word, real_bits, 1, &past, None, !0),
            futex(&word, bits, 1, &short, None, 0),
            futex(&word, bits, 2, ptr::null(), None, !0),
            futex(&word, FUTEX_WAIT, 1, &short, None, 0),
            futex(&word, FUTEX_WAIT, 2, ptr::null(), None, 0),
            futex(&word, private(FUTEX_WAKE), 5, ptr::null(), None, 0),
            futex(&word, private(FUTEX_WAKE_BITSET), 5, ptr::null(), None, 0),
            futex(&word, private(99), 5, ptr::null(), None, 0),
        ]
    });
}

/// Starts `count` threads that wait at a word while it is 0, each for its bits; they return what the wait returned.
fn sleepers(words: &Arc<[AtomicU32; 3]>, bits: &[u32]) -> Vec<thread::JoinHandle<i64>> {
    bits.iter()
        .map(|bits| {
            let (words, bits) = (Arc::clone(words), *bits);
            spawn(move || {
                words[2].fetch_add(1, Ordering::SeqCst);
                futex(&words[0], private(FUTEX_WAIT_BITSET), 0, ptr::null(), None, bits)
            })
        })
        .collect()
}

/// Wakes so many by `wake`, whose result is how many it woke, and which may come before they sleep.
fn wake_all(mut left: i64, wake: impl Fn() -> i64) {
    while left > 0 {
        let woken = wake();
        assert!(woken >= 0, "{woken}");
        left -= woken;
        thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn wakes_reach_those_who_have_a_bit_in_common() {
    let _same = as_on_threads(|| {
        let words = Arc::new([const { AtomicU32::new(0) }; 3]);
        let first = sleepers(&words, &[1, 1, 1]);
        let second = sleepers(&words, &[2, 6]);
        wake_all(2, || futex(&words[0], private(FUTEX_WAKE_BITSET), 10, ptr::null(), None, 2));
        let second: Vec<_> = second.into_iter().map(|thread| thread.join().unwrap()).collect();
        let none_ended = first.iter().all(|thread| !thread.is_finished());
        wake_all(3, || futex(&words[0], private(FUTEX_WAKE), 1, ptr::null(), None, 0));
        let first: Vec<_> = first.into_iter().map(|thread| thread.join().unwrap()).collect();
        (first, second, none_ended)
    });
}

#[test]
fn requeued_sleepers_are_woken_there_or_at_once() {
    let _same = as_on_threads(|| {
        let words = Arc::new([const { AtomicU32::new(0) }; 3]);
        let all = sleepers(&words, &[!0; 5]);
        until(|| words[2].load(Ordering::SeqCst) == 5);
        let two = |operation: c_int, value3| {
            // The second number is where a timeout would be.
            futex(
                &words[0],
                private(operation),
                1,
                ptr::without_provenance(usize::MAX >> 33),
                Some(&words[1]),
                value3,
            )
        };
        let refused = two(FUTEX_CMP_REQUEUE, 7);
        let ended = || all.iter().filter(|thread| thread.is_finished()).count();
        // Fibers are woken instead of being moved: so wake until all have ended.
        while ended() < 5 {
            assert!(two(FUTEX_CMP_REQUEUE, 0) >= 0 && two(FUTEX_REQUEUE, 0) >= 0);
            futex(&words[1], private(FUTEX_WAKE), u32::MAX >> 1, ptr::null(), None, 0);
            thread::sleep(Duration::from_micros(100));
        }
        let results: Vec<_> = all.into_iter().map(|thread| thread.join().unwrap()).collect();
        (refused, results)
    });
}

#[test]
fn a_wake_with_an_operation_changes_the_second_word() {
    let _same = as_on_threads(|| {
        let mut seen = Vec::new();
        for operation in 0..5 {
            for comparison in 0..6 {
                let words = Arc::new([const { AtomicU32::new(0) }; 3]);
                let other = AtomicU32::new(6);
                // FUTEX_OP(operation, 5, comparison, 6), and a shifted argument.
                for shift in [0, 8] {
                    let code = (operation | shift) << 28 | comparison << 24 | 5 << 12 | 6;
                    let one = ptr::without_provenance(1);
                    let result = futex(&words[0], private(FUTEX_WAKE_OP), 1, one, Some(&other), code);
                    seen.push((result, other.load(Ordering::Relaxed)));
                }
            }
        }
        let words = Arc::new([const { AtomicU32::new(0) }; 3]);
        let all = sleepers(&words, &[!0; 2]);
        let one = ptr::without_provenance(1);
        // FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0): wakes at both words, which are one.
        wake_all(2, || futex(&words[1], private(FUTEX_WAKE_OP), 1, one, Some(&words[0]), 0));
        let results: Vec<_> = all.into_iter().map(|thread| thread.join().unwrap()).collect();
        (seen, results)
    });
}

#[test]
fn a_storm_of_fibers_and_threads_loses_no_wake_up() {
    abaca_transparent::threads_are_fibers().unwrap();
    const EACH: u32 = 300;
    // A lock as std's: 0 is free, 1 held, 2 held and somebody may sleep.
    static WORD: AtomicU32 = AtomicU32::new(0);
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    let body = || {
        for round in 0..EACH {
            while WORD.swap(2, Ordering::Acquire) != 0 {
                futex(&WORD, private(FUTEX_WAIT), 2, ptr::null(), None, 0);
            }
            assert_eq!(INSIDE.fetch_add(1, Ordering::Relaxed), 0);
            if round % 8 == 0 {
                thread::yield_now();
            }
            INSIDE.fetch_sub(1, Ordering::Relaxed);
            DONE.fetch_add(1, Ordering::Relaxed);
            if WORD.swap(0, Ordering::Release) == 2 {
                futex(&WORD, private(FUTEX_WAKE), 1, ptr::null(), None, 0);
            }
        }
    };
    let threads: Vec<_> =
        (0..3).map(|_| abaca_transparent::as_kernel_threads(|| thread::spawn(body))).collect();
    let fibers: Vec<_> = (0..20).map(|_| thread::spawn(body)).collect();
    threads.into_iter().chain(fibers).for_each(|thread| thread.join().unwrap());
    assert_eq!(DONE.load(Ordering::Relaxed), 23 * EACH);
}
