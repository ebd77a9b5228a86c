//! The set of sleeping workers, the number of searchers, and which worker to wake for work that any worker may take.
//!
//! The README beside this file describes the protocol and its races; read it first. This file owns the two shared facts
//! (the bitmap of sleepers, the count of searchers) and every fence of the protocol.
//! It knows no queue and wakes no worker itself: [`Sleepers::choose`] returns the worker to notify.

use std::fmt;

use crossbeam_utils::CachePadded;

use crate::atomic::{AtomicUsize, Ordering, fence};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod stress;

/// See the module's documentation.
pub(crate) struct Sleepers {
    /// Number of [`Search`]es that exist. Every pusher reads it while a worker sleeps.
    searching: CachePadded<AtomicUsize>,
    /// The limit of [`start_searching`](Self::start_searching): half of the workers, at least one.
    search_limit: usize,
    /// Bit `n` of the whole: worker `n` has announced that it goes to sleep, and no pusher has chosen it yet.
    asleep: Box<[CachePadded<AtomicUsize>]>,
}

/// A search: its owner must look into every queue. It is counted in `searching`. While a search exists, pushers wake no
/// worker, because its owner will look. It ends only in [`Sleepers::stop_searching`] or [`Sleepers::announce`].
#[derive(Debug)]
#[must_use = "pushers wake no worker until this search ends"]
pub(crate) struct Search(());

impl Sleepers {
    /// For `workers` workers, numbered from 0, all of them awake.
    pub(crate) fn new(workers: usize) -> Self {
        let words = workers.div_ceil(usize::BITS as usize);
        Self {
            searching: CachePadded::new(AtomicUsize::new(0)),
            search_limit: (workers / 2).max(1),
            asleep: (0..words).map(|_| CachePadded::new(AtomicUsize::new(0))).collect(),
        }
    }

    /// Whether a worker sleeps. One load for each 64 workers, which orders nothing.
    ///
    /// A worker on its hot path may skip [`choose`](Self::choose) if this is false, **provided that it looks again** after its
    /// next switch. A false that came a moment too early then costs a moment of parallelism. See the README.
    #[inline]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.asleep.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Begins a search, for a worker that has run out of work of its own. `None` if enough others search: it then goes to sleep.
    pub(crate) fn start_searching(&self) -> Option<Search> {
        // Relaxed: others rely on a search only through the fence at its end.
        self.searching
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.search_limit).then_some(count + 1)
            })
            .is_ok()
            .then_some(Search(()))
    }

    /// Ends a search that found work. Returns `true` if it was the last one. The caller then looks into the queues once more
    /// before it runs what it found, and, if they hold anything else, wakes the next worker by [`choose`](Self::choose).
    #[must_use = "the last searcher that finds work wakes the next worker"]
    pub(crate) fn stop_searching(&self, search: Search) -> bool {
        let Search(()) = search;
        let was_last = self.searching.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last {
            // Pairs with the fence in `choose`: the caller now sees the push of each pusher that relied on this search.
            fence(Ordering::SeqCst);
        }
        was_last
    }

    /// Announces that `worker` is about to sleep. The search that found nothing, if there is one, ends.
    ///
    /// The caller now looks into **all** queues once more. If it sees something there, it calls [`retract`](Self::retract) and
    /// searches again, with the search from there or from [`start_searching`](Self::start_searching). If not, it sleeps.
    pub(crate) fn announce(&self, worker: usize, search: Option<Search>) {
        let (word, bit) = self.word_and_bit(worker);
        // Relaxed: the fence orders it.
        let before = word.fetch_or(bit, Ordering::Relaxed);
        debug_assert!(before & bit == 0, "worker {worker} announces twice");
        if let Some(Search(())) = search {
            self.searching.fetch_sub(1, Ordering::Relaxed);
        }
        // Pairs with the fence in `choose`: either the pusher sees the bit, or the caller now sees what was pushed.
        fence(Ordering::SeqCst);
    }

    /// Reports that `worker` is awake, for whatever reason. `Some` if it was chosen: a search was begun in its name. It must
    /// search, or, if it has other work, end the search as one that found work.
    pub(crate) fn retract(&self, worker: usize) -> Option<Search> {
        let (word, bit) = self.word_and_bit(worker);
        // Acquire: pairs with the Release in `claim_sleeper`, so that the chosen worker finds the work when it first looks.
        let before = word.fetch_and(!bit, Ordering::Acquire);
        (before & bit == 0).then_some(Search(()))
    }

    /// The worker to wake for work that was pushed before: a sleeper that no other pusher has chosen, in whose name a search
    /// now runs. The caller notifies it. `None` if no worker sleeps, or if a searcher will find the work.
    #[must_use = "pushers wake no worker until the chosen one has been notified and has searched"]
    pub(crate) fn choose(&self) -> Option<usize> {
        loop {
            // Pairs with the fences in `announce` and `stop_searching`: see there.
            fence(Ordering::SeqCst);
            if !self.has_sleepers() {
                return None;
            }
            // From 0 only, so that of several concurrent pushers one wakes a worker.
            self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
            if let Some(worker) = self.claim_sleeper() {
                return Some(worker);
            }
            // The sleepers have woken up meanwhile. A pusher may have relied on this search, and a worker may have
            // announced itself since: look again behind a fence, like every search that ends.
            self.searching.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Clears one sleeper's bit: the lowest, so that light load keeps the same few workers warm.
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
    fn word_and_bit(&self, worker: usize) -> (&AtomicUsize, usize) {
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
                assert_eq!(sleepers.stop_searching(search), searches.is_empty(), "true for the last one");
            }
            assert!(sleepers.start_searching().is_some());
        }
    }

    #[test]
    fn no_worker_is_chosen_while_one_searches_or_none_sleeps() {
        let sleepers = Sleepers::new(2);
        assert_eq!(sleepers.choose(), None);
        sleepers.announce(1, None);
        assert!(sleepers.has_sleepers());
        let search = sleepers.start_searching().expect("no worker searches");
        assert_eq!(sleepers.choose(), None);
        sleepers.announce(0, Some(search));
        assert_eq!(sleepers.choose(), Some(0), "its search has ended");
        assert_eq!(sleepers.choose(), None, "a search began in its name");
        let search = sleepers.retract(0).expect("it was chosen");
        assert!(sleepers.stop_searching(search));
        assert_eq!(sleepers.choose(), Some(1));
    }

    #[test]
    fn a_worker_that_wakes_by_itself_is_no_longer_chosen() {
        let sleepers = Sleepers::new(3);
        sleepers.announce(0, None);
        sleepers.announce(2, None);
        assert!(sleepers.retract(0).is_none());
        assert_eq!(sleepers.choose(), Some(2));
        assert!(!sleepers.has_sleepers());
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
