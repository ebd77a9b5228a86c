//! Every interleaving of a few pushes and notifications with an owner that falls asleep. When the owner sleeps, no item and
//! no work that it was notified of is left.

#![expect(unsafe_code, reason = "pushes items into an intrusive queue")]

use loom::sync::{Arc, Notify};
use loom::thread;

use super::super::item::Item;
use super::*;
use crate::atomic::AtomicUsize;

/// The items of one pusher, which outlive the model.
fn batch(numbers: &[usize]) -> Vec<&'static Item> {
    numbers.iter().map(|&number| &*Box::leak(Box::new(Item::new(number)))).collect()
}

/// Pushes all items. Returns how many notifications the pusher must deliver.
fn push_all(inbox: &Inbox<Item>, items: Vec<&'static Item>) -> usize {
    let pushes = items.into_iter().map(|item| {
        // SAFETY: the items are leaked and each is pushed once.
        unsafe { inbox.push(NonNull::from(item)) }
    });
    pushes.filter(|&pushed| pushed == Pushed::OwnerSleeps).count()
}

fn drain(inbox: &Inbox<Item>, into: &mut Vec<usize>) {
    let list = inbox.drain();
    while let Some(item) = list.pop_front() {
        into.push(Item::number(item));
    }
}

/// Another thread takes the items of an owner that seems busy, keeps the even ones and gives the others back.
#[test]
fn model_what_is_taken_from_outside_is_kept_or_comes_back() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (inbox, event) = (Arc::new(Inbox::new()), Arc::new(Notify::new()));
        let (theirs, their_event) = (Arc::clone(&inbox), Arc::clone(&event));
        let pusher = thread::spawn(move || {
            if push_all(&theirs, batch(&[1, 2])) > 0 {
                their_event.notify();
            }
        });
        let (theirs, their_event) = (Arc::clone(&inbox), Arc::clone(&event));
        let outsider = thread::spawn(move || {
            let list = theirs.drain_from_outside();
            let mut kept = 0;
            let mut is_empty = true;
            let mut owner_sleeps = false;
            while let Some(item) = list.pop_front() {
                is_empty = false;
                if Item::number(item) % 2 == 0 {
                    kept += 1;
                } else {
                    // SAFETY: the item is leaked, and in no list.
                    owner_sleeps |= unsafe { theirs.push(item) } == Pushed::OwnerSleeps;
                }
            }
            if owner_sleeps || (!is_empty && theirs.notify()) {
                their_event.notify();
            }
            kept
        });
        let mut seen = Vec::new();
        drain(&inbox, &mut seen);
        // The odd one is never kept.
        while !seen.contains(&1) {
            if inbox.begin_sleep() {
                event.wait();
                inbox.end_sleep();
            }
            drain(&inbox, &mut seen);
        }
        pusher.join().unwrap();
        let kept = outsider.join().unwrap();
        drain(&inbox, &mut seen);
        assert_eq!(seen.len() + kept, 2, "each is somebody's, once");
    });
}

#[test]
fn model_a_push_is_drained_or_its_pusher_must_notify() {
    let mut model = loom::model::Builder::new();
    // Three threads without a bound take a minute; three preemptions cover every pair of steps of this race.
    model.preemption_bound = Some(3);
    model.check(|| {
        let inbox = Arc::new(Inbox::new());
        let pushers: Vec<_> = [[1, 2].as_slice(), [10].as_slice()]
            .into_iter()
            .map(|numbers| {
                let (inbox, items) = (Arc::clone(&inbox), batch(numbers));
                thread::spawn(move || push_all(&inbox, items))
            })
            .collect();

        let mut seen = Vec::new();
        drain(&inbox, &mut seen);
        while !inbox.begin_sleep() {
            drain(&inbox, &mut seen);
        }
        // The owner is in the kernel from here on and moves only when it is notified.
        let seen_awake = seen.len();
        let notifications: usize = pushers.into_iter().map(|pusher| pusher.join().unwrap()).sum();
        assert_eq!(
            notifications,
            usize::from(seen_awake < 3),
            "one notification if something is left, none otherwise"
        );
        inbox.end_sleep();
        drain(&inbox, &mut seen);

        assert!(seen.iter().position(|&n| n == 1) < seen.iter().position(|&n| n == 2));
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 10]);
    });
}

#[test]
fn model_a_notification_ends_a_sleep_or_prevents_the_next_one() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<Item>::new());
        let notifier = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.notify())
        };
        let first = inbox.begin_sleep();
        let must_write = notifier.join().unwrap();
        assert_eq!(
            first, must_write,
            "the owner either slept and gets a notification, or was refused its sleep"
        );
        assert!(!inbox.end_sleep(), "a sleep that was ended, or none");
        assert!(inbox.drain().pop_front().is_none());
        assert!(inbox.begin_sleep(), "one notification prevents one sleep");
    });
}

/// Work outside the inbox that only the inbox orders: it is written before a notification, and read after a drain.
fn add_work(work: &AtomicUsize, inbox: &Inbox<Item>) -> bool {
    work.store(1, Ordering::Relaxed);
    inbox.notify()
}

#[test]
fn model_an_owner_with_items_finds_the_work_that_it_is_notified_of() {
    loom::model(|| {
        let world = Arc::new((Inbox::new(), AtomicUsize::new(0), Notify::new()));
        let others = [true, false].map(|pushes| {
            let (world, items) = (Arc::clone(&world), batch(&[1]));
            thread::spawn(move || {
                let (inbox, work, kernel) = &*world;
                let must_write = if pushes { push_all(inbox, items) == 1 } else { add_work(work, inbox) };
                if must_write {
                    kernel.notify();
                }
            })
        });
        let (inbox, work, kernel) = &*world;
        let mut seen = Vec::new();
        drain(inbox, &mut seen);
        while work.load(Ordering::Relaxed) == 0 {
            // Loom reports a sleep that is never ended.
            if inbox.begin_sleep() {
                kernel.wait();
                inbox.end_sleep();
            }
            drain(inbox, &mut seen);
        }
        others.map(|other| other.join().unwrap());
    });
}

#[test]
fn model_an_owner_that_wakes_by_itself_finds_the_work_that_ended_its_sleep() {
    loom::model(|| {
        let world = Arc::new((Inbox::new(), AtomicUsize::new(0)));
        let notifier = {
            let world = Arc::clone(&world);
            thread::spawn(move || add_work(&world.1, &world.0))
        };
        if world.0.begin_sleep() && !world.0.end_sleep() {
            assert_eq!(world.1.load(Ordering::Relaxed), 1);
        }
        let _must_write = notifier.join().unwrap();
    });
}
