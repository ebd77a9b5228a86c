//! Every interleaving of a thread that enters and leaves with a monitor that takes its worker.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::presence::Presence;

/// A worker's state, which one thread at a time may touch.
struct Model {
    presence: Presence,
    worker: UnsafeCell<u32>,
    is_pinned: AtomicBool,
}

impl Model {
    fn new() -> Arc<Self> {
        let presence = Presence::new();
        presence.leave();
        Arc::new(Self { presence, worker: UnsafeCell::new(0), is_pinned: AtomicBool::new(false) })
    }

    fn use_worker(&self) {
        #[expect(unsafe_code, reason = "loom's cell checks what it holds")]
        // SAFETY: that this is exclusive is what the model checks.
        self.worker.with_mut(|worker| unsafe { *worker += 1 });
    }

    /// Enters and leaves, as long as the worker is the thread's. Returns whether it still is.
    fn visit(&self, times: u32) -> bool {
        for _ in 0..times {
            if !self.presence.enter(|| {}) {
                return false;
            }
            self.use_worker();
            self.presence.leave();
        }
        true
    }
}

#[test]
fn model_a_worker_is_used_by_its_thread_or_by_the_one_that_took_it() {
    loom::model(|| {
        let model = Model::new();
        let theirs = Arc::clone(&model);
        let thread = thread::spawn(move || theirs.visit(2));
        let took = model.presence.take(|| true);
        if took {
            model.use_worker();
        }
        let is_kept = thread.join().unwrap();
        assert!(took || is_kept, "the worker is somebody's");
    });
}

#[test]
fn model_a_worker_that_was_asked_for_twice_is_taken_once() {
    loom::model(|| {
        let model = Model::new();
        let theirs = Arc::clone(&model);
        let thread = thread::spawn(move || theirs.visit(1));
        let took = model.presence.take(|| true) || model.presence.take(|| true);
        if took {
            model.use_worker();
        }
        thread.join().unwrap();
        if !took {
            assert!(model.presence.enter(|| {}), "no wish is left over");
        }
    });
}

#[test]
fn model_a_thread_that_pins_its_worker_keeps_it() {
    loom::model(|| {
        let model = Model::new();
        let theirs = Arc::clone(&model);
        let thread = thread::spawn(move || {
            if !theirs.presence.enter(|| {}) {
                return false;
            }
            theirs.is_pinned.store(true, Ordering::Relaxed);
            theirs.presence.leave();
            true
        });
        let took = model.presence.take(|| !model.is_pinned.load(Ordering::Relaxed));
        let has_pinned = thread.join().unwrap();
        assert!(took != has_pinned || !took, "a pinned worker was taken");
        if has_pinned {
            assert!(!model.presence.take(|| !model.is_pinned.load(Ordering::Relaxed)));
        }
    });
}

#[test]
fn model_a_thread_that_lost_its_worker_can_have_another() {
    loom::model(|| {
        let model = Model::new();
        let theirs = Arc::clone(&model);
        let thread = thread::spawn(move || {
            let is_kept = theirs.visit(1);
            if !is_kept {
                theirs.presence.renew();
            }
            is_kept
        });
        let took = model.presence.take(|| true);
        let is_kept = thread.join().unwrap();
        if took && !is_kept {
            assert!(model.presence.is_inside(), "it is in its hub");
            model.presence.leave();
            assert!(model.visit(1));
        }
    });
}
