//! `Select`: waits for the first of several operations, listed at run time.

#![expect(unsafe_code, reason = "a list of cases may move between threads whatever their messages")]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::case::{Operation, Purpose};
use super::error::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
use super::receiver::Receiver;
use super::select_loop::{self, Cases, LockEntry, SelectMode};
use super::selected::{Selectable, SelectedOperation, StoredCase};
use super::sender::Sender;
use super::shared::Block;

/// Waits for the first of several operations that are listed at run time. If they are known at compile time, use
/// [`select!`](crate::select).
///
/// An operation is ready when it would not wait, also if it would fail because the channel is disconnected.
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
    /// Scratch space: one entry for each case.
    lock_order: Vec<LockEntry>,
    next_index: usize,
    is_biased: bool,
}

struct Entry<'a> {
    end: &'a (dyn Selectable + 'a),
    case: Box<dyn StoredCase + 'a>,
    index: usize,
}

// SAFETY: a case that is not in a select under way holds no message and no linked node. It refers to channels, whose locks
// order all access. A message that passes through it on a thread without the channel's ends is neither used nor dropped
// there: it is set aside in the channel.
unsafe impl Send for Select<'_> {}
// SAFETY: a shared reference can only be used to clone.
unsafe impl Sync for Select<'_> {}

// As the ends that it refers to.
impl UnwindSafe for Select<'_> {}
impl RefUnwindSafe for Select<'_> {}

impl<'a> Select<'a> {
    /// Creates a `Select` without operations. If several are ready, a random one is selected.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: Vec::new(), lock_order: Vec::new(), next_index: 0, is_biased: false }
    }

    /// Creates a `Select` without operations. If several are ready, the one that was added first is selected.
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

    /// Adds a send operation. Returns its index: the number of operations that were added before.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds a receive operation. Returns its index: the number of operations that were added before.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    fn add(&mut self, end: &'a (dyn Selectable + 'a)) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.entries.push(Entry { end, case: end.case(), index });
        self.lock_order.push((0, 0));
        index
    }

    /// Removes an operation. The others keep their indices. Adding another one does not reuse the index.
    ///
    /// # Panics
    ///
    /// If there is no operation with this index, or it has been removed.
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
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {index} >= {}", self.next_index);
        let position = self.entries.iter().position(|entry| entry.index == index);
        let position = position.expect("no operation with this index");
        // The rest stays in order, for a biased select.
        self.entries.remove(position);
        self.lock_order.pop();
    }

    /// Selects an operation if one is ready.
    ///
    /// # Errors
    ///
    /// If no operation is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&receiver);
    /// assert!(select.try_select().is_err());
    /// sender.send(1).unwrap();
    /// let operation = select.try_select().unwrap();
    /// assert_eq!(operation.index(), index);
    /// assert_eq!(operation.recv(&receiver), Ok(1));
    /// ```
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.select_with(Block::Never).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and selects it.
    ///
    /// # Panics
    ///
    /// If there are no operations.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let (_other_sender, other) = channel::bounded::<u32>(1);
    /// let mut select = Select::new();
    /// let send = select.send(&sender);
    /// select.recv(&other);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), send);
    /// operation.send(&sender, 5).unwrap();
    /// assert_eq!(receiver.recv(), Ok(5));
    /// ```
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.assert_some();
        self.select_with(Block::Until(None)).expect("it waits forever")
    }

    /// Waits until an operation is ready, but for no longer than `timeout`, and selects it.
    ///
    /// # Errors
    ///
    /// If no operation became ready in time.
    ///
    /// # Panics
    ///
    /// If there are no operations and `timeout` is too long for the clock, so that the wait would be endless.
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
    #[track_caller]
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

    #[track_caller]
    fn select_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        if deadline.is_none() {
            self.assert_some();
        }
        self.select_with(Block::Until(deadline)).ok_or(SelectTimeoutError)
    }

    /// The index of an operation that is ready. Another thread or fiber may be faster: the operation may have to wait when it
    /// is begun.
    ///
    /// # Errors
    ///
    /// If no operation is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&receiver);
    /// assert!(select.try_ready().is_err());
    /// sender.send(1).unwrap();
    /// assert_eq!(select.try_ready(), Ok(index));
    /// ```
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.ready_with(Block::Never).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its index. Another thread or fiber may be faster: the operation may
    /// have to wait when it is begun.
    ///
    /// # Panics
    ///
    /// If there are no operations.
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
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        self.assert_some();
        self.ready_with(Block::Until(None)).expect("it waits forever")
    }

    /// Waits until an operation is ready, as [`ready`](Self::ready), but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If no operation became ready in time.
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.ready_deadline(deadline),
            // A timeout that the clock cannot express is no timeout.
            None => Ok(self.ready()),
        }
    }

    /// Waits until an operation is ready, as [`ready`](Self::ready), but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`ready_timeout`](Self::ready_timeout).
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_with(Block::Until(Some(deadline))).ok_or(ReadyTimeoutError)
    }

    #[track_caller]
    fn assert_some(&self) {
        assert!(!self.entries.is_empty(), "no operations have been added to `Select`");
    }

    fn ready_with(&mut self, block: Block) -> Option<usize> {
        let mode = SelectMode { is_biased: self.is_biased, block, purpose: Purpose::Watch };
        let position = select_loop::run(&self.entries[..], mode, &mut self.lock_order)?;
        Some(self.entries[position].index)
    }

    fn select_with(&mut self, block: Block) -> Option<SelectedOperation<'a>> {
        let mode = SelectMode { is_biased: self.is_biased, block, purpose: Purpose::Select };
        let position = select_loop::run(&self.entries[..], mode, &mut self.lock_order)?;
        let Entry { end, case, index } = &self.entries[position];
        Some(SelectedOperation::new(*end, *index, case.set_aside()))
    }
}

impl<'a> Cases for [Entry<'a>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> &dyn Operation {
        self[index].case.as_operation()
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let entries = self.entries.iter().map(|entry| Entry { case: entry.end.case(), ..*entry });
        Self { entries: entries.collect(), lock_order: self.lock_order.clone(), ..*self }
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
