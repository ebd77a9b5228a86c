//! The word of a readers-writer lock; who changes it when is `raw_rw_lock`'s to say.
//!
//! | bits | set | cleared | means |
//! |---|---|---|---|
//! | `WRITER` | by whoever takes the lock to write, or by an unlocker on behalf of the one it hands over to | by the holder | a writer holds it |
//! | `WAITERS` | under the queues' lock, by one that joins a queue | under the queues' lock, when all are empty | whoever frees the lock must look at the queues |
//! | `WAKING` | under the queues' lock, by the unlocker that wakes a writer | by the woken one, when it has the lock or has joined the queue again | a woken writer is on its way: wake no other |
//! | `HAND_OVER` | under the queues' lock, by a writer that has lost for too long | under the queues' lock, when no such writer waits | nobody takes the lock but from an unlocker |
//! | the rest | by readers, and by unlockers on behalf of readers that waited | by readers | how many hold it to read |

pub(super) const WRITER: u32 = 1;
pub(super) const WAITERS: u32 = 1 << 1;
pub(super) const WAKING: u32 = 1 << 2;
pub(super) const HAND_OVER: u32 = 1 << 3;
pub(super) const READER: u32 = 1 << 4;

/// Whatever holds the lock.
pub(super) const HELD: u32 = WRITER | !(READER - 1);

/// Whether another reader can be counted: every place that adds one asks. (Guards that are forgotten stay counted.)
#[inline]
pub(super) fn has_room(word: u32) -> bool {
    word <= u32::MAX - READER
}
