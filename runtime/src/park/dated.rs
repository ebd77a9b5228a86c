//! A number that was asked for, and from when the answer is: it serves as long as nothing has changed since.
//!
//! Whoever changes what is asked for raises an epoch afterwards. Who asks has read the epoch before, so an answer is at least as new as the
//! epoch that it is kept with. Answer and epoch are two words. One caller at a time writes them, and nobody writes an older answer over a newer
//! one: otherwise the epoch of one could stand beside the answer of another, which is older.

use crate::atomic::{AtomicU64, Ordering};

/// No epoch: somebody writes the answer.
const WRITTEN: u64 = u64::MAX;

/// See the module's documentation. Epochs start at 1.
pub(crate) struct Dated {
    /// Of what epoch `value` is, or of a later one; 0 if there is none.
    epoch: AtomicU64,
    value: AtomicU64,
}

impl Dated {
    /// No answer.
    pub(crate) fn none() -> Self {
        Self { epoch: AtomicU64::new(0), value: AtomicU64::new(0) }
    }

    /// The answer, if it is of this epoch.
    #[inline]
    pub(crate) fn get(&self, epoch: u64) -> Option<u64> {
        // Acquire: pairs with the Release in `keep`.
        (self.epoch.load(Ordering::Acquire) == epoch).then(|| self.value.load(Ordering::Relaxed))
    }

    /// Keeps an answer that was asked for after the epoch was read, unless there is a newer one, or somebody writes one.
    pub(crate) fn keep(&self, epoch: u64, value: u64) {
        let known = self.epoch.load(Ordering::Relaxed);
        // Acquire: pairs with the Release below, of who has written before.
        let is_callers = known < epoch
            && self.epoch.compare_exchange(known, WRITTEN, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if is_callers {
            self.value.store(value, Ordering::Relaxed);
            self.epoch.store(epoch, Ordering::Release);
        }
    }

    /// Forgets the answer. One that is being written was asked for just now.
    pub(crate) fn forget(&self) {
        let known = self.epoch.load(Ordering::Relaxed);
        if known != WRITTEN {
            // Relaxed, also if it fails: then somebody has asked meanwhile.
            let _ = self.epoch.compare_exchange(known, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of two who ask and keep, and one who changes what they ask for: what is kept for the last epoch is the last value.

    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64;
    use loom::thread;

    use super::*;

    struct Asked {
        dated: Dated,
        epoch: AtomicU64,
        /// The kernel's value, which a system call reads: as if under a lock.
        truth: loom::sync::Mutex<u64>,
    }

    impl Asked {
        fn ask(&self) -> u64 {
            let epoch = self.epoch.load(Ordering::Acquire);
            self.dated.get(epoch).unwrap_or_else(|| {
                let value = *self.truth.lock().unwrap();
                self.dated.keep(epoch, value);
                value
            })
        }

        fn change(&self, value: u64) {
            *self.truth.lock().unwrap() = value;
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    #[test]
    fn an_answer_that_is_kept_for_the_last_epoch_is_the_last() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let truth = loom::sync::Mutex::new(1);
            let asked = Arc::new(Asked { dated: Dated::none(), epoch: AtomicU64::new(1), truth });
            let asker = thread::spawn({
                let asked = asked.clone();
                move || asked.ask()
            });
            let changer = thread::spawn({
                let asked = asked.clone();
                move || {
                    asked.change(2);
                    // Who has changed it is answered so.
                    assert_eq!(asked.ask(), 2);
                }
            });
            let answer = asked.ask();
            assert!([1, 2].contains(&answer));
            assert!([1, 2].contains(&asker.join().unwrap()));
            changer.join().unwrap();
            assert_eq!(asked.ask(), 2);
        });
    }
}
