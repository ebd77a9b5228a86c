//! The cancel scopes that an unwinding of the caller may get to.
//!
//! A caller that unwinds already, and blocks in one of its destructors, may unwind once more if that is caught before it leaves the
//! destructor; so Rust wants it. A cancel scope that was entered in the destructor is such a frame, and *nested*. A scope that was entered
//! before is none, nor is the end of the fiber: those are hidden while the caller waits. What is left may still be out of reach, if
//! yet another unwinding has begun inside of it. `scheduler/reach.rs` finds that out, as of any frame through which nothing may
//! unwind.

#![expect(unsafe_code, reason = "follows the chain of frames")]

use std::cell::Cell;
use std::ptr::NonNull;

use super::{CancelScope, Chain, Target};
use crate::os::unwind::SEES_FRAMES;

/// The visible scopes are those that may end a wait of the caller, until this is dropped. The fiber's home sees the same ones while
/// the fiber is parked.
pub(crate) struct Visible<'a> {
    /// That of the outermost scope that is left, and its value before; `None` if the caller does not unwind.
    hides_outer: Option<(&'a Cell<bool>, bool)>,
}

impl Visible<'_> {
    /// Whether the caller unwinds already.
    pub(crate) fn is_nested(&self) -> bool {
        self.hides_outer.is_some()
    }
}

impl Drop for Visible<'_> {
    fn drop(&mut self) {
        if let Some((hides_outer, before)) = self.hides_outer {
            hides_outer.set(before);
        }
    }
}

impl Chain {
    /// Hides what cannot end a wait of the caller if the caller unwinds: the scopes that it entered before, and the cancellation of
    /// the whole fiber. `None` if nothing is left.
    #[inline]
    pub(crate) fn visible(&self) -> Option<Visible<'_>> {
        if std::thread::panicking() { self.visible_nested() } else { Some(Visible { hides_outer: None }) }
    }

    /// [`visible`](Self::visible) for a caller that unwinds.
    #[cold]
    pub(crate) fn visible_nested(&self) -> Option<Visible<'_>> {
        let (mut outermost, mut is_behind) = (None, false);
        self.for_each_nested(|cancel_scope| {
            // The unwinding to this one is under way, or was caught. Where nobody sees which, it counts as under way.
            is_behind |= !SEES_FRAMES && cancel_scope.was_unwound_to();
            if !is_behind {
                outermost = Some(&cancel_scope.hides_outer);
            }
        });
        let hides_outer: &Cell<bool> = outermost?;
        Some(Visible { hides_outer: Some((hides_outer, hides_outer.replace(true))) })
    }

    /// Whether the caller unwinds to a nested scope, or has done so and is still inside of it.
    #[cold]
    pub(crate) fn unwinds_to_nested(&self) -> bool {
        let mut unwinds = false;
        self.for_each_nested(|cancel_scope| unwinds |= cancel_scope.was_unwound_to());
        unwinds
    }

    /// Calls `visit` for each nested scope, from the innermost to the first that is not nested, or a shield.
    fn for_each_nested<'a>(&'a self, mut visit: impl FnMut(&'a CancelScope)) {
        let mut at = self.0.get();
        while let Some(cancel_scope) = at {
            // SAFETY: only its own fiber walks the chain, and a cancel scope leaves it before its frame ends. The scopes are around the
            // caller, or inside of coroutines that are suspended as long as the caller waits, unwinds or looks.
            let cancel_scope = unsafe { cancel_scope.as_ref() };
            if !cancel_scope.is_nested.get() || cancel_scope.is_shield() {
                return;
            }
            visit(cancel_scope);
            at = NonNull::new(cancel_scope.outer.get().cast_mut());
        }
    }

    /// Notes that the caller, which is parked, can unwind to `target`, and that nothing is known of other targets.
    #[cold]
    pub(crate) fn note_probed(&self, target: Target) {
        self.for_each_visible(|cancel_scope| cancel_scope.is_probed.set(target.is(cancel_scope)));
    }

    /// Whether the last [`note_probed`](Self::note_probed) was about the scope with this mark, or about the whole fiber if it is 0.
    #[cold]
    pub(crate) fn is_probed(&self, mark: usize) -> bool {
        let mut probed = 0;
        self.for_each_visible(|cancel_scope| {
            if cancel_scope.is_probed.get() {
                probed = cancel_scope.mark.get();
            }
        });
        probed == mark
    }
}
