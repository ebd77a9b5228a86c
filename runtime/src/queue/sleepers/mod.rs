//! Who sleeps, how many search, and whom to wake for work that any worker may take.
//!
//! The protocol, the races and why they cannot happen are told in the README beside this file; read it first. This
//! file owns the two shared facts (the bitmap of sleepers, the count of searchers) and every fence of the protocol.
//! It knows no queue and wakes nobody itself: [`Sleepers::choose`] returns whom to notify.

use std::fmt;

use crate::atomic::{AtomicUsize, Ordering, fence};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod stress;

/// See the module's documentation.
pub(crate) struct Sleepers {
    /// How many [`Search`]es exist. Read by every pusher while somebody sleeps.
    searching: AtomicUsize,
    /// How many may exist by [`start_searching`](Self::start_searching): half of the workers, at least one.
    search_limit: usize,
    /// Bit `n` of the whole: worker `n` has announced that it goes to sleep, and nobody has chosen it yet.
    asleep: Box<[AtomicUsize]>,
}

/// The right and the duty to look into every queue, counted in `searching`. While one exists pushers wake nobody, since
/// whoever holds it will look: it ends in [`Sleepers::stop_searching`] or [`Sleepers::announce`] and nowhere else.
#[derive(Debug)]
#[must_use = "pushers wake nobody until this search ends"]
pub(crate) struct Search(());

impl Sleepers {
    /// For `workers` workers, numbered from 0, all awake.
    pub(crate) fn new(workers: usize) -> Self {
        let words = workers.div_ceil(usize::BITS as usize);
        Self {
            searching: AtomicUsize::new(0),
            search_limit: (workers / 2).max(1),
            asleep: (0..words).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Whether somebody sleeps, at a glance: one load for each 64 workers, which orders nothing.
    ///
    /// A worker on its hot path may skip [`choose`](Self::choose) when this is false **if it looks again** after its
    /// next switch: a false that came a moment too early then costs a moment of parallelism. See the README.
    #[inline]
    pub(crate) fn anyone_asleep(&self) -> bool {
        self.asleep.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Begins a search, for a worker that has run out of work of its own. `None` when enough others search: go to sleep.
    pub(crate) fn start_searching(&self) -> Option<Search> {
        // Relaxed: a search promises something only when it ends.
        self.searching
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.search_limit).then_some(count + 1)
            })
            .is_ok()
            .then_some(Search(()))
    }

    /// Ends a search that found work. True if it was the last one: the caller, before it runs what it found, looks into
    /// the queues once more and, if they hold anything else, wakes the next by [`choose`](Self::choose).
    #[must_use = "the last searcher that finds work wakes the next"]
    pub(crate) fn stop_searching(&self, search: Search) -> bool {
        let Search(()) = search;
        let was_last = self.searching.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last {
            // Pairs with the fence in `choose`: a pusher that counted on this search has pushed what the caller now sees.
            fence(Ordering::SeqCst);
        }
        was_last
    }

    /// `worker` is about to sleep; the search that found nothing, if it had one, ends.
    ///
    /// The caller now looks into **all** queues once more. If it sees something there, it calls [`retract`](Self::retract) and
    /// searches again, with the search from there or from [`start_searching`](Self::start_searching). If not, it sleeps.
    pub(crate) fn announce(&self, worker: usize, search: Option<Search>) {
        let (word, bit) = self.place(worker);
        // Relaxed: the fence orders it.
        let before = word.fetch_or(bit, Ordering::Relaxed);
        debug_assert!(before & bit == 0, "worker {worker} announces twice");
        if let Some(Search(())) = search {
            self.searching.fetch_sub(1, Ordering::Relaxed);
        }
        // Pairs with the fence in `choose`: either that pusher sees the bit, or the caller now sees what was pushed.
        fence(Ordering::SeqCst);
    }

    /// `worker` is awake, whoever woke it. `Some` if it was chosen: a search was begun in its name, and it must search,
    /// or, if it has other work, end the search as one that found work.
    pub(crate) fn retract(&self, worker: usize) -> Option<Search> {
        let (word, bit) = self.place(worker);
        // Acquire: pairs with the Release in `claim_sleeper`, so that the chosen worker finds the work at its first look.
        let before = word.fetch_and(!bit, Ordering::Acquire);
        (before & bit == 0).then_some(Search(()))
    }

