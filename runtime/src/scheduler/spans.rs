//! What the crate `tracing` keeps per thread, kept per fiber: the spans that are entered, and the default subscriber of
//! `with_default`. For [`Builder::carry_spans`](crate::runtime::Builder::carry_spans).
//!
//! A subscriber keeps the stack of entered spans in a thread-local of its own, and tells only the innermost. So a fiber that parks
//! leaves its spans one after the other, from the inside, and enters them again in the opposite order when it goes on. Between fibers, a
//! worker's thread has entered none, and its default is the one that it had before its first fiber: the *base*.
//!
//! tracing tells nobody whether a thread has a default of its own. While there is none in the process, a call of the default's within
//! another is the same; else it is refused. The thread's default is compared with the base by the text that tells a subscriber's address:
//! of one that `with_default` has set it tells a place that differs each time, so that is never taken for the base.
//!
//! All of this calls a subscriber's code. It runs as part of the thread, as the hooks do, and its panics are contained. The functions
//! that use the thread's storage are not inlined: a roaming fiber goes on on another thread.

use std::cell::RefCell;

use tracing_core::Dispatch;
use tracing_core::dispatcher::{DefaultGuard, get_current, set_default};
use tracing_core::span::Id;
use tracing_core::subscriber::NoSubscriber;

use super::Hooks;
use crate::cell::contained;

/// How often the same span is left in a row. A span may be entered within itself; and a subscriber may not know what leaving is.
const MAX_DEPTH: usize = 1000;

thread_local! {
    /// The thread's default between two fibers. Boxed: thread-locals are a part of each fiber's storage elsewhere.
    static BASE: RefCell<Option<Box<Dispatch>>> = const { RefCell::new(None) };
}

impl Hooks {
    /// Spans are not carried where each fiber `has_storage` of its own, in which a subscriber keeps them.
    pub(crate) fn need_no_spans_if(&mut self, has_storage: bool) {
        self.carry_spans &= !has_storage;
    }
}

/// What a fiber has entered, while it is parked.
#[derive(Default)]
struct Left {
    /// The subscriber of the spans.
    dispatch: Option<Dispatch>,
    /// The spans, the innermost first, each with a reference that keeps it open.
    spans: Vec<(Id, Id)>,
    /// What gives the thread the fiber's default again, if it has one of its own.
    default: Option<DefaultGuard>,
}

/// Runs `park`, in which other fibers run, without what the calling fiber has entered.
pub(super) fn carry(park: impl FnOnce()) {
    let mut left = Left::default();
    contained(|| left.leave());
    park();
    contained(|| left.enter_again());
}

/// The life of a fiber: what it has entered and not left ends with it.
pub(super) struct Life(());

impl Life {
    pub(super) fn begin() -> Self {
        contained(note_base);
        Self(())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut left = Left::default();
        contained(|| left.leave());
        contained(|| left.give_up());
    }
}

/// Notes the thread's default, which is that of no fiber. One that was none may have been set since, for all threads.
#[inline(never)]
fn note_base() {
    BASE.with_borrow_mut(|base| {
        if base.as_ref().is_none_or(|base| base.is::<NoSubscriber>()) {
            *base = get_current(|dispatch| Box::new(dispatch.clone()));
        }
    });
}

impl Left {
    #[inline(never)]
    fn leave(&mut self) {
        // A subscriber that parks within a call of its own is not to be called.
        let Some((dispatch, is_set)) =
            get_current(|dispatch| (dispatch.clone(), get_current(|_| ()).is_none()))
        else {
            return;
        };
        contained(|| self.leave_spans(&dispatch));
        if is_set {
            self.leave_default(&dispatch);
        } else {
            note_base();
        }
        self.dispatch = Some(dispatch);
    }

    /// Not within `get_current`: some registries close a span that is left by way of the default.
    fn leave_spans(&mut self, dispatch: &Dispatch) {
        let mut in_row = 0;
        while let Some(id) = dispatch.current_span().id().cloned() {
            in_row = if self.spans.last().is_some_and(|(last, _)| *last == id) { in_row + 1 } else { 0 };
            if in_row == MAX_DEPTH {
                break;
            }
            let reference = dispatch.clone_span(&id);
            self.spans.push((id.clone(), reference));
            dispatch.exit(&id);
        }
    }

    /// Gives the thread its base for its default, unless that is what it has.
    fn leave_default(&mut self, dispatch: &Dispatch) {
        BASE.with_borrow(|base| {
            let Some(base) = base else { return };
            if format!("{dispatch:?}") != format!("{base:?}") {
                self.default = Some(set_default(base));
            }
        });
    }

    #[inline(never)]
    fn enter_again(&mut self) {
        note_base();
        self.default = None;
        let Some(dispatch) = &self.dispatch else { return };
        while let Some((id, reference)) = self.spans.pop() {
            contained(|| dispatch.enter(&id));
            dispatch.try_close(reference);
        }
    }

    /// Forgets what the fiber has entered. Its default was never to be put back: the guard that would have done it is lost.
    #[inline(never)]
    fn give_up(&mut self) {
        std::mem::forget(self.default.take());
        let Some(dispatch) = &self.dispatch else { return };
        for (_, reference) in self.spans.drain(..) {
            dispatch.try_close(reference);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Barrier;

    use tracing_core::dispatcher::with_default;
    use tracing_subscriber::registry;

    use super::*;

    /// Whether some thread has a default of its own.
    fn is_any_set() -> bool {
        get_current(|_| get_current(|_| ()).is_none()).unwrap()
    }

    #[test]
    fn a_fiber_sets_no_default_that_it_has_anyway() {
        let _life = Life::begin();
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                with_default(&Dispatch::new(registry()), || {
                    barrier.wait();
                    barrier.wait();
                });
                barrier.wait();
            });
            barrier.wait();
            assert!(is_any_set());
            carry(|| {
                barrier.wait();
                barrier.wait();
                // If each that parks meanwhile had set one, there would always be some that has.
                assert!(!is_any_set());
            });
            let mine = Dispatch::new(registry());
            with_default(&mine, || {
                carry(|| assert!(get_current(|dispatch| dispatch.is::<NoSubscriber>()).unwrap()));
                assert!(!get_current(|dispatch| dispatch.is::<NoSubscriber>()).unwrap());
            });
            assert!(!is_any_set());
        });
    }
}
