//! A copy of the process by fork(2). One thread is left there. If a fiber has forked, the fiber becomes that thread: none of the runtimes
//! that were copied has a worker in the copy, and what is left of them serves nobody. At the fiber's end the copy ends.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::OnceLock;

use super::here::{self, current_fiber};
use crate::cell::Header;
use crate::os::fork::AtFork;

thread_local! {
    /// The fiber that has become this thread.
    static FORMER: Cell<Option<NonNull<Header>>> = const { Cell::new(None) };
}

/// What else a fiber does that becomes a thread, and before it ends the copy.
static ALSO: OnceLock<[fn(); 2]> = OnceLock::new();

/// From now on a fiber goes on as a thread where it forks.
pub(crate) fn watch_forks() {
    #[cfg(feature = "own-tls")]
    const BEFORE: Option<extern "C" fn()> = Some(keep_thread);
    #[cfg(not(feature = "own-tls"))]
    const BEFORE: Option<extern "C" fn()> = None;
    static WATCH: AtFork = AtFork::new(BEFORE, Some(go_on));
    WATCH.set_up();
}

/// The child is this thread's: what it has asked to be sent at the end of its parent (`PR_SET_PDEATHSIG`), it is sent at the end of the thread.
#[cfg(feature = "own-tls")]
extern "C" fn keep_thread() {
    here::keep_thread();
}

extern "C" fn go_on() {
    become_thread();
}

/// Makes the calling fiber, whose own code has forked, the copy's only thread. What the runtime's code forks is left as it is, for an exec.
pub(crate) fn become_thread() {
    let me = current_fiber();
    if me.is_none() || !here::become_thread() {
        return;
    }
    FORMER.set(me);
    if let Some([became, _]) = ALSO.get() {
        became();
    }
}

/// The fiber that the calling plain thread was, whose cancel scopes and fiber-local values are still the thread's. It never ends.
pub(crate) fn former_fiber() -> Option<NonNull<Header>> {
    FORMER.get()
}

/// `became` is called when a fiber has become a thread, and `before_end` before it ends the copy, whose other threads may be meant to go on.
/// The first call counts.
#[cfg(feature = "own-tls")]
pub(crate) fn also(became: fn(), before_end: fn()) {
    let _ = ALSO.set([became, before_end]);
}

/// Ends the copy, whose fiber's code has ended: as of the last thread of a process, the status is 0.
#[cold]
#[inline(never)]
pub(super) fn end() -> ! {
    if let Some([_, before_end]) = ALSO.get() {
        before_end();
    }
    std::process::exit(0)
}