    /// Whom to wake for work that was pushed before: a sleeper that nobody else has chosen, in whose name a search now
    /// runs. The caller notifications it. `None` when nobody sleeps, or when somebody searches and will find the work.
    #[must_use = "pushers wake nobody until the chosen worker has been notified and has searched"]
    pub(crate) fn choose(&self) -> Option<usize> {
        loop {
            // Pairs with the fences in `announce` and `stop_searching`: see there.
            fence(Ordering::SeqCst);
            if !self.anyone_asleep() {
                return None;
            }
            // From 0 only, so that of several pushers at the same time one wakes somebody.
            self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
            if let Some(worker) = self.claim_sleeper() {
                return Some(worker);
            }
            // The sleepers have woken up meanwhile. A pusher may have counted on this search, and a worker may have
            // announced itself since: look again, behind a fence, like every search that ends.
            self.searching.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes one sleeper's bit. The lowest, so that light load keeps the same few workers warm.
    fn claim_sleeper(&self) -> Option<usize> {
        for (index, word) in self.asleep.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                // Release: pairs with the Acquire in `retract`.
                bits = word.fetch_and(!bit, Ordering::Release);
                if bits & bit != 0 {
                    return Some(index * usize::BITS as usize + bit.trailing_zeros() as usize);
                }
            }
        }
        None
    }

    /// The word and the bit of `worker`.
    fn place(&self, worker: usize) -> (&AtomicUsize, usize) {
        let bits = usize::BITS as usize;
        (&self.asleep[worker / bits], 1 << (worker % bits))
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asleep: u32 = self.asleep.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        f.debug_struct("Sleepers")
            .field("asleep", &asleep)
            .field("searching", &self.searching.load(Ordering::Relaxed))
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn at_most_half_of_the_workers_search() {
        for (workers, limit) in [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)] {
            let sleepers = Sleepers::new(workers);
            let mut searches: Vec<_> =
                (0..limit).map(|_| sleepers.start_searching().expect("below")).collect();
            assert!(sleepers.start_searching().is_none(), "{workers} workers");
            while let Some(search) = searches.pop() {
                assert_eq!(sleepers.stop_searching(search), searches.is_empty(), "the last one is told");
            }
            assert!(sleepers.start_searching().is_some());
        }
    }

    #[test]
    fn nobody_is_chosen_while_somebody_searches_or_nobody_sleeps() {
        let sleepers = Sleepers::new(2);
        assert_eq!(sleepers.choose(), None);
        sleepers.announce(1, None);
        assert!(sleepers.anyone_asleep());
        let search = sleepers.start_searching().expect("nobody searches");
        assert_eq!(sleepers.choose(), None);
        sleepers.announce(0, Some(search));
        assert_eq!(sleepers.choose(), Some(0), "its search has ended");
        assert_eq!(sleepers.choose(), None, "a search began in its name");
        let search = sleepers.retract(0).expect("it was chosen");
        assert!(sleepers.stop_searching(search));
        assert_eq!(sleepers.choose(), Some(1));
    }

    #[test]
    fn a_worker_that_wakes_by_itself_is_not_chosen_any_more() {
        let sleepers = Sleepers::new(3);
        sleepers.announce(0, None);
        sleepers.announce(2, None);
        assert!(sleepers.retract(0).is_none());
        assert_eq!(sleepers.choose(), Some(2));
        assert!(!sleepers.anyone_asleep());
    }

    #[test]
    fn every_worker_can_be_chosen_however_many_there_are() {
        let workers = 2 * usize::BITS as usize + 1;
        let sleepers = Sleepers::new(workers);
        (0..workers).for_each(|worker| sleepers.announce(worker, None));
        for worker in 0..workers {
            assert_eq!(sleepers.choose(), Some(worker));
            let search = sleepers.retract(worker).expect("it was chosen");
            assert!(sleepers.stop_searching(search));
        }
        assert_eq!(sleepers.choose(), None);
    }
}
