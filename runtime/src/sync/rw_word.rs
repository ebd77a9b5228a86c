//! The word of a readers-writer lock. `raw_rw_lock` says who changes it and when.
//!
//! | bits | set | cleared | means |
//! |---|---|---|---|
//! | `WRITER` | by the fiber or thread that takes the lock to write, or by an unlocker for the waiter that it hands off to | by the holder | a writer holds it |
//! | `WAITERS` | under the queues' lock, by a waiter that joins a queue | under the queues' lock, when all are empty | a fiber or thread that frees the lock must look at the queues |
//! | `WAKING` | under the queues' lock, by the unlocker that wakes a writer | by the woken writer, when it has the lock or has joined the queue again | a woken writer is on its way: wake no other |
//! | `HANDOFF` | under the queues' lock, by a starving writer | under the queues' lock, when no starving writer waits | the lock is only granted by an unlocker |
//! | the rest | by readers, and by unlockers for readers that waited | by readers | the number of readers that hold it |

pub(super) const WRITER: u32 = 1;
pub(super) const WAITERS: u32 = 1 << 1;
pub(super) const WAKING: u32 = 1 << 2;
pub(super) const HANDOFF: u32 = 1 << 3;
pub(super) const READER: u32 = 1 << 4;

/// The bits of all holders: a writer and the readers.
pub(super) const HELD: u32 = WRITER | !(READER - 1);

/// Whether another reader can be counted. Every function that adds one checks this. (Guards that are forgotten stay counted.)
#[inline]
pub(super) fn has_room(word: u32) -> bool {
    word <= u32::MAX - READER
}
