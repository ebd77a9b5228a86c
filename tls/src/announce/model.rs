//! The protocol with loom's words, and `setuid` as libc has it.

use super::*;
use loom::sync::atomic::AtomicU32 as Modelled;
use loom::sync::{Arc, Mutex};
use loom::thread;

impl Word for Modelled {
    fn write(&self, value: u32) {
        self.store(value, Ordering::SeqCst);
    }

    fn read(&self) -> u32 {
        self.load(Ordering::SeqCst)
    }

    fn fence() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

const OWN: u32 = 1;
const OTHER: u32 = 2;

/// What the kernel knows of the thread, under its lock.
#[derive(Default)]
struct Kernel {
    is_gone: bool,
    is_pending: bool,
}

struct Process {
    tid: Modelled,
    cancelling: Modelled,
    kernel: Mutex<Kernel>,
    /// Signals that `setuid` waits for.
    counted: Modelled,
}

impl Process {
    /// The signal's handler, if the signal has arrived.
    fn handle(&self) {
        let mut kernel = self.kernel.lock().expect("no panic");
        if core::mem::take(&mut kernel.is_pending) {
            self.cancelling.fetch_and(!SETXID_BIT, Ordering::SeqCst);
            self.counted.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn set_uid(&self) {
        self.cancelling.fetch_or(SETXID_BIT, Ordering::AcqRel);
        Modelled::fence();
        if self.tid.load(Ordering::Relaxed) == OWN {
            let mut kernel = self.kernel.lock().expect("no panic");
            if !kernel.is_gone {
                kernel.is_pending = true;
                self.counted.fetch_add(1, Ordering::SeqCst);
            }
        }
        while self.counted.load(Ordering::SeqCst) != 0 {
            thread::yield_now();
        }
        self.cancelling.fetch_and(!SETXID_BIT, Ordering::SeqCst);
    }
}

#[test]
fn no_signal_is_lost_with_a_thread_that_leaves() {
    loom::model(|| {
        let process = Arc::new(Process {
            tid: Modelled::new(OWN),
            cancelling: Modelled::new(0),
            kernel: Mutex::default(),
            counted: Modelled::new(0),
        });
        let other = Arc::clone(&process);
        let set_uid = thread::spawn(move || other.set_uid());
        announce(&process.tid, &process.cancelling, OTHER, || {
            process.handle();
            thread::yield_now();
        });
        // The end: a signal that has arrived is lost.
        process.kernel.lock().expect("no panic").is_gone = true;
        // `setuid` returns: with a signal lost it would wait for ever, which loom reports.
        set_uid.join().expect("no panic");
        assert_eq!(process.counted.load(Ordering::SeqCst), 0);
    });
}
