//! `Select`: a choice among operations that are listed while the program runs.

#![expect(unsafe_code, reason = "a list of arms may move between threads whatever their messages")]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::arm::{Operation, Purpose};
use super::choice::{self, Arms, Room, Rule};
use super::error::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
use super::exchange::Patience;
use super::receiver::Receiver;
use super::selected::{Selectable, SelectedOperation, Shelved};
use super::sender::Sender;

/// Waits for the first of several operations, listed while the program runs; [`select!`](crate::select) is for those that
/// are known before.
///
/// An operation is ready when it would not wait, also when it would fail because the channel is disconnected.
///
/// Adding an operation allocates; waiting does not.
///
/// # Examples
///
/// ```
/// use abaca::channel::{self, Select};
///
/// let channels: Vec<_> = (0..3).map(|_| channel::unbounded()).collect();
/// channels[1].0.send("hello").unwrap();
///
/// let mut select = Select::new();
/// for (_, receiver) in &channels {
///     select.recv(receiver);
/// }
/// let operation = select.select();
/// assert_eq!(operation.index(), 1);
/// assert_eq!(operation.recv(&channels[1].1), Ok("hello"));
/// ```
pub struct Select<'a> {
    entries: Vec<Entry<'a>>,
    /// One place for each entry.
    room: Vec<Room>,
    next_index: usize,
    is_biased: bool,
}

struct Entry<'a> {
    end: &'a (dyn Selectable + 'a),
    arm: Box<dyn Shelved + 'a>,
    index: usize,
}

// SAFETY: an arm at rest holds no message and no node that is linked; what it refers to are channels, whose locks order
// all access. A message that passes through it while this is on another thread than the channel's ends is neither used
// nor dropped there: it is set aside in the channel.
unsafe impl Send for Select<'_> {}
// SAFETY: a shared reference gives access to nothing but clones.
unsafe impl Sync for Select<'_> {}

// As the ends that it refers to.
impl UnwindSafe for Select<'_> {}
impl RefUnwindSafe for Select<'_> {}

impl<'a> Select<'a> {
    /// No operations yet. If several are ready, a random one is selected.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: Vec::new(), room: Vec::new(), next_index: 0, is_biased: false }
    }

    /// No operations yet. If several are ready, the one that was added first is selected.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let channels = [channel::unbounded(), channel::unbounded()];
    /// let mut select = Select::new_biased();
    /// for (sender, receiver) in &channels {
    ///     sender.send(()).unwrap();
    ///     select.recv(receiver);
    /// }
    /// assert_eq!(select.ready(), 0);
    /// ```
    #[must_use]
    pub fn new_biased() -> Self {
        Self { is_biased: true, ..Self::new() }
    }

    /// Adds a send operation. Returns its index: how many were added before.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds a receive operation. Returns its index: how many were added before.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    fn add(&mut self, end: &'a (dyn Selectable + 'a)) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.entries.push(Entry { end, arm: end.arm(), index });
        self.room.push((0, 0));
        index
    }

    /// Removes an operation. The others keep their indices.
    ///
    /// # Panics
    ///
    /// When there is no operation with this index (any more).
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::bounded::<()>(0);
    /// let (other_sender, other) = channel::bounded::<()>(0);
    /// drop((sender, other_sender));
    ///
    /// let mut select = Select::new();
    /// let first = select.recv(&receiver);
    /// let second = select.recv(&other);
    /// select.remove(first);
    /// assert_eq!(select.ready(), second);
    /// ```
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {index} >= {}", self.next_index);
        let place = self.entries.iter().position(|entry| entry.index == index);
        let place = place.expect("no operation with this index");
        // The rest stays in order, for a biased select.
        self.entries.remove(place);
        self.room.pop();
    }

    /// Selects an operation that is ready.
    ///
    /// # Errors
    ///
    /// When none is.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.select_with(Patience::None).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and selects it.
    ///
    /// # Panics
    ///
    /// When there are no operations.
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.assert_some();
        self.select_with(Patience::Until(None)).expect("it waits forever")
    }

    /// Waits until an operation is ready, but for no longer than `timeout`, and selects it.
    ///
    /// # Errors
    ///
    /// When the time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = channel::unbounded::<()>();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert!(select.select_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn select_timeout(&mut self, timeout: Duration) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_until(Instant::now().checked_add(timeout))
    }

    /// Waits until an operation is ready, but not beyond `deadline`, and selects it.
    ///
    /// # Errors
    ///
    /// As [`select_timeout`](Self::select_timeout).
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_until(Some(deadline))
    }

    fn select_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        if deadline.is_none() {
            self.assert_some();
        }
        self.select_with(Patience::Until(deadline)).ok_or(SelectTimeoutError)
    }

    /// The index of an operation that is ready. It may be ready no longer when it is begun.
    ///
    /// # Errors
    ///
    /// When none is.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.ready_with(Patience::None).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready. It may be ready no longer when it is begun.
    ///
    /// # Panics
    ///
    /// When there are no operations.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&receiver);
    /// sender.send(1).unwrap();
    /// assert_eq!(select.ready(), index);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn ready(&mut self) -> usize {
        self.assert_some();
        self.ready_with(Patience::Until(None)).expect("it waits forever")
    }

    /// Waits until an operation is ready, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// When the time was up.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.ready_deadline(deadline),
            // A timeout that the clock cannot express is no timeout.
            None => Ok(self.ready()),
        }
    }

    /// Waits until an operation is ready, but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`ready_timeout`](Self::ready_timeout).
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_with(Patience::Until(Some(deadline))).ok_or(ReadyTimeoutError)
    }

    fn assert_some(&self) {
        assert!(!self.entries.is_empty(), "no operations have been added to `Select`");
    }

    fn ready_with(&mut self, patience: Patience) -> Option<usize> {
        let rule = Rule { is_biased: self.is_biased, patience, purpose: Purpose::Watch };
        let place = choice::choose(&self.entries[..], rule, &mut self.room)?;
        Some(self.entries[place].index)
    }

    fn select_with(&mut self, patience: Patience) -> Option<SelectedOperation<'a>> {
        let rule = Rule { is_biased: self.is_biased, patience, purpose: Purpose::Select };
        let place = choice::choose(&self.entries[..], rule, &mut self.room)?;
        let Entry { end, arm, index } = &self.entries[place];
        Some(SelectedOperation::new(*end, *index, arm.set_aside()))
    }
}

impl<'a> Arms for [Entry<'a>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> &dyn Operation {
        self[index].arm.as_operation()
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let entries = self.entries.iter().map(|entry| Entry { arm: entry.end.arm(), ..*entry });
        Self { entries: entries.collect(), room: self.room.clone(), ..*self }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}
