//! Threads that others send signals to: the handler runs on the thread, and its call ends or goes on.

#![expect(unsafe_code, reason = "calls C functions")]

use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use libc::{FILE, SA_RESTART, SIG_BLOCK, SIG_UNBLOCK, SIGABRT, SIGUSR1, SIGUSR2, c_int};

use crate::masks::change;
use crate::{HANDLER, LONG, POSTS, outcome, semaphore, set_up};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn flockfile(file: *mut FILE);
    fn funlockfile(file: *mut FILE);
}

/// Sends signals to threads that wait, and says how each wait has ended.
pub(super) fn kills() {
    for flags in [0, SA_RESTART] {
        set_up(SIGUSR1, flags);
        for wait in ["read", "poll", "nanosleep", "sem_wait"] {
            if flags == SA_RESTART && wait == "sem_wait" {
                continue;
            }
            let (reader, writer) = std::io::pipe().unwrap();
            HANDLER.store(0, SeqCst);
            let ready = Arc::new(AtomicBool::new(false));
            let thread = std::thread::spawn({
                let ready = ready.clone();
                move || {
                    let fd = reader.as_raw_fd();
                    ready.store(true, SeqCst);
                    // SAFETY: valid arguments.
                    let ended = unsafe {
                        match wait {
                            "read" => outcome(libc::read(fd, [0_u8; 8].as_mut_ptr().cast(), 8)),
                            "poll" => {
                                let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                                outcome(libc::poll(&mut entry, 1, -1) as isize)
                            }
                            "nanosleep" => outcome(libc::nanosleep(&LONG, null_mut()) as isize),
                            _ => outcome(libc::sem_wait(semaphore()) as isize),
                        }
                    };
                    // SAFETY: it takes nothing.
                    let own = unsafe { libc::pthread_self() } as usize;
                    format!("{ended}, its own handler: {}", HANDLER.load(SeqCst) == own)
                }
            });
            while !ready.load(SeqCst) {
                std::thread::yield_now();
            }
            let mut writer = Some(writer);
            while !thread.is_finished() {
                // SAFETY: it is joined later.
                assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) }, 0);
                std::thread::sleep(std::time::Duration::from_millis(1));
                if flags == SA_RESTART && HANDLER.load(SeqCst) != 0 && wait == "read" {
                    drop(writer.take());
                }
            }
            println!("{wait}, flags {flags:#x}: {}", thread.join().unwrap());
        }
    }
}

/// A thread interrupts the main one, by the number that this was told.
pub(super) fn of_main() {
    set_up(SIGUSR1, 0);
    // SAFETY: it takes nothing.
    let main = unsafe { libc::pthread_self() } as usize;
    let is_over = Arc::new(AtomicBool::new(false));
    let theirs = is_over.clone();
    let sender = std::thread::spawn(move || {
        let mut results = std::collections::BTreeSet::new();
        // Again and again, so that a signal comes while the read waits, however late it begins.
        while !theirs.load(SeqCst) {
            // SAFETY: the main thread lives as long as the process.
            results.insert(unsafe { libc::pthread_kill(main as libc::pthread_t, SIGUSR1) });
            std::thread::yield_now();
        }
        results
    });
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut byte = 0_u8;
    // SAFETY: one byte.
    let read = unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
    let ended = outcome(read);
    is_over.store(true, SeqCst);
    println!("pthread_kill of the main thread: {ended}, {:?}", sender.join().unwrap());
}

/// A handler runs while a thread waits for the lock of a file, which that does not end.
pub(super) fn beside_a_lock() {
    set_up(SIGUSR1, 0);
    HANDLER.store(0, SeqCst);
    let (_reader, writer) = std::io::pipe().unwrap();
    // SAFETY: a descriptor of this function's, whose file stays open.
    let file = unsafe { libc::fdopen(writer.as_raw_fd(), c"w".as_ptr()) };
    std::mem::forget(writer);
    // SAFETY: the file is open, here and below.
    unsafe { flockfile(file) };
    let place = file.expose_provenance();
    let thread = std::thread::spawn(move || {
        let file = std::ptr::with_exposed_provenance_mut(place);
        // SAFETY: as above.
        outcome(unsafe { libc::fputs(c"abc".as_ptr(), file) } as isize)
    });
    while HANDLER.load(SeqCst) == 0 {
        // SAFETY: it is joined later.
        assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) }, 0);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // SAFETY: as above.
    unsafe { funlockfile(file) };
    println!("a handler beside a lock: {}", thread.join().unwrap());
    // SAFETY: as above.
    unsafe { libc::fclose(file) };
}

/// What all other threads block is the main thread's, also while it is in a handler of that signal.
pub(super) fn for_main() {
    set_up(SIGUSR2, 0);
    POSTS.store(true, SeqCst);
    let is_over = Arc::new(AtomicBool::new(false));
    let busy = std::thread::spawn({
        let is_over = is_over.clone();
        move || {
            change(SIG_BLOCK, &[SIGUSR2]);
            while !is_over.load(SeqCst) {}
        }
    });
    let sender = std::thread::spawn(|| {
        change(SIG_BLOCK, &[SIGUSR2]);
        // SAFETY: valid arguments.
        let sends = || unsafe {
            assert_eq!(libc::kill(libc::getpid(), SIGUSR2), 0);
            libc::sem_wait(semaphore()) == 0
        };
        (0..300).filter(|_| sends()).count()
    });
    println!("handlers for the main thread: {}", sender.join().unwrap());
    is_over.store(true, SeqCst);
    busy.join().unwrap();
    POSTS.store(false, SeqCst);
}

/// SIGABRT is sent and handled as any other.
pub(super) fn aborts() {
    set_up(SIGABRT, 0);
    let thread = std::thread::spawn(|| {
        // SAFETY: it takes nothing.
        outcome(unsafe { libc::pause() } as isize)
    });
    // One that comes before the pause does not end it.
    while !thread.is_finished() {
        // SAFETY: it is joined later.
        assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGABRT) }, 0);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    println!("SIGABRT: {}", thread.join().unwrap());
}

/// How often the inner handler has run.
static INNER: AtomicUsize = AtomicUsize::new(0);

/// The handler of a signal sends its thread another one, which the thread blocks.
pub(super) fn in_a_handler() {
    extern "C" fn outer(_: c_int) {
        // SAFETY: it may be called in a handler.
        unsafe { libc::raise(SIGUSR2) };
        HANDLER.store(1, SeqCst);
    }
    extern "C" fn inner(_: c_int) {
        INNER.fetch_add(1, SeqCst);
    }
    HANDLER.store(0, SeqCst);
    for (signal, handler) in [(SIGUSR1, outer as *const ()), (SIGUSR2, inner as *const ())] {
        // SAFETY: the handlers may run at any time.
        unsafe { libc::signal(signal, handler as usize) };
    }
    change(SIG_BLOCK, &[SIGUSR2]);
    let thread = std::thread::spawn(|| {
        while HANDLER.load(SeqCst) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let before = INNER.load(SeqCst);
        change(SIG_UNBLOCK, &[SIGUSR2]);
        format!("{before} times, then {}", INNER.load(SeqCst) > 0)
    });
    while HANDLER.load(SeqCst) == 0 {
        // SAFETY: it is joined later.
        assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) }, 0);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    println!("what a handler sends to who blocks it is handled {}", thread.join().unwrap());
    change(SIG_UNBLOCK, &[SIGUSR2]);
}
