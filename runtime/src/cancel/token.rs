//! Cancellation tokens: a tree of signals, each of which ends the code that runs under it.
//!
//! A node knows its children weakly and its parent strongly, so a token in the middle whose owners are gone still
//! passes a cancellation on. Cancelling visits the tree with a list of its own, not by recursion, and a chain of
//! parents is dropped in a loop: the depth is the user's.

#![expect(
    unsafe_code,
    reason = "holds the addresses of boundaries on the stacks of those who run under the token"
)]

mod future;

use std::collections::HashMap;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use future::Tasks;
pub use future::WaitForCancellationFuture;

use crate::cell::{Boundary, Outcome, Reason};
use crate::park::primitive::SpinLock;
use crate::park::wait_list::{self, End, WaitList};
use crate::park::{self, Cost};

/// A signal that work should end, to be given to the fibers (and threads) that do it. Clones are the same token.
///
/// Mirrors tokio-util's `CancellationToken`, with [`run_until_cancelled`](Self::run_until_cancelled) around any blocking
/// code.
///
/// ```
/// use abaca::cancel::CancelToken;
/// # abaca::run(|| {
/// let server = CancelToken::new();
/// let connection = server.child_token();
/// let fiber = abaca::spawn({
///     let connection = connection.clone();
///     move || connection.run_until_cancelled(|| abaca::sleep(std::time::Duration::from_secs(3600)))
/// });
/// server.cancel();
/// assert_eq!(fiber.join().unwrap(), None);
/// assert!(connection.is_cancelled());
/// # });
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Node>);

struct Node {
    parent: Option<Arc<Node>>,
    state: SpinLock<State>,
}

struct State {
    cancelled: bool,
    /// By address.
    children: HashMap<usize, Weak<Node>>,
    /// By address: those who run under the token.
    boundaries: HashMap<usize, Running>,
    waiters: WaitList<()>,
    tasks: Tasks,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<()> {
        &mut self.waiters
    }
}

/// The boundary of somebody who runs under the token.
struct Running(NonNull<Boundary>);

// SAFETY: it is used under the lock of the node that holds it, which its owner needs to take it out before it ends.
unsafe impl Send for Running {}

/// Cancels its token when it is dropped; made by [`CancelToken::drop_guard`].
#[derive(Debug)]
#[must_use = "the token is cancelled when the guard drops"]
pub struct DropGuard(Option<CancelToken>);

impl CancelToken {
    /// A token that is not cancelled and has no parent.
    pub fn new() -> Self {
        Self::under(None)
    }

    fn under(parent: Option<Arc<Node>>) -> Self {
        let state = State {
            cancelled: false,
            children: HashMap::new(),
            boundaries: HashMap::new(),
            waiters: WaitList::new(),
            tasks: Tasks::default(),
        };
        Self(Arc::new(Node { parent, state: SpinLock::new(state) }))
    }

    /// A token that is cancelled when this one is, and by itself without this one.
    pub fn child_token(&self) -> Self {
        park::spend(Cost::Call);
        let child = Self::under(Some(Arc::clone(&self.0)));
        let mut state = self.0.state.lock();
        if state.cancelled {
            drop(state);
            child.cancel();
        } else {
            state.children.insert(child.0.key(), Arc::downgrade(&child.0));
        }
        child
    }

    /// Cancels the token and its descendants: whoever runs under one of them unwinds from the blocking call it is in, or
    /// from its next one. Cancelling again has no effect.
    ///
    /// # Panics
    ///
    /// Never; with `panic = "abort"` nobody can run under a token.
    pub fn cancel(&self) {
        let mut left = vec![Arc::clone(&self.0)];
        while let Some(node) = left.pop() {
            let Some(children) = node.cancel_alone() else { continue };
            left.extend(children.values().filter_map(Weak::upgrade));
        }
    }

