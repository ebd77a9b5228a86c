//! Notes of handlers of signals.

#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export them, which the models do without"))]

use crate::atomic::{AtomicU64, Ordering, const_fn};

/// Notes that one side takes down, in handlers of signals also, and another acts upon, which sleeps as long as there is none.
///
/// Who notes rings the bell afterwards, and who was woken by the bell takes what is noted afterwards: so the last ring is followed by a look
/// that sees all notes. Rings may be counted together.
#[derive(Debug)]
pub struct Notes(AtomicU64);

impl Default for Notes {
    fn default() -> Self {
        Self::new()
    }
}

impl Notes {
    const_fn! {
        /// No notes.
        pub const fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// Notes bits, and calls `ring`, which wakes the other side. May be called in a handler, if `ring` may.
    pub fn note(&self, bits: u64, ring: impl FnOnce()) {
        // Release: pairs with the Acquire in `next`.
        self.0.fetch_or(bits, Ordering::Release);
        ring();
    }

    /// Calls `sleep`, which returns after a ring, and takes what is noted by then.
    pub fn next(&self, sleep: impl FnOnce()) -> u64 {
        sleep();
        self.take()
    }

    /// Takes what is noted.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Acquire)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of handlers that note while the other side acts: nothing that was noted stays.

    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    #[test]
    fn nothing_that_handlers_note_is_left() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let notes = Arc::new(Notes::new());
            // An eventfd: rings are counted, and a look takes them all.
            let bell = Arc::new((Mutex::new(0), Condvar::new()));
            let handlers: Vec<_> = [1, 2]
                .map(|bit| {
                    let (notes, bell) = (notes.clone(), bell.clone());
                    thread::spawn(move || {
                        notes.note(bit, || {
                            *bell.0.lock().unwrap() += 1;
                            bell.1.notify_one();
                        });
                    })
                })
                .into();
            let mut seen = 0;
            while seen != 3 {
                seen |= notes.next(|| {
                    let mut rings = bell.0.lock().unwrap();
                    while *rings == 0 {
                        rings = bell.1.wait(rings).unwrap();
                    }
                    *rings = 0;
                });
            }
            handlers.into_iter().for_each(|handler| handler.join().unwrap());
        });
    }
}
