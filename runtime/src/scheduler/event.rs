//! The flight recorder's event, as it is written and as it is read: four words, the first of which has a [`Kind`] in its lowest byte, and
//! above it the time. `recording.rs` tells where events are written.

use super::turn_record::Entry;
use crate::cell::Reason;

/// The words of an event.
pub(crate) type Event = [u64; 4];

/// The kind of an event, and what its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The running fiber has spawned this one.
    Spawn = 1,
    /// This fiber starts. The small number is its name's in [`Names`](super::names::Names), the last word the address of its spawn site.
    Start,
    /// This fiber of the worker is woken; the small number is a [`Cause`].
    Wake,
    /// A fiber of another worker is woken.
    Send,
    /// So many fibers are taken from the worker with the small number.
    Steal,
    /// The worker has slept since the time that the small number is.
    Sleep,
    /// A mark of the running fiber, by its number in [`Names`](super::names::Names): a moment, and the begin and the end of a span.
    Mark,
    Begin,
    Finish,
    /// Labels of the running fiber, by their number in [`Names`](super::names::Names).
    Label,
    /// This fiber has ended, after a turn that began at the time that the small number is.
    End,
    /// This fiber stops running, likewise. The last word has what it has [moved](super::moved::Moved). What is more in the lowest byte is the number of its reason, none if it
    /// yields.
    Turn,
    /// The worker has left this fiber, which goes on on its thread, after a turn that began at the time that the small number is. It comes
    /// after all reasons.
    Left = u8::MAX,
}

impl Kind {
    /// The kind of the event that is this entry of a log: that of a text.
    pub(crate) fn of_text(entry: Entry) -> Self {
        match entry {
            Entry::Begin => Self::Begin,
            Entry::Finish => Self::Finish,
            Entry::Label => Self::Label,
            _ => Self::Mark,
        }
    }

    /// Those with numbers from 1 on.
    const ALL: [Self; 12] = [
        Self::Spawn,
        Self::Start,
        Self::Wake,
        Self::Send,
        Self::Steal,
        Self::Sleep,
        Self::Mark,
        Self::Begin,
        Self::Finish,
        Self::Label,
        Self::End,
        Self::Turn,
    ];
}

const _: () =
    assert!(Kind::Turn as usize + Reason::COUNT <= Kind::Left as usize, "kind and reason share a byte");

/// Who woke a fiber, as far as its worker knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// The fiber that runs.
    #[default]
    Fiber,
    Timer,
    Poller,
    /// Another thread, by the inbox or by a request.
    Elsewhere,
    /// The fiber that has just ended on this worker.
    Ended,
}

impl Cause {
    pub(crate) fn from_number(number: u8) -> Self {
        let all = [Self::Fiber, Self::Timer, Self::Poller, Self::Elsewhere, Self::Ended];
        all.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// The kind takes the bits below this one.
pub(super) const TIME: u32 = 8;

/// An event, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) ticks: u64,
    pub(crate) kind: Kind,
    /// Of a turn's end only.
    pub(crate) reason: Reason,
    pub(crate) small: u64,
    pub(crate) payload: u64,
    pub(crate) more: u64,
}

impl Decoded {
    /// An event of a recorder that was made at `first`. `None` if the words are no event.
    pub(crate) fn of([word, small, payload, more]: Event, first: u64) -> Option<Self> {
        let number = (word as u8).checked_sub(1)?;
        let last = Kind::Turn as u8 - 1;
        let (kind, reason) = if word as u8 == Kind::Left as u8 {
            (Kind::Left, Reason::None)
        } else {
            (Kind::ALL[usize::from(number.min(last))], Reason::from_number(number - number.min(last)))
        };
        // The upper bits are cut off, and are those of the moment or of the next time they change.
        let passed = (word >> TIME).wrapping_sub(first) & (u64::MAX >> TIME);
        Some(Self { ticks: first.wrapping_add(passed), kind, reason, small, payload, more })
    }
}
