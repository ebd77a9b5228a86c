//! What others do to a thread at which this crate looks is not taken for what the thread does.

#![expect(unsafe_code, reason = "looks at a thread's record, and calls libc")]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::glibc::SETXID_BIT;

/// Makes the calling thread run on this processor alone. Returns whether it may.
fn runs_on(processor: usize) -> bool {
    // SAFETY: the set is a local.
    unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) == 0
    }
}

fn record(glibc: &Glibc) -> Segment {
    Segment { offset: glibc.thread, bytes: glibc.record_bytes, is_wanted: false }
}

/// The words that say whether a new thread can be cancelled, if this happens before each look. Its creator first does something else than
/// to join it.
fn cancelling_beside(meanwhile: &mut dyn FnMut(), before_join: impl FnOnce()) -> Vec<isize> {
    let Ok(glibc) = Glibc::look_up() else { return Vec::new() };
    let words = [Vec::with_capacity(MOST_WORDS), Vec::with_capacity(MOST_WORDS)];
    let mut probe = Probe { glibc: &glibc, seen: empty(), foreign: foreign(&glibc), words };
    // SAFETY: the thread is the calling one.
    let mut look = |own| unsafe { probe.look_at_cancelling(record(&glibc), own, meanwhile) };
    run_in_new_thread_beside(&mut look, before_join).expect("a thread");
    probe.seen.cancelling
}

fn changes_no_other_word(meanwhile: &mut dyn FnMut()) {
    let alone = cancelling_beside(&mut || (), || ());
    assert!((1..=2).contains(&alone.len()) || Glibc::look_up().is_err(), "{alone:?}");
    assert_eq!(cancelling_beside(meanwhile, || ()), alone);
}

#[test]
fn a_thread_that_gets_another_processor_has_changed_no_word() {
    let (mut looks, mut moved) = (0, true);
    changes_no_other_word(&mut || {
        looks += 1;
        moved &= runs_on(looks % 2);
    });
    println!("moved: {moved}");
}

#[test]
fn threads_that_begin_and_end_beside_it_have_changed_no_word() {
    let mut beside = Vec::new();
    // The neighbour of its entry is another thread then: one that begins, and stays until the end.
    changes_no_other_word(&mut || {
        let (stay, ended) = std::sync::mpsc::channel::<()>();
        beside.push((stay, std::thread::spawn(move || ended.recv())));
    });
    for (stay, thread) in beside {
        drop(stay);
        thread.join().expect("no panic").expect_err("nothing is sent");
    }
}

#[test]
fn ids_of_the_process_that_are_set_meanwhile_have_changed_no_word() {
    // libc marks the record of each thread, and waits there.
    changes_no_other_word(&mut || {
        let set = || {
            // SAFETY: they have no preconditions. It is the id that the process has.
            assert_eq!(unsafe { libc::setuid(libc::getuid()) }, 0);
        };
        std::thread::spawn(set).join().expect("no panic");
    });
}

#[test]
fn a_mark_of_setuid_that_is_there_at_some_looks_has_changed_no_word() {
    let glibc = Glibc::look_up();
    let mut is_marked = false;
    changes_no_other_word(&mut || {
        let Ok(glibc) = &glibc else { return };
        // SAFETY: a word of this thread's record, which others change atomically. With a mark, who sets ids meanwhile does not wait for more.
        let cancelling = unsafe { AtomicU32::from_ptr(thread_pointer().at(glibc.cancelling)) };
        // It is gone at the last look: a thread that ends with one waits for `setuid`.
        is_marked = !is_marked;
        if is_marked {
            cancelling.fetch_or(SETXID_BIT, Ordering::SeqCst);
        } else {
            cancelling.fetch_and(!SETXID_BIT, Ordering::SeqCst);
        }
    });
}

#[test]
fn who_joins_it_meanwhile_has_changed_no_word() {
    let Ok(glibc) = Glibc::look_up() else { return };
    let has_looked = AtomicBool::new(false);
    let words = || {
        let own = thread_pointer();
        record(&glibc).words().map(|offset| word(&glibc, own, offset)).collect::<Vec<_>>()
    };
    let mut is_joined = || {
        let before = words();
        if !has_looked.swap(true, Ordering::SeqCst) {
            while words() == before {
                // SAFETY: has no preconditions.
                unsafe { libc::sched_yield() };
            }
        }
    };
    let looked = || {
        while !has_looked.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    };
    assert_eq!(cancelling_beside(&mut is_joined, looked), cancelling_beside(&mut || (), || ()));
}
