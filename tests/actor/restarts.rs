//! A supervisor whose child cannot be restarted: it tries again, and hears what it is asked in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use abaca::actor::supervisor::{Child, Strategy, Supervisor, SupervisorRef};
use abaca::actor::{self, ExitReason, Mailbox};

/// So many attempts are made by one that hears nothing: they take longer than anybody's turn.
const MANY: usize = 300_000;

/// A supervisor without a limit, with a child that has ended and cannot be started again before there have been [`MANY`] attempts, and the
/// number of these.
fn trying(strategy: Strategy) -> (SupervisorRef, Arc<AtomicUsize>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let (count, was_started) = (Arc::clone(&attempts), AtomicBool::new(false));
    let child = Child::new("a", move || {
        if was_started.swap(true, Ordering::Relaxed) && count.fetch_add(1, Ordering::Relaxed) < MANY {
            // Not a panic that would be printed.
            std::panic::resume_unwind(Box::new("not now"));
        }
        actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive())
    });
    let supervisor = Supervisor::new(strategy).intensity(usize::MAX, Duration::MAX).child(child).start();
    let first = supervisor.children().unwrap().remove(0).pid.unwrap();
    first.kill();
    while attempts.load(Ordering::Relaxed) < 3 {
        abaca::yield_now();
    }
    (supervisor, attempts)
}

#[test]
fn one_that_tries_to_restart_a_child_can_be_stopped() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        abaca::run(|| {
            let (supervisor, attempts) = trying(strategy);
            assert_eq!(supervisor.stop(), ExitReason::Shutdown);
            let made = attempts.load(Ordering::Relaxed);
            assert!(made < MANY, "{made} attempts");
            for _ in 0..10 {
                abaca::yield_now();
            }
            assert_eq!(attempts.load(Ordering::Relaxed), made);
        });
    }
}

#[test]
fn a_child_that_is_stopped_or_removed_is_not_tried_again() {
    for remove in [false, true] {
        abaca::run(|| {
            let (supervisor, attempts) = trying(Strategy::OneForOne);
            if remove {
                supervisor.remove_child("a").unwrap();
            } else {
                supervisor.stop_child("a").unwrap();
            }
            let made = attempts.load(Ordering::Relaxed);
            assert!(made < MANY, "{made} attempts");
            assert_eq!(supervisor.children().unwrap().len(), usize::from(!remove));
            for _ in 0..10 {
                supervisor.children().unwrap();
            }
            assert_eq!(attempts.load(Ordering::Relaxed), made);
            supervisor.stop();
        });
    }
}
