//! Every interleaving of a fiber that comes back to its home with a waker that wakes it before, meanwhile or afterwards, and with the home, which
//! falls asleep between: the fiber goes on once, it is in one list at a time, and no wake-up is lost.

use std::collections::VecDeque;
use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

use crate::cell::Absence;
use crate::queue::{Inbox, Link, Next, Pushed};

/// A fiber, which is absent at first and has registered a waiter: the parts of a header that matter here.
struct Fiber {
    next: Next<Fiber>,
    /// For the home alone, which loom checks.
    absence: UnsafeCell<Absence>,
}

#[expect(unsafe_code, reason = "it is an item of an intrusive queue")]
// SAFETY: `next` is used only for the one list that the fiber is in.
unsafe impl Link for Fiber {
    fn next(&self) -> &Next<Self> {
        &self.next
    }
}

/// The home, and how it is woken.
struct Home {
    inbox: Inbox<Fiber>,
    /// Stands in for the queue of returned fibers, which is crossbeam's.
    returned: Mutex<VecDeque<&'static Fiber>>,
    /// Stands in for the eventfd.
    event: Notify,
}

impl Home {
    #[expect(unsafe_code, reason = "pushes into an intrusive queue, and looks into a cell of loom's")]
    fn drain(&self, ready: &mut usize) {
        let arrived = self.inbox.drain();
        while let Some(fiber) = arrived.pop_front() {
            // SAFETY: the model's fiber lives to its end, and its cell is the home's, which loom checks.
            let is_absent =
                unsafe { fiber.as_ref() }.absence.with(|absence| unsafe { (*absence).notes_wakeup() });
            // The step of `make_ready`.
            *ready += usize::from(!is_absent);
        }
    }

    #[expect(unsafe_code, reason = "looks into a cell of loom's")]
    fn end_absence(fiber: &Fiber) -> bool {
        // SAFETY: as in `drain`.
        fiber.absence.with(|absence| unsafe { (*absence).end() })
    }

    /// The steps of `Worker::find` and `move_home`, until the fiber has gone on after its wait.
    fn run(&self) {
        let mut ready = 0;
        let mut is_back = false;
        loop {
            self.drain(&mut ready);
            // After the drain, which may have cleared the notification about it.
            let returned = self.returned.lock().unwrap().pop_front();
            if let Some(fiber) = returned {
                assert!(!is_back, "it comes back once");
                is_back = true;
                // If it was woken, it is ready before it waits.
                ready += usize::from(Self::end_absence(fiber));
            }
            assert!(ready <= 1, "it is woken once");
            if ready == 1 {
                assert!(is_back, "it goes on where it is until it has come back");
                return;
            }
            if self.inbox.begin_sleep() {
                self.event.wait();
                self.inbox.end_sleep();
            }
        }
    }
}

#[test]
fn model_a_fiber_that_comes_back_while_it_is_woken_goes_on_once() {
    loom::model(|| {
        let home = Arc::new(Home { inbox: Inbox::new(), returned: Mutex::default(), event: Notify::new() });
        let absence = Absence::default();
        absence.begin();
        let fiber: &'static Fiber =
            Box::leak(Box::new(Fiber { next: Next::new(), absence: UnsafeCell::new(absence) }));
        let address = NonNull::from(fiber).as_ptr().expose_provenance();

        let theirs = Arc::clone(&home);
        let waker = thread::spawn(move || {
            let fiber = NonNull::new(std::ptr::with_exposed_provenance_mut::<Fiber>(address)).unwrap();
            #[expect(unsafe_code, reason = "pushes into an intrusive queue")]
            // SAFETY: the fiber is in no list, as the model checks, and lives to the end.
            let pushed = unsafe { theirs.inbox.push(fiber) };
            if pushed == Pushed::OwnerSleeps {
                theirs.event.notify();
            }
        });
        let theirs = Arc::clone(&home);
        let thread = thread::spawn(move || {
            // The step of `give_back`.
            #[expect(unsafe_code, reason = "follows the address of the model's fiber")]
            // SAFETY: it lives to the end.
            let fiber: &'static Fiber = unsafe { &*std::ptr::with_exposed_provenance(address) };
            theirs.returned.lock().unwrap().push_back(fiber);
            if theirs.inbox.notify() {
                theirs.event.notify();
            }
        });
        home.run();
        waker.join().unwrap();
        thread.join().unwrap();
    });
}
