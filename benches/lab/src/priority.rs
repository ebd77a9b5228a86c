//! How a thread stands to the others where they share CPUs.

#![expect(unsafe_code, reason = "rustix does not set the scheduling policy")]

/// The priority of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// That of the others: for a generator that is one client of many.
    Equal,
    /// Before the others, but it does not keep them from running: for one that may need a whole CPU.
    First,
    /// It runs whenever it can, and the others wait meanwhile: for one that needs little, and must be on time although
    /// the servers keep all CPUs busy. Else [`First`](Self::First), where that is not allowed.
    RealTime,
}

impl Priority {
    /// Gives the calling thread this priority, if that is allowed: a generator that waits for the CPU that its server uses
    /// is late, and its figures say nothing. Where it is refused, the lag in its report says what that did.
    pub fn set(self) {
        let is_set = match self {
            Self::Equal => true,
            Self::First => false,
            Self::RealTime => set_real_time(),
        };
        if !is_set {
            let _ = rustix::process::setpriority_process(None, -10);
        }
    }
}

/// Gives the calling thread the lowest of the real-time priorities, which is before all that have none. Returns whether it is
/// allowed.
fn set_real_time() -> bool {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameters, which are alive until it returns; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) == 0 }
}
