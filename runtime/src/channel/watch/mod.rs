//! A channel that keeps one value, the last one, mirroring `tokio::sync::watch` with calls that block instead of
//! futures.
//!
//! Receivers read the value and wait for it to change. They may miss values in between, but not the last one.
//!
//! ```
//! use abaca::channel::watch;
//!
//! let (level, mut watched) = watch::channel("low");
//! std::thread::spawn(move || level.send("high").unwrap());
//! watched.changed().unwrap();
//! assert_eq!(*watched.borrow_and_update(), "high");
//! ```
//!
//! A borrowed value is locked: a sender waits until all [`Ref`]s to it are dropped. So a fiber that keeps a `Ref` and
//! sends waits for itself, for ever.
//!
//! It cannot be an operation of a `select!`.
//!
//! # Cancellation
//!
//! Every call that waits can be cancelled. It has then changed nothing.

mod cell;
pub mod error;
#[cfg(all(test, loom))]
mod model;
mod shared;

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::park::primitive::{self as park, Cost};
use cell::Read;
use error::{RecvError, SendError};
use shared::Shared;

/// The end that sets the value. Clones set the same value. Dropping the last sender closes the channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The end that reads the value, and waits for it to change.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen last.
    seen: usize,
}

/// A borrowed value. It does not change while this lives.
pub struct Ref<'a, T> {
    value: Read<'a, T>,
    has_changed: bool,
}

// As with tokio's, a value that a panic has left half-changed can be seen.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
impl<T: RefUnwindSafe> UnwindSafe for Ref<'_, T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for Ref<'_, T> {}

/// Creates a channel with the value `initial`, which the receiver counts as seen.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = abaca::channel::watch::channel(1);
/// assert_eq!(receiver.has_changed().ok(), Some(false));
/// sender.send(2).unwrap();
/// assert_eq!(*receiver.borrow(), 2);
/// ```
#[must_use]
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(initial);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// Creates a sender without receivers.
    #[must_use]
    pub fn new(initial: T) -> Self {
        Self { shared: Arc::new(Shared::new(initial)) }
    }

    /// Sets the value, and wakes the receivers.
    ///
    /// # Errors
    ///
    /// If there are no receivers. The value stays as it was, and the error contains the new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(receiver);
    /// assert_eq!(sender.send(3).unwrap_err().0, 3);
    /// ```
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.shared.receivers() == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value in place, also without receivers, and wakes the receivers.
    ///
    /// # Panics
    ///
    /// If `modify` panics. The value is then as `modify` left it, and no receiver is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    pub fn send_modify<F>(&self, modify: F)
    where
        F: FnOnce(&mut T),
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and wakes the receivers if `modify` returns `true`. Returns the result of `modify`.
    ///
    /// # Panics
    ///
    /// As [`send_modify`](Self::send_modify).
    ///
    /// # Examples
    ///
    /// ```
    /// let (highest, watched) = abaca::channel::watch::channel(5);
    /// for n in [3, 7] {
    ///     highest.send_if_modified(|value| std::mem::replace(value, n.max(*value)) < n);
    /// }
    /// assert!(watched.has_changed().unwrap());
    /// assert_eq!(*watched.borrow(), 7);
    /// ```
    pub fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        self.shared.change(modify)
    }

    /// Sets the value, also without receivers, and wakes the receivers. Returns the old value.
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = abaca::channel::watch::Sender::new(1);
    /// assert_eq!(sender.send_replace(2), 1);
    /// assert_eq!(*sender.borrow(), 2);
    /// ```
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|last| mem::swap(last, &mut value));
        value
    }

    /// Borrows the value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref { value: self.shared.value.read(), has_changed: false }
    }

    /// Whether there are no receivers.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there are no receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::watch::channel(1);
    /// std::thread::spawn(move || drop(receiver));
    /// sender.closed();
    /// assert!(sender.is_closed());
    /// ```
    pub fn closed(&self) {
        self.shared.wait_closed();
    }

    /// Creates a receiver that counts the present value as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = abaca::channel::watch::Sender::new(1);
    /// let receiver = sender.subscribe();
    /// assert_eq!(sender.receiver_count(), 1);
    /// assert_eq!(*receiver.borrow(), 1);
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.add_receiver();
        Receiver { seen: self.shared.version(), shared: Arc::clone(&self.shared) }
    }

    /// Number of receivers.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        park::spend(Cost::Call);
        self.shared.receivers()
    }

    /// Number of senders.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        park::spend(Cost::Call);
        self.shared.senders()
    }

    /// Whether `self` and `other` send to the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Receiver<T> {
    /// Borrows the value, without counting it as seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        let value = self.shared.value.read();
        Ref { has_changed: self.shared.version() != self.seen, value }
    }

    /// Borrows the value, and counts it as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = abaca::channel::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert!(receiver.borrow().has_changed());
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert!(!receiver.borrow().has_changed());
    /// ```
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.value.read();
        let version = self.shared.version();
        let has_changed = mem::replace(&mut self.seen, version) != version;
        Ref { value, has_changed }
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// If all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert!(receiver.has_changed().unwrap());
    /// drop(sender);
    /// assert!(receiver.has_changed().is_err());
    /// ```
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        park::spend(Cost::Call);
        if self.shared.senders() == 0 {
            return Err(RecvError(()));
        }
        Ok(self.shared.version() != self.seen)
    }

    /// Whether all senders are gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        park::spend(Cost::Call);
        self.shared.senders() == 0
    }

    /// Counts the value as not seen.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, mut receiver) = abaca::channel::watch::channel(1);
    /// receiver.mark_changed();
    /// assert!(receiver.changed().is_ok());
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version().wrapping_sub(1);
    }

    /// Counts the value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version();
    }

    /// Waits for a value that this receiver has not seen, and counts it as seen.
    ///
    /// # Errors
    ///
    /// If there is none and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = abaca::channel::watch::channel(1);
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert!(receiver.changed().is_ok());
    /// assert!(receiver.changed().is_err());
    /// ```
    pub fn changed(&mut self) -> Result<(), RecvError> {
        if self.shared.wait_changed(&mut self.seen) { Ok(()) } else { Err(RecvError(())) }
    }

    /// Waits until `condition` holds for the value, beginning with the present one. Each value that `condition` was called
    /// with counts as seen.
    ///
    /// # Errors
    ///
    /// If `condition` does not hold and all senders are gone.
    ///
    /// # Panics
    ///
    /// If `condition` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = abaca::channel::watch::channel(1);
    /// std::thread::spawn(move || (2..5).for_each(|n| sender.send(n).unwrap()));
    /// assert_eq!(*receiver.wait_for(|n| *n > 3).unwrap(), 4);
    /// ```
    pub fn wait_for(&mut self, mut condition: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        let shared = &self.shared;
        let mut is_closed = false;
        loop {
            let value = shared.value.read();
            let version = shared.version();
            let has_changed = mem::replace(&mut self.seen, version) != version;
            if (has_changed || !is_closed) && condition(&value) {
                return Ok(Ref { value, has_changed });
            }
            drop(value);
            if is_closed {
                return Err(RecvError(()));
            }
            is_closed = !shared.wait_changed(&mut self.seen);
        }
    }

    /// Whether `self` and `other` receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Ref<'_, T> {
    /// Whether the receiver had not seen this value. Always `false` for a sender.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("version", &self.shared.version()).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut receiver = f.debug_struct("Receiver");
        receiver.field("version", &self.shared.version()).field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ref").field("value", &**self).field("has_changed", &self.has_changed).finish()
    }
}
