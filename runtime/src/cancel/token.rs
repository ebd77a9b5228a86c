//! Cancellation tokens: a tree of signals, each of which ends the code that runs under it.
//!
//! A node has weak references to its children and a strong one to its parent, so a token in the middle whose owners are gone
//! still passes a cancellation on. The depth of the tree is the user's choice, so nothing here recurses: cancelling walks the
//! tree with a list, and a chain of parents is dropped in a loop.

#![expect(
    unsafe_code,
    reason = "holds the addresses of cancel scopes on the stacks of the code that runs under the token"
)]

mod future;

use std::collections::HashMap;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use future::Tasks;
pub use future::WaitForCancellationFuture;

use crate::cell::{CancelScope, Outcome, Reason};
use crate::park::primitive::SpinLock;
use crate::park::wait_list::{self, End, WaitList};
use crate::park::{self, Cost};

/// A signal that work should end, for the fibers and threads that do it. Clones are the same token.
///
/// Mirrors tokio-util's `CancellationToken`. [`run_until_cancelled`](Self::run_until_cancelled) takes any blocking code.
///
/// ```
/// use abaca::cancel::CancellationToken;
/// # abaca::run(|| {
/// let server = CancellationToken::new();
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
pub struct CancellationToken(Arc<Node>);

struct Node {
    parent: Option<Arc<Node>>,
    state: SpinLock<State>,
}

struct State {
    cancelled: bool,
    /// By address of the child's node.
    children: HashMap<usize, Weak<Node>>,
    /// By address: the cancel scopes of the code that runs under the token.
    cancel_scopes: HashMap<usize, Running>,
    waiters: WaitList<()>,
    tasks: Tasks,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<()> {
        &mut self.waiters
    }
}

/// The cancel scope of a fiber or thread that runs under the token.
struct Running(NonNull<CancelScope>);

// SAFETY: it is used only under the lock of the node that holds it, which its owner needs to take it out before it ends.
unsafe impl Send for Running {}

/// Cancels its token when it is dropped; made by [`CancellationToken::drop_guard`].
#[derive(Debug)]
#[must_use = "the token is cancelled when the guard drops"]
pub struct DropGuard(Option<CancellationToken>);

impl CancellationToken {
    /// A token that is not cancelled and has no parent.
    pub fn new() -> Self {
        Self::under(None)
    }

    fn under(parent: Option<Arc<Node>>) -> Self {
        let state = State {
            cancelled: false,
            children: HashMap::new(),
            cancel_scopes: HashMap::new(),
            waiters: WaitList::new(),
            tasks: Tasks::default(),
        };
        Self(Arc::new(Node { parent, state: SpinLock::new(state) }))
    }

    /// A token that is cancelled when this one is. Cancelling it does not cancel this one.
    ///
    /// ```
    /// use abaca::cancel::CancellationToken;
    /// let server = CancellationToken::new();
    /// let (one, other) = (server.child_token(), server.child_token());
    /// one.cancel();
    /// assert!(!server.is_cancelled() && !other.is_cancelled());
    /// server.cancel();
    /// assert!(other.is_cancelled());
    /// ```
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

    /// Cancels the token and its descendants: code that runs under one of them unwinds from the blocking call that it is in, or
    /// from its next one; [`cancelled`](Self::cancelled) returns. Cancelling again has no effect. A token cannot be reset.
    pub fn cancel(&self) {
        let mut left = vec![Arc::clone(&self.0)];
        while let Some(node) = left.pop() {
            let Some(children) = node.cancel_alone() else { continue };
            left.extend(children.values().filter_map(Weak::upgrade));
        }
    }

