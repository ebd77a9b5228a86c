//! The idle protocol as a whole, modelled: [`Sleepers`] and inboxes around queues whose own operations order nothing,
//! so that every guarantee must come from the protocol.
//!
//! The oracle is as strict as possible: **each worker runs only one item**, as if items ran forever. So no worker is
//! rescued by another worker that comes back to look, and yet all items must have been run once every pending notification
//! has been delivered.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::queue::Inbox;
use crate::queue::item::Item;

const WORKERS: usize = 2;

struct Workers {
    sleepers: Sleepers,
    /// Only their sleep state is used.
    inboxes: [Inbox<Item>; WORKERS],
    /// Queues from which any worker may take. A queue holds an item while its word is 1.
    queues: [AtomicUsize; 2],
}

/// The final state of a worker.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// It runs an item, for ever.
    Runs,
    /// It is in the kernel and will stay there until it is notified.
    Sleeps,
}

/// The workers to notify.
type Notifications = Vec<usize>;

impl Workers {
    fn new() -> Self {
        Self {
            sleepers: Sleepers::new(WORKERS),
            inboxes: std::array::from_fn(|_| Inbox::new()),
            queues: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// The steps of a pusher.
    fn push(&self, queue: usize, notifications: &mut Notifications) {
        self.queues[queue].store(1, Ordering::Relaxed);
        self.wake_one(notifications);
    }

    fn wake_one(&self, notifications: &mut Notifications) {
        if let Some(worker) = self.sleepers.choose()
            && self.inboxes[worker].notify()
        {
            notifications.push(worker);
        }
    }

    fn has_items(&self) -> bool {
        self.queues.iter().any(|queue| queue.load(Ordering::Relaxed) == 1)
    }

    fn take(&self) -> bool {
        let take =
            |queue: &AtomicUsize| queue.load(Ordering::Relaxed) == 1 && queue.swap(0, Ordering::Relaxed) == 1;
        self.queues.iter().any(take)
    }

    /// The steps of a worker that has run out of work of its own, possibly with a search that was begun in its name.
    fn out_of_work(&self, me: usize, mut search: Option<Search>, notifications: &mut Notifications) -> End {
        loop {
            search = search.or_else(|| self.sleepers.start_searching());
            if search.is_some() && self.take() {
                return self.found(search, notifications);
            }
            self.sleepers.announce(me, search);
            if self.has_items() {
                search = self.sleepers.retract(me).or_else(|| self.sleepers.start_searching());
                if self.take() {
                    return self.found(search, notifications);
                }
                continue;
            }
            if self.inboxes[me].begin_sleep() {
                return End::Sleeps;
            }
            search = self.awake(me).1;
        }
    }

    /// A worker has found an item.
    fn found(&self, search: Option<Search>, notifications: &mut Notifications) -> End {
        if search.is_some_and(|search| self.sleepers.stop_searching(search)) && self.has_items() {
            self.wake_one(notifications);
        }
        End::Runs
    }

    /// A worker comes back from the kernel, or was refused its sleep. `true` if it woke by itself.
    fn awake(&self, me: usize) -> (bool, Option<Search>) {
        let by_itself = self.inboxes[me].end_sleep();
        assert!(self.inboxes[me].drain().pop_front().is_none());
        (by_itself, self.sleepers.retract(me))
    }

    /// Delivers the pending notifications, one after the other, until all is quiet. Then consults the oracle.
    fn deliver(&self, mut ends: [End; WORKERS], mut notifications: Notifications) {
        while let Some(worker) = notifications.pop() {
            assert_eq!(ends[worker], End::Sleeps, "only a sleeper is notified");
            let (by_itself, search) = self.awake(worker);
            assert!(!by_itself, "a pending notification has ended the sleep");
            ends[worker] = self.out_of_work(worker, search, &mut notifications);
        }
        assert_eq!(self.sleepers.searching.load(Ordering::Relaxed), 0, "a search never ended");
        assert!(
            !self.has_items() || !ends.contains(&End::Sleeps),
            "an item waits while a worker sleeps: {ends:?}"
        );
    }

    /// Puts a worker to sleep before the race begins.
    fn asleep(&self, worker: usize) -> End {
        self.out_of_work(worker, None, &mut Vec::new())
    }
}

/// Runs `part` beside the others. Returns its result and the notifications to deliver.
fn beside<E: 'static>(
    workers: &Arc<Workers>,
    part: impl FnOnce(&Workers, &mut Notifications) -> E + 'static,
) -> thread::JoinHandle<(E, Notifications)> {
    let workers = Arc::clone(workers);
    thread::spawn(move || {
        let mut notifications = Vec::new();
        (part(&workers, &mut notifications), notifications)
    })
}

/// Checks all interleavings with at most `preemptions` preemptions. Of three threads, two preemptions let every pair of
/// steps meet in either order; a third is used where it is cheap.
fn check(preemptions: usize, race: impl Fn(Arc<Workers>) + Send + Sync + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || race(Arc::new(Workers::new())));
}

