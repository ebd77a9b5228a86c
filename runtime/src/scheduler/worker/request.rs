//! A fiber's request to the hub, and its encoding as the word that travels through the switch.

use std::ptr::NonNull;

use crate::cell::Header;

/// A fiber's request when it enters the hub.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    Nothing,
    /// Start this unstarted fiber: the fiber that picked it had no stack for it. Also resumes a started fiber.
    Start(NonNull<Header>),
    /// Queue this roaming fiber, which has yielded.
    Requeue(NonNull<Header>),
    /// Give this fiber back to its home, which has left the thread.
    #[cfg(feature = "own-tls")]
    Return(NonNull<Header>),
    /// Let this fiber go on at the end of the tick, or when there is nothing else to run.
    Defer(NonNull<Header>),
}

impl Request {
    pub(in crate::scheduler) fn encode(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Start(fiber) => fiber.as_ptr() as usize | 1,
            Self::Requeue(fiber) => fiber.as_ptr() as usize | 2,
            Self::Defer(fiber) => fiber.as_ptr() as usize | 3,
            #[cfg(feature = "own-tls")]
            Self::Return(fiber) => fiber.as_ptr() as usize,
        }
    }

    pub(super) fn decode(word: usize) -> Self {
        match (NonNull::new((word & !3) as *mut Header), word & 3) {
            (Some(fiber), 1) => Self::Start(fiber),
            (Some(fiber), 2) => Self::Requeue(fiber),
            (Some(fiber), 3) => Self::Defer(fiber),
            #[cfg(feature = "own-tls")]
            (Some(fiber), _) => Self::Return(fiber),
            _ => Self::Nothing,
        }
    }
}

const _: () = assert!(align_of::<Header>() >= 4, "the low two bits of a header's address are the request's");
