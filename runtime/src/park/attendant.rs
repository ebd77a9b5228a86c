//! A thread that runs while there is something to attend to, and ends when there was nothing for a while.
//!
//! Who brings something shows it, and then looks whether the thread runs; the thread says that it does not run, and then looks at
//! what is shown. A fence stands between the two steps on both sides, so one of the two sees the other: the thread goes on, or it is
//! started anew. It seldom ends, so the fence of those who bring something is the light one (`os/barrier.rs`). An exchange decides
//! who of several starts it, the ending thread among them.

use crate::atomic::{AtomicBool, Ordering, const_fn};
use crate::os::barrier;

/// Whether the thread runs.
pub(crate) struct Attendant(AtomicBool);

impl Attendant {
    const_fn! {
        /// It does not run.
        pub(crate) const fn new() -> Self {
            Self(AtomicBool::new(false))
        }
    }

    /// Whether the caller, which has shown something, must start the thread.
    #[inline]
    pub(crate) fn must_start(&self) -> bool {
        barrier::light();
        !self.0.load(Ordering::SeqCst) && !self.0.swap(true, Ordering::SeqCst)
    }

    /// Notes that the thread could not be started.
    pub(crate) fn is_not_started(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether the thread, which is the caller, ends: nothing is shown, or another thread has been started by now.
    ///
    /// # Panics
    ///
    /// As [`barrier::heavy`].
    pub(crate) fn may_end(&self, is_anything_shown: impl FnOnce() -> bool) -> bool {
        self.0.store(false, Ordering::SeqCst);
        barrier::heavy();
        !is_anything_shown() || self.0.swap(true, Ordering::SeqCst)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of the thread's end and of those who bring something: what is brought has exactly one thread to attend to it.

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Release, Ordering::SeqCst};
    use loom::thread;

    use super::*;

    #[derive(Default)]
    struct Counts {
        things: [AtomicUsize; 2],
        /// Threads that run, and those that were ever started.
        running: AtomicUsize,
    }

    /// Shows one thing; the caller is told to start the thread.
    fn bring(attendant: &Attendant, counts: &Counts, thing: usize) {
        counts.things[thing].store(1, Release);
        if attendant.must_start() {
            counts.running.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn what_is_brought_while_the_thread_ends_has_one_thread() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let (attendant, counts) = (Arc::new(Attendant::new()), Arc::new(Counts::default()));
            // It was started for something that is gone.
            assert!(attendant.must_start());
            counts.running.store(1, SeqCst);
            let bringers: Vec<_> = (0..2)
                .map(|thing| {
                    let (attendant, counts) = (attendant.clone(), counts.clone());
                    thread::spawn(move || bring(&attendant, &counts, thing))
                })
                .collect();
            if attendant.may_end(|| counts.things.iter().any(|thing| thing.load(Acquire) > 0)) {
                counts.running.fetch_sub(1, SeqCst);
            }
            bringers.into_iter().for_each(|bringer| bringer.join().unwrap());
            assert_eq!(counts.running.load(SeqCst), 1, "two things are there");
        });
    }
}