#[test]
fn model_items_are_found_by_workers_that_fall_asleep() {
    check(2, |workers| {
        let idle = [0, 1].map(|me| {
            beside(&workers, move |workers, notifications| workers.out_of_work(me, None, notifications))
        });
        let mut notifications = Vec::new();
        workers.push(0, &mut notifications);
        workers.push(1, &mut notifications);
        let ends = idle.map(|idle| {
            let (end, pending) = idle.join().unwrap();
            notifications.extend(pending);
            end
        });
        workers.deliver(ends, notifications);
    });
}

#[test]
fn model_a_searcher_that_finds_one_of_two_items_wakes_a_sleeper_for_the_other() {
    check(3, |workers| {
        let sleeper = workers.asleep(1);
        let searcher = beside(&workers, |workers, notifications| workers.out_of_work(0, None, notifications));
        let pusher = beside(&workers, |workers, notifications| workers.push(0, notifications));
        let mut notifications = Vec::new();
        workers.push(1, &mut notifications);
        notifications.extend(pusher.join().unwrap().1);
        let (searcher, pending) = searcher.join().unwrap();
        notifications.extend(pending);
        workers.deliver([searcher, sleeper], notifications);
    });
}

#[test]
fn model_of_two_pushers_one_wakes_a_sleeper_which_wakes_the_next() {
    check(3, |workers| {
        let ends = [workers.asleep(0), workers.asleep(1)];
        let pusher = beside(&workers, |workers, notifications| workers.push(0, notifications));
        let mut notifications = Vec::new();
        workers.push(1, &mut notifications);
        notifications.extend(pusher.join().unwrap().1);
        assert_eq!(notifications.len(), 1, "one pusher wakes, the other relies on it");
        workers.deliver(ends, notifications);
    });
}

#[test]
fn model_a_sleeper_may_wake_by_itself_while_it_is_chosen() {
    check(3, |workers| {
        let _ = workers.asleep(0);
        let sleeper = beside(&workers, |workers, notifications| {
            // Because of a timer, for example.
            let (by_itself, search) = workers.awake(0);
            (by_itself, workers.out_of_work(0, search, notifications))
        });
        let pusher = beside(&workers, |workers, notifications| workers.push(0, notifications));
        let mut notifications = Vec::new();
        workers.push(1, &mut notifications);
        notifications.extend(pusher.join().unwrap().1);
        let ((by_itself, end), pending) = sleeper.join().unwrap();
        assert!(pending.is_empty(), "there is no other worker to notify");
        if !by_itself {
            // Both came at once: this notification belongs to the sleep that is over and must not count for the next one.
            notifications.pop().expect("a notification ended the first sleep");
        }
        workers.deliver([end, End::Runs], notifications);
    });
}

#[test]
fn model_a_pusher_may_rely_on_another_whose_choice_comes_to_nothing() {
    check(3, |workers| {
        let _ = workers.asleep(0);
        let sleeper = beside(&workers, |workers, notifications| {
            let (by_itself, search) = workers.awake(0);
            (by_itself, workers.out_of_work(0, search, notifications))
        });
        let pusher = beside(&workers, |workers, notifications| workers.push(0, notifications));
        let mut notifications = Vec::new();
        // For an item that was taken meanwhile.
        workers.wake_one(&mut notifications);
        notifications.extend(pusher.join().unwrap().1);
        let ((by_itself, end), _) = sleeper.join().unwrap();
        if !by_itself {
            notifications.pop().expect("a notification ended the first sleep");
        }
        workers.deliver([end, End::Runs], notifications);
    });
}
