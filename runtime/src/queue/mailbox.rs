//! How others reach a fiber that runs, by a signal to the thread on which it is: for the handlers of signals that are sent to it.
//!
//! | sender, which has put down what it sends | the fiber |
//! |---|---|
//! | 1. notes that there is mail | 1. notes its thread, when it goes on with another one |
//! | 2. fence | 2. fence |
//! | 3. reads the fiber's thread, and sends a signal there | 3. leaves the runtime, and looks for mail |
//!
//! A handler on that thread looks for what was sent to the fiber that it has interrupted, unless that is in the runtime: then the
//! handler leaves it, and the fiber finds the mail at its step 3. If the fiber has left the thread by then, one of the two fences comes
//! first: either the sender reads the new thread, or the fiber sees the mail when it leaves the runtime there.
//!
//! The mailbox is gone with the fiber, who waits at its end for those that are in there: each sender says so before it looks whether
//! the mailbox is there ([`Reach`]). No lock: a sender may be interrupted by a handler that sends as well.

#![expect(unsafe_code, reason = "a mailbox is used while it is known to be there")]
#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export it, which the models do without"))]

use std::ptr::{self, NonNull};

use crate::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, const_fn, fence, thread_yield};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// The operating system's id of the thread.
    thread: AtomicU32,
    has_letters: AtomicBool,
}

impl Mailbox {
    const_fn! {
        /// The mailbox of a fiber that is on no thread yet.
        pub(crate) const fn new() -> Self {
            Self { thread: AtomicU32::new(0), has_letters: AtomicBool::new(false) }
        }
    }

    /// The fiber goes on with this thread.
    pub(crate) fn arrive(&self, thread: u32) {
        self.thread.store(thread, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether there is mail. The fiber asks when it is outside of the runtime.
    #[inline(always)]
    pub(crate) fn has_letters(&self) -> bool {
        self.has_letters.load(Ordering::Relaxed)
    }

    /// Forgets that there is mail, before the fiber looks at what was sent.
    pub(crate) fn open(&self) {
        self.has_letters.store(false, Ordering::Relaxed);
        // Acquire: pairs with the fence in `note`. What is sent later is noted again.
        fence(Ordering::SeqCst);
    }

    /// Notes that there is mail. Returns the thread on which the fiber is to be looked for; 0 if it is on none yet.
    pub(crate) fn note(&self) -> u32 {
        self.has_letters.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.thread.load(Ordering::Relaxed)
    }
}

/// The way to a fiber's mailbox, for those who may outlive the fiber.
#[derive(Debug)]
pub struct Reach {
    /// Null before the fiber has begun, and when it has ended.
    mailbox: AtomicPtr<Mailbox>,
    /// How many use the mailbox.
    senders: AtomicU32,
}

impl Default for Reach {
    fn default() -> Self {
        Self { mailbox: AtomicPtr::new(ptr::null_mut()), senders: AtomicU32::new(0) }
    }
}

impl Reach {
    /// The fiber has begun, with this mailbox, which is there until [`end`](Self::end).
    pub(crate) fn begin(&self, mailbox: NonNull<Mailbox>) {
        self.mailbox.store(mailbox.as_ptr(), Ordering::Release);
    }

    /// The fiber ends: nobody uses its mailbox when this returns.
    pub(crate) fn end(&self) {
        self.mailbox.store(ptr::null_mut(), Ordering::Relaxed);
        // Either a sender sees this, or this sees the sender.
        fence(Ordering::SeqCst);
        while self.senders.load(Ordering::Acquire) != 0 {
            thread_yield();
        }
    }

    /// Notes that something was sent to the fiber, if that has begun and not ended, and calls `signal` with the thread on which it is to be
    /// looked for, if it is on one.
    pub(crate) fn note(&self, signal: impl FnOnce(u32)) {
        self.senders.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // SAFETY: not null, the mailbox is there: its fiber waits in `end` for the caller. Acquire: pairs with `begin`.
        if let Some(mailbox) = unsafe { self.mailbox.load(Ordering::Acquire).as_ref() } {
            let thread = mailbox.note();
            if thread != 0 {
                signal(thread);
            }
        }
        // Release: pairs with the Acquire in `end`.
        self.senders.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of one that sends twice with a fiber that changes its thread: all that was sent is found. And of one that sends with a
    //! fiber that ends: the mailbox is not used any more then.

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64;
    use loom::thread;

    use super::*;

    struct Model {
        mailbox: Mailbox,
        /// What was sent.
        letters: AtomicU64,
        /// The signals that are pending for each of two threads.
        signals: [AtomicU32; 2],
    }

    impl Model {
        fn send(&self, letter: u64) {
            self.letters.fetch_or(letter, Ordering::SeqCst);
            if let Some(thread) = self.mailbox.note().checked_sub(1) {
                self.signals[thread as usize].fetch_add(1, Ordering::SeqCst);
            }
        }

        /// The handler on this thread, where the fiber is outside of the runtime.
        fn handle(&self, thread: usize, found: &mut u64) {
            if self.signals[thread].swap(0, Ordering::SeqCst) != 0 {
                *found |= self.letters.swap(0, Ordering::SeqCst);
            }
        }

        /// The fiber leaves the runtime.
        fn leave(&self, found: &mut u64) {
            while self.mailbox.has_letters() {
                self.mailbox.open();
                *found |= self.letters.swap(0, Ordering::SeqCst);
            }
        }
    }

    #[test]
    fn model_what_was_sent_is_found_wherever_the_fiber_is() {
        loom::model(|| {
            let signals = [const { 0 }; 2].map(AtomicU32::new);
            let model = Arc::new(Model { mailbox: Mailbox::new(), letters: AtomicU64::new(0), signals });
            model.mailbox.arrive(1);
            let sender = Arc::clone(&model);
            let sender = thread::spawn(move || {
                sender.send(1);
                sender.send(2);
            });
            let mut found = 0;
            model.handle(0, &mut found);
            // In the runtime now: a signal that comes meanwhile is left.
            model.mailbox.arrive(2);
            model.signals[0].store(0, Ordering::SeqCst);
            model.leave(&mut found);
            model.handle(1, &mut found);
            sender.join().unwrap();
            // On the first thread nobody looks for the fiber any more; on the second its handler runs at any time.
            model.handle(1, &mut found);
            assert_eq!(found, 3, "something was sent and not found");
        });
    }

    #[test]
    fn model_nobody_uses_the_mailbox_of_a_fiber_that_has_ended() {
        loom::model(|| {
            // Loom finds a use that is not ordered before the end.
            let memory = Arc::new(UnsafeCell::new(()));
            let reach = Arc::new(Reach::default());
            let mailbox = Box::leak(Box::new(Mailbox::new()));
            mailbox.arrive(1);
            let mailbox = NonNull::from(mailbox);
            reach.begin(mailbox);
            let (senders, used) = (Arc::clone(&reach), Arc::clone(&memory));
            let sender = thread::spawn(move || senders.note(|_| used.with(|_| ())));
            reach.end();
            memory.with_mut(|_| ());
            sender.join().unwrap();
            // SAFETY: it was leaked above, and nobody has it any more.
            drop(unsafe { Box::from_raw(mailbox.as_ptr()) });
        });
    }
}
