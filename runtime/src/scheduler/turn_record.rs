//! A record of a log of turns (`turn_log.rs`), as it is written and as it is read: two words.
//!
//! The lowest bits of the first word are its form. In the record of a turn's end the rest of that word is the address of the fiber's
//! cell, a name that is not followed, and the other word is why the turn ended, above which is what the thread had
//! [moved](super::moved::Moved) by then; or where the fiber was spawned, if it has ended. A wake-up has the fiber's address as well,
//! and a [`Cause`]. What an [`Entry`] has tells its name.

use super::event::Cause;
use crate::cell::{Header, Reason};

/// The bits of the first word that are the form. Cells are aligned to more.
pub(super) const FORM: u64 = 7;

const _: () = assert!(align_of::<Header>() as u64 > FORM, "an address has room for the form");

/// The lowest bits of the second word of a wake-up are its cause.
pub(super) const CAUSE_BITS: u32 = 8;

/// How many bits of the moment a [`Send`](Logged::Send) has.
pub(crate) const SENT_BITS: u32 = u64::BITS - CAUSE_BITS;

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Form {
    Turn,
    End,
    RoamingTurn,
    RoamingEnd,
    Left,
    Entry,
    Wake,
    Send,
}

/// What a record is about that is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Entry {
    /// The hub is at work.
    Clock,
    /// The worker begins to sleep.
    Sleep,
    /// The worker, in its hub, has taken so many fibers from the one with this index: the number has it in its lowest 16 bits.
    Steal,
    /// A turn ends, whose record is the next one.
    TurnEnds,
    /// The inbox is emptied, in the turn of a fiber if the number is not 0.
    Inbox,
    /// The running fiber has spawned the one whose address the second word is.
    Spawn,
    /// The second word is what the thread has moved: since the end of the last turn, the fiber that ends next.
    Moved,
    /// The second word is what the thread has moved that now runs the worker.
    Base,
    /// So many bytes of the next text; the second word has them.
    Text,
    /// The text is the name of the fiber, which ends.
    Name,
    /// The text is a mark, the begin of a span, or a label; and the end of a span.
    Mark,
    Begin,
    Label,
    Finish,
}

impl Entry {
    const ALL: [Self; 14] = [
        Self::Clock,
        Self::Sleep,
        Self::Steal,
        Self::TurnEnds,
        Self::Inbox,
        Self::Spawn,
        Self::Moved,
        Self::Base,
        Self::Text,
        Self::Name,
        Self::Mark,
        Self::Begin,
        Self::Label,
        Self::Finish,
    ];
}

/// A record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Turn {
        fiber: u64,
        roams: bool,
        reason: Reason,
        /// The sum; its lowest bits do not matter.
        moved: u64,
    },
    /// The fiber ends that was spawned at the `Location` with this address.
    End { fiber: u64, roams: bool, site: u64 },
    /// The worker has left the fiber.
    Left { fiber: u64, at: u64 },
    /// The fiber is woken.
    Wake { fiber: u64, roams: bool, cause: Cause },
    /// The fiber is woken, which is another worker's. The upper bits of the moment are cut off: see [`SENT_BITS`].
    Send { fiber: u64, cause: Cause, at: u64 },
    /// The number is what the entry says; the second word is a moment, if the entry does not say what it is.
    Entry { entry: Entry, number: u64, word: u64 },
}

impl Logged {
    /// `None` if the words are no record.
    pub(crate) fn of([first, second]: [u64; 2]) -> Option<Self> {
        const TURN: u64 = Form::Turn as u64;
        const END: u64 = Form::End as u64;
        const ROAMING_TURN: u64 = Form::RoamingTurn as u64;
        const ROAMING_END: u64 = Form::RoamingEnd as u64;
        const LEFT: u64 = Form::Left as u64;
        const ENTRY: u64 = Form::Entry as u64;
        const WAKE: u64 = Form::Wake as u64;
        let fiber = first & !FORM;
        let turn =
            |roams| Self::Turn { fiber, roams, reason: Reason::from_number(second as u8), moved: second };
        let cause = || Cause::from_number(second as u8);
        Some(match first & FORM {
            TURN => turn(false),
            ROAMING_TURN => turn(true),
            END => Self::End { fiber, roams: false, site: second },
            ROAMING_END => Self::End { fiber, roams: true, site: second },
            LEFT => Self::Left { fiber, at: second },
            ENTRY => {
                let entry = *Entry::ALL.get(usize::from(first as u8 >> FORM.count_ones()))?;
                Self::Entry { entry, number: first >> 8, word: second }
            }
            WAKE => Self::Wake { fiber, roams: second >> CAUSE_BITS != 0, cause: cause() },
            _ => Self::Send { fiber, cause: cause(), at: second >> CAUSE_BITS },
        })
    }
}
