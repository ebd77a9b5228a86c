//! Every interleaving of a monitor that goes to sleep although a worker is awake, with that worker's thread, which enters and leaves something
//! behind, and with another, which pushes: the monitor sees it, or its alarm is set.

use std::time::Instant;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::presence::Presence;
use super::quiet::Quiet;
use crate::os::barrier;
use crate::scheduler::monitor_parker::{MonitorParker, NEVER};

struct Model {
    presence: Presence,
    quiet: Quiet,
    parker: MonitorParker,
    /// Whether somebody waits for the worker: by its own thread, and by another.
    waits: [AtomicBool; 2],
}

impl Model {
    fn new() -> Arc<Self> {
        let presence = Presence::new();
        presence.leave();
        Arc::new(Self {
            presence,
            quiet: Quiet::new(),
            parker: MonitorParker::new(Instant::now()).unwrap(),
            waits: [AtomicBool::new(false), AtomicBool::new(false)],
        })
    }

    fn unpark(&self) {
        self.parker.unpark_by(|| 10);
    }

    /// The steps of `Spares::keep_vigil`. Returns whether the monitor sleeps.
    fn begins_vigil(&self) -> bool {
        self.quiet.begin();
        self.presence.watch()
            && self.parker.begin_sleep(NEVER, || {
                barrier::heavy();
                self.presence.stays_outside() && self.waits.iter().all(|waits| !waits.load(Ordering::Relaxed))
            })
    }
}

#[test]
fn model_the_monitor_sees_who_waits_or_is_unparked() {
    for [own, others] in [[true, false], [false, true], [true, true]] {
        loom::model(move || {
            let model = Model::new();
            let theirs = Arc::clone(&model);
            let thread = own.then(|| {
                thread::spawn(move || {
                    assert!(theirs.presence.enter(|| theirs.unpark()), "nobody takes the worker");
                    theirs.waits[0].store(true, Ordering::Relaxed);
                    theirs.presence.leave();
                })
            });
            let theirs = Arc::clone(&model);
            let pusher = others.then(|| {
                thread::spawn(move || {
                    theirs.waits[1].store(true, Ordering::Relaxed);
                    theirs.quiet.after_push(|| theirs.unpark());
                })
            });
            let sleeps = model.begins_vigil();
            thread.into_iter().chain(pusher).for_each(|thread| thread.join().unwrap());
            assert!(!sleeps || model.parker.wakes_at() == 10, "nobody wakes the monitor");
            // What the monitor does when it is awake again.
            model.quiet.end();
            model.presence.unwatch();
            assert!(model.presence.take(|| true), "the thread can be asked again");
        });
    }
}
