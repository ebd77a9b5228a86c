//! What a fiber that enters the hub asks of it, as the word that travels through the switch.

use std::ptr::NonNull;

use crate::cell::Header;

/// What a fiber that enters the hub asks of it.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    Nothing,
    /// Start this task: the fiber that picked it had no stack at hand.
    Start(NonNull<Header>),
    /// Queue this roaming fiber, which has yielded.
    Requeue(NonNull<Header>),
    /// Let this fiber go on at the end of the tick, or when there is nothing else to run.
    Aside(NonNull<Header>),
}

impl Request {
    pub(super) fn encode(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Start(fiber) => fiber.as_ptr() as usize | 1,
            Self::Requeue(fiber) => fiber.as_ptr() as usize | 2,
            Self::Aside(fiber) => fiber.as_ptr() as usize | 3,
        }
    }

    pub(super) fn decode(word: usize) -> Self {
        match (NonNull::new((word & !3) as *mut Header), word & 3) {
            (Some(fiber), 1) => Self::Start(fiber),
            (Some(fiber), 2) => Self::Requeue(fiber),
            (Some(fiber), 3) => Self::Aside(fiber),
            _ => Self::Nothing,
        }
    }
}

const _: () = assert!(align_of::<Header>() >= 4, "the low two bits of a header's address are the request's");
