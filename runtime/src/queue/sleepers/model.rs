//! The idle protocol as a whole, modelled: [`Sleepers`] and inboxes around queues whose own operations order nothing,
//! so that every guarantee must come from the protocol.
//!
//! The oracle is the strongest wish there is: **each worker runs only one task**, as if tasks ran forever. Then no worker
//! is rescued by another which comes back to look, and yet all tasks must be run once every poke that is owed has been
//! delivered.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::queue::Inbox;
use crate::queue::item::Item;

const WORKERS: usize = 2;

struct Workers {
    sleepers: Sleepers,
    /// Used for their sleep state only.
    inboxes: [Inbox<Item>; WORKERS],
    /// Queues from which any worker may take; a queue holds a task while its word is 1.
    queues: [AtomicUsize; 2],
}

/// What became of a worker.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// It runs a task, for ever.
    Runs,
    /// It is in the kernel and will stay there until it is poked.
    Sleeps,
}

/// The workers which somebody owes a poke.
type Pokes = Vec<usize>;

impl Workers {
    fn new() -> Self {
        Self {
            sleepers: Sleepers::new(WORKERS),
            inboxes: std::array::from_fn(|_| Inbox::new()),
            queues: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// What a pusher does.
    fn push(&self, queue: usize, pokes: &mut Pokes) {
        self.queues[queue].store(1, Ordering::Relaxed);
        self.wake_one(pokes);
    }

    fn wake_one(&self, pokes: &mut Pokes) {
        if let Some(worker) = self.sleepers.choose()
            && self.inboxes[worker].poke()
        {
            pokes.push(worker);
        }
    }

    fn has_tasks(&self) -> bool {
        self.queues.iter().any(|queue| queue.load(Ordering::Relaxed) == 1)
    }

    fn take(&self) -> bool {
        let take =
            |queue: &AtomicUsize| queue.load(Ordering::Relaxed) == 1 && queue.swap(0, Ordering::Relaxed) == 1;
        self.queues.iter().any(take)
    }

    /// A worker that has run out of work of its own, possibly with a search that was begun in its name.
    fn out_of_work(&self, me: usize, mut search: Option<Search>, pokes: &mut Pokes) -> End {
        loop {
            search = search.or_else(|| self.sleepers.start_searching());
            if search.is_some() && self.take() {
                return self.found(search, pokes);
            }
            self.sleepers.announce(me, search);
            if self.has_tasks() {
                search = self.sleepers.retract(me).or_else(|| self.sleepers.start_searching());
                if self.take() {
                    return self.found(search, pokes);
                }
                continue;
            }
            if self.inboxes[me].begin_sleep() {
                return End::Sleeps;
            }
            search = self.awake(me).1;
        }
    }

    /// A worker has found a task.
    fn found(&self, search: Option<Search>, pokes: &mut Pokes) -> End {
        if search.is_some_and(|search| self.sleepers.stop_searching(search)) && self.has_tasks() {
            self.wake_one(pokes);
        }
        End::Runs
    }

    /// A worker comes back from the kernel, or was refused its sleep. True if it woke by itself.
    fn awake(&self, me: usize) -> (bool, Option<Search>) {
        let by_itself = self.inboxes[me].end_sleep();
        assert!(self.inboxes[me].drain().pop_front().is_none());
        (by_itself, self.sleepers.retract(me))
    }

    /// Delivers the pokes that are owed, one after the other, until all is quiet, and consults the oracle.
    fn settle(&self, mut ends: [End; WORKERS], mut pokes: Pokes) {
        while let Some(worker) = pokes.pop() {
            assert_eq!(ends[worker], End::Sleeps, "only a sleeper is owed a poke");
            let (by_itself, search) = self.awake(worker);
            assert!(!by_itself, "a poke that is owed has ended the sleep");
            ends[worker] = self.out_of_work(worker, search, &mut pokes);
        }
        assert_eq!(self.sleepers.searching.load(Ordering::Relaxed), 0, "a search never ended");
        assert!(
            !self.has_tasks() || !ends.contains(&End::Sleeps),
            "a task waits while a worker sleeps: {ends:?}"
        );
    }

    /// Puts a worker to sleep before the race begins.
    fn asleep(&self, worker: usize) -> End {
        self.out_of_work(worker, None, &mut Vec::new())
    }
}

/// Runs `part` beside the others; returns how it ended and which pokes it owes.
fn beside<E: 'static>(
    workers: &Arc<Workers>,
    part: impl FnOnce(&Workers, &mut Pokes) -> E + 'static,
) -> thread::JoinHandle<(E, Pokes)> {
    let workers = Arc::clone(workers);
    thread::spawn(move || {
        let mut pokes = Vec::new();
        (part(&workers, &mut pokes), pokes)
    })
}

/// Checks all interleavings with at most `preemptions`. Of three threads, two preemptions let every pair of steps meet in
/// either order; a third is there where it is cheap.
fn check(preemptions: usize, race: impl Fn(Arc<Workers>) + Send + Sync + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || race(Arc::new(Workers::new())));
}

