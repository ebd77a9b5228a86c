//! A thread that runs while there is something to attend to, and ends when there was nothing for a while.
//!
//! Who brings something counts it, and then looks whether the thread runs; the thread says that it does not run, and then looks at
//! the counts. Each of the four is sequentially consistent, so one of the two sees the other: the thread goes on, or it is
//! started anew. An exchange decides who of several starts it, the ending thread among them.

use crate::atomic::{AtomicBool, Ordering, const_fn};

/// Whether the thread runs.
pub(crate) struct Attendant(AtomicBool);

impl Attendant {
    const_fn! {
        /// It does not run.
        pub(crate) const fn new() -> Self {
            Self(AtomicBool::new(false))
        }
    }

    /// Whether the caller, which has counted something, must start the thread.
    #[inline]
    pub(crate) fn must_start(&self) -> bool {
        between();
        !self.0.load(Ordering::SeqCst) && !self.0.swap(true, Ordering::SeqCst)
    }

    /// Notes that the thread could not be started.
    pub(crate) fn is_not_started(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether the thread, which is the caller, ends: nothing is counted, or another thread has been started by now.
    pub(crate) fn may_end(&self, is_anything_counted: impl FnOnce() -> bool) -> bool {
        self.0.store(false, Ordering::SeqCst);
        between();
        !is_anything_counted() || self.0.swap(true, Ordering::SeqCst)
    }
}

/// Between a change and a look: loom knows the order of fences only, not of sequentially consistent operations.
#[inline(always)]
fn between() {
    #[cfg(loom)]
    crate::atomic::fence(Ordering::SeqCst);
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of the thread's end and of those who bring something: what is brought has exactly one thread to attend to it.

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use loom::thread;

    use super::*;

    #[derive(Default)]
    struct Counts {
        things: AtomicUsize,
        /// Threads that run, and those that were ever started.
        running: AtomicUsize,
    }

    /// Counts one thing; the caller is told to start the thread.
    fn bring(attendant: &Attendant, counts: &Counts) {
        counts.things.fetch_add(1, SeqCst);
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
                .map(|_| {
                    let (attendant, counts) = (attendant.clone(), counts.clone());
                    thread::spawn(move || bring(&attendant, &counts))
                })
                .collect();
            if attendant.may_end(|| counts.things.load(SeqCst) > 0) {
                counts.running.fetch_sub(1, SeqCst);
            }
            bringers.into_iter().for_each(|bringer| bringer.join().unwrap());
            assert_eq!(counts.running.load(SeqCst), 1, "two things are there");
        });
    }
}