    /// Whether the token, or one above it, has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        park::spend(Cost::Call);
        self.0.is_cancelled()
    }

    /// Blocks until the token is cancelled.
    pub fn cancelled(&self) {
        self.cancelled_until(None);
    }

    /// [`cancelled`](Self::cancelled) for async code of any executor.
    ///
    /// ```
    /// # use abaca::cancel::CancelToken;
    /// # abaca::run(|| {
    /// let token = CancelToken::new();
    /// let task = abaca::future::spawn_future({
    ///     let token = token.clone();
    ///     async move { token.cancelled_async().await }
    /// });
    /// token.cancel();
    /// task.join().unwrap();
    /// # });
    /// ```
    pub fn cancelled_async(&self) -> WaitForCancellationFuture<'_> {
        WaitForCancellationFuture::new(&self.0)
    }

    /// Blocks until the token is cancelled, at most for `timeout`; whether it is.
    pub fn cancelled_timeout(&self, timeout: Duration) -> bool {
        // A deadline beyond the clock's range never comes.
        self.cancelled_until(Instant::now().checked_add(timeout))
    }

    fn cancelled_until(&self, deadline: Option<Instant>) -> bool {
        park::spend(Cost::Wait);
        if self.0.is_cancelled() {
            return true;
        }
        let state = self.0.state.lock();
        if state.cancelled {
            return true;
        }
        match wait_list::wait(state, State::waiters, End::Back, (), Reason::Notify, deadline, || ()).0 {
            Outcome::Notified => true,
            Outcome::TimedOut => self.is_cancelled(),
            Outcome::Cancelled => park::unwind(),
        }
    }

    /// Runs `f` until it returns or the token is cancelled, which unwinds it from its next blocking call: the result is
    /// then `None`. A token that is cancelled already does not run it.
    ///
    /// On a plain thread, a socket call takes up to 10 ms to notice.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    pub fn run_until_cancelled<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        park::spend(Cost::Wait);
        let mut boundary = Boundary::signal();
        park::run_inside(&mut boundary, |boundary| {
            let _enrolled = self.0.enroll(boundary)?;
            Some(f())
        })?
    }

    /// A guard that cancels the token when it is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl DropGuard {
    /// Gives the token back without cancelling it.
    pub fn disarm(mut self) -> CancelToken {
        self.0.take().expect("taken only here and by the drop")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            token.cancel();
        }
    }
}

/// Somebody runs under the token while this lives.
struct Enrolled<'a> {
    node: &'a Node,
    key: usize,
}

impl Drop for Enrolled<'_> {
    fn drop(&mut self) {
        self.node.state.lock().boundaries.remove(&self.key);
    }
}

impl Node {
    fn key(&self) -> usize {
        ptr::from_ref(self) as usize
    }

    /// Looks at those above as well: a cancellation reaches its descendants one after the other, and for whoever has seen it on
    /// one it must have happened to all.
    fn is_cancelled(&self) -> bool {
        let mut node = self;
        loop {
            if node.state.lock().cancelled {
                return true;
            }
            match &node.parent {
                Some(parent) => node = parent,
                None => return false,
            }
        }
    }

    /// `None` if the token is cancelled.
    fn enroll(&self, boundary: &Boundary) -> Option<Enrolled<'_>> {
        let key = ptr::from_ref(boundary) as usize;
        if self.is_cancelled() {
            return None;
        }
        let mut state = self.state.lock();
        // Whoever cancels one above from here on comes by.
        if state.cancelled {
            return None;
        }
        state.boundaries.insert(key, Running(NonNull::from(boundary)));
        Some(Enrolled { node: self, key })
    }

    /// Cancels this node; returns the children that are left to cancel, unless it was cancelled before.
    fn cancel_alone(&self) -> Option<HashMap<usize, Weak<Node>>> {
        let (children, fired, tasks): (_, Vec<_>, _) = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.cancelled, true) {
                return None;
            }
            // SAFETY: an enrolled boundary is alive until it is taken out under the lock.
            let fire = |running: &Running| unsafe { running.0.as_ref() }.fire();
            let fired = state.boundaries.values().filter_map(fire).collect();
            (std::mem::take(&mut state.children), fired, std::mem::take(&mut state.tasks))
        };
        fired.into_iter().for_each(park::tell);
        tasks.wake();
        wait_list::wake_up_to(&self.state, State::waiters, usize::MAX);
        Some(children)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        if let Some(parent) = &parent {
            parent.state.lock().children.remove(&self.key());
        }
        while let Some(node) = parent {
            let key = node.key();
            let Some(mut last) = Arc::into_inner(node) else { return };
            parent = last.parent.take();
            if let Some(parent) = &parent {
                parent.state.lock().children.remove(&key);
            }
        }
    }
}