#[test]
fn model_tasks_are_found_by_workers_that_fall_asleep() {
    check(2, |workers| {
        let idle =
            [0, 1].map(|me| beside(&workers, move |workers, pokes| workers.out_of_work(me, None, pokes)));
        let mut pokes = Vec::new();
        workers.push(0, &mut pokes);
        workers.push(1, &mut pokes);
        let ends = idle.map(|idle| {
            let (end, owed) = idle.join().unwrap();
            pokes.extend(owed);
            end
        });
        workers.settle(ends, pokes);
    });
}

#[test]
fn model_a_searcher_that_finds_one_of_two_tasks_wakes_a_sleeper_for_the_other() {
    check(3, |workers| {
        let sleeper = workers.asleep(1);
        let searcher = beside(&workers, |workers, pokes| workers.out_of_work(0, None, pokes));
        let pusher = beside(&workers, |workers, pokes| workers.push(0, pokes));
        let mut pokes = Vec::new();
        workers.push(1, &mut pokes);
        pokes.extend(pusher.join().unwrap().1);
        let (searcher, owed) = searcher.join().unwrap();
        pokes.extend(owed);
        workers.settle([searcher, sleeper], pokes);
    });
}

#[test]
fn model_of_two_pushers_one_wakes_a_sleeper_and_that_one_the_next() {
    check(3, |workers| {
        let ends = [workers.asleep(0), workers.asleep(1)];
        let pusher = beside(&workers, |workers, pokes| workers.push(0, pokes));
        let mut pokes = Vec::new();
        workers.push(1, &mut pokes);
        pokes.extend(pusher.join().unwrap().1);
        assert_eq!(pokes.len(), 1, "one wakes, the other relies on it");
        workers.settle(ends, pokes);
    });
}

#[test]
fn model_a_sleeper_may_wake_by_itself_while_it_is_chosen() {
    check(3, |workers| {
        let _ = workers.asleep(0);
        let sleeper = beside(&workers, |workers, pokes| {
            // A timer, say.
            let (by_itself, search) = workers.awake(0);
            (by_itself, workers.out_of_work(0, search, pokes))
        });
        let pusher = beside(&workers, |workers, pokes| workers.push(0, pokes));
        let mut pokes = Vec::new();
        workers.push(1, &mut pokes);
        pokes.extend(pusher.join().unwrap().1);
        let ((by_itself, end), owed) = sleeper.join().unwrap();
        assert!(owed.is_empty(), "there is nobody else to poke");
        if !by_itself {
            // Both came at once: this poke was owed to the sleep that is over and must not count for the next one.
            pokes.pop().expect("somebody ended the first sleep");
        }
        workers.settle([end, End::Runs], pokes);
    });
}

#[test]
fn model_a_pusher_may_rely_on_another_whose_choice_comes_to_nothing() {
    check(3, |workers| {
        let _ = workers.asleep(0);
        let sleeper = beside(&workers, |workers, pokes| {
            let (by_itself, search) = workers.awake(0);
            (by_itself, workers.out_of_work(0, search, pokes))
        });
        let pusher = beside(&workers, |workers, pokes| workers.push(0, pokes));
        let mut pokes = Vec::new();
        // For a task that somebody has taken meanwhile.
        workers.wake_one(&mut pokes);
        pokes.extend(pusher.join().unwrap().1);
        let ((by_itself, end), _) = sleeper.join().unwrap();
        if !by_itself {
            pokes.pop().expect("somebody ended the first sleep");
        }
        workers.settle([end, End::Runs], pokes);
    });
}
