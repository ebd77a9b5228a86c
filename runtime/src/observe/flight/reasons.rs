//! The names of the reasons for which a fiber waits.

use crate::cell::Reason;

const NAMES: &[(Reason, &str)] = &[
    (Reason::Park, "park"),
    (Reason::Join, "join"),
    (Reason::Sleep, "sleep"),
    (Reason::Scope, "scope"),
    (Reason::Mutex, "mutex"),
    (Reason::Condvar, "condvar"),
    (Reason::RwLock, "rw lock"),
    (Reason::Barrier, "barrier"),
    (Reason::Once, "once"),
    (Reason::Semaphore, "semaphore"),
    (Reason::Notify, "notify"),
    (Reason::WaitGroup, "wait group"),
    (Reason::ChannelSend, "channel send"),
    (Reason::ChannelReceive, "channel receive"),
    (Reason::Select, "select"),
    (Reason::Oneshot, "oneshot"),
    (Reason::Broadcast, "broadcast"),
    (Reason::Watch, "watch"),
    (Reason::Read, "read"),
    (Reason::Write, "write"),
    (Reason::Connect, "connect"),
    (Reason::Accept, "accept"),
    (Reason::Blocking, "blocking"),
    (Reason::Open, "open"),
    (Reason::Process, "process"),
    (Reason::Signal, "signal"),
    (Reason::Future, "future"),
    (Reason::Queue, "wait queue"),
];

/// The name of the reason with this number; `None` if that is no wait.
pub(super) fn name_of(number: u8) -> Option<&'static str> {
    NAMES.iter().find(|(reason, _)| *reason as u8 == number).map(|(_, name)| *name)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name() {
        assert_eq!(name_of(Reason::None as u8), None);
        assert!((1..=Reason::Queue as u8).all(|number| name_of(number).is_some()));
    }
}