    /// Whether the token or one of its ancestors has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        park::spend(Cost::Call);
        self.0.is_cancelled()
    }

    /// Blocks until the token is cancelled; returns at once if it is.
    ///
    /// It has no effect on other code of the caller: [`run_until_cancelled`](Self::run_until_cancelled) ends that. Async code has
    /// [`cancelled_async`](Self::cancelled_async).
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::cancel::CancellationToken;
    /// let token = CancellationToken::new();
    /// let waiting = abaca::spawn({
    ///     let token = token.clone();
    ///     move || token.cancelled()
    /// });
    /// token.cancel();
    /// waiting.join().unwrap();
    /// # });
    /// ```
    pub fn cancelled(&self) {
        self.cancelled_until(None);
    }

    /// Like [`cancelled`](Self::cancelled), for async code of any executor. Mirrors tokio-util's `cancelled`.
    ///
    /// ```
    /// # use abaca::cancel::CancellationToken;
    /// # abaca::run(|| {
    /// let token = CancellationToken::new();
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

    /// Blocks until the token is cancelled, for at most `timeout`. Returns whether the token is cancelled.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use std::time::Duration;
    /// use abaca::cancel::CancellationToken;
    /// let token = CancellationToken::new();
    /// // Work that repeats until it is stopped.
    /// let mut rounds = 0;
    /// while !token.cancelled_timeout(Duration::from_millis(1)) {
    ///     rounds += 1;
    ///     if rounds == 3 {
    ///         token.cancel();
    ///     }
    /// }
    /// assert_eq!(rounds, 3);
    /// # });
    /// ```
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

    /// Runs `f` and returns its result. If the token is cancelled before `f` returns, `f` unwinds from the blocking call that
    /// it is in, or from its next one, and the result is `None`. If the token has been cancelled already, `f` does not run.
    ///
    /// On a plain thread, a socket call takes up to 10 ms to notice.
    ///
    /// ```
    /// use abaca::cancel::CancellationToken;
    /// # abaca::run(|| {
    /// let token = CancellationToken::new();
    /// assert_eq!(token.run_until_cancelled(|| 5), Some(5));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(|| 5), None);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    #[track_caller]
    pub fn run_until_cancelled<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        park::spend(Cost::Wait);
        let mut cancel_scope = CancelScope::signal();
        park::run_inside(&mut cancel_scope, |cancel_scope| {
            let _registered = self.0.register(cancel_scope)?;
            Some(f())
        })?
    }

    /// Turns the token into a guard, which cancels it when it is dropped.
    ///
    /// ```
    /// use abaca::cancel::CancellationToken;
    /// let token = CancellationToken::new();
    /// {
    ///     let _guard = token.clone().drop_guard(); // also if the code below panics or returns early
    /// }
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl DropGuard {
    /// Returns the token without cancelling it.
    ///
    /// ```
    /// use abaca::cancel::CancellationToken;
    /// let guard = CancellationToken::new().drop_guard();
    /// let token = guard.disarm();
    /// assert!(!token.is_cancelled());
    /// ```
    pub fn disarm(mut self) -> CancellationToken {
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

/// A cancel scope is registered with the token while this lives.
struct Registered<'a> {
    node: &'a Node,
    key: usize,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.node.state.lock().cancel_scopes.remove(&self.key);
    }
}

impl Node {
    fn key(&self) -> usize {
        ptr::from_ref(self) as usize
    }

    /// Looks at the ancestors as well: a cancellation reaches the descendants of a token one after the other, and a caller that
    /// has seen it on one of them must see it on all.
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

    /// Registers a cancel scope; `None` if the token is cancelled.
    fn register(&self, cancel_scope: &CancelScope) -> Option<Registered<'_>> {
        let key = ptr::from_ref(cancel_scope) as usize;
        if self.is_cancelled() {
            return None;
        }
        let mut state = self.state.lock();
        // A cancellation of an ancestor that comes later will reach this node.
        if state.cancelled {
            return None;
        }
        state.cancel_scopes.insert(key, Running(NonNull::from(cancel_scope)));
        Some(Registered { node: self, key })
    }

    /// Cancels this node alone; returns its children, which the caller must cancel. `None` if the node was cancelled before.
    fn cancel_alone(&self) -> Option<HashMap<usize, Weak<Node>>> {
        let (children, fired, tasks): (_, Vec<_>, _) = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.cancelled, true) {
                return None;
            }
            // SAFETY: a registered cancel scope is alive until it is taken out under the lock.
            let fire = |running: &Running| unsafe { running.0.as_ref() }.fire();
            let fired = state.cancel_scopes.values().filter_map(fire).collect();
            (std::mem::take(&mut state.children), fired, std::mem::take(&mut state.tasks))
        };
        fired.into_iter().for_each(park::end_wait_within);
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
