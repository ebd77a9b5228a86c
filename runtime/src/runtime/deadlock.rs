//! Deadlocks: what a runtime does when all its fibers wait and nothing can wake them.
//!
//! The scheduler says when nothing within the runtime can (`scheduler/quiet.rs`). Then only a thread that is not the runtime's could.
//! So a deadlock is certain if the process has no other thread but those that wait in [`Runtime::run`](super::Runtime::run) and those of
//! `os/service.rs`, and no other runtime. Signal handlers cannot wake a fiber: a fiber that waits for a [`signal`](crate::signal) waits for a descriptor.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Builder;
use super::crew::Roster;
use crate::cell::Fiber;
use crate::observe::Deadlock;
use crate::os::service::Services;
use crate::os::{self, stderr};
use crate::park;
use crate::scheduler::{Shared, Verdict, registry};

/// What a runtime does about a deadlock of all its fibers; see [`Builder::on_deadlock`].
#[derive(Clone, Default)]
pub enum DeadlockPolicy {
    /// [`Runtime::run`](super::Runtime::run) ends: the deadlock is written to standard error, the main fiber is cancelled, and `run`
    /// panics with a message that names the cycle. The default.
    #[default]
    End,
    /// The callback gets the deadlock, on a thread of its own, and the fibers go on waiting.
    Report(Arc<dyn Fn(&Deadlock) + Send + Sync>),
    /// Nothing: nobody looks.
    Ignore,
}

impl fmt::Debug for DeadlockPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "End",
            Self::Report(_) => "Report",
            Self::Ignore => "Ignore",
        })
    }
}

impl Builder {
    /// Sets what happens if all fibers of the runtime wait, and nothing can wake them any more. Default: [`DeadlockPolicy::End`].
    ///
    /// It is noticed within two seconds, and only where it is certain: no fiber sleeps or has a deadline; none waits for a descriptor,
    /// be it a socket, a child or a signal; no blocking call is under way; and the process has no thread beyond those of the
    /// runtime, its idle pool, and those that wait in [`run`](super::Runtime::run). Those with which the runtime is
    /// [observed](Self::observe_at), writes dumps and recordings, [compacts](Self::compact_after) stacks or waits for children are its own.
    /// A program with threads of its own is not ended while they are there, since any of them could wake a fiber;
    /// [`observe::check`](crate::observe::check) finds the cycle there. The runtime looks again after pauses, each twice as long as the
    /// one before, up to a minute. So if the last such thread has ended, the deadlock is noticed after about as long as it has lasted until then.
    ///
    /// The main fiber ends by a cancellation. If it waits in a [`shield`](crate::cancel::shield) or a destructor, it is only
    /// reported.
    ///
    /// ```no_run
    /// // thread 'main' panicked: deadlock: 1 fiber, all waiting, and nothing can wake one
    /// abaca::Runtime::builder().build().unwrap().run(abaca::park);
    /// ```
    pub fn on_deadlock(mut self, policy: DeadlockPolicy) -> Self {
        self.deadlock = policy;
        self
    }
}

/// The threads that wait in `run`, and what ends their waits.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    mains: Vec<Fiber>,
    /// The message of the deadlock for which they were ended.
    message: Option<String>,
}

impl Waits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `wait`, in which the calling thread waits for this main fiber.
    pub(super) fn during<R>(&self, main: &Fiber, wait: impl FnOnce() -> R) -> R {
        self.state().mains.push(main.clone());
        let result = wait();
        self.state().mains.retain(|other| other.id() != main.id());
        result
    }

    /// The message of the deadlock that has ended all main fibers, if there was one.
    pub(super) fn message(&self) -> Option<String> {
        self.state().message.clone()
    }
}

/// What the monitor calls when the runtime is quiet.
pub(super) fn on_quiet(
    shared: Weak<Shared>,
    roster: &Arc<Roster>,
    waits: Arc<Waits>,
    policy: DeadlockPolicy,
) -> impl Fn() -> Verdict + Send + Sync + use<> {
    let roster = Arc::downgrade(roster);
    move || {
        let (Some(shared), Some(roster)) = (shared.upgrade(), roster.upgrade()) else {
            return Verdict::Final;
        };
        let in_crew = || {
            let pools = [Some(&shared.blocking), shared.blocking.forking()];
            let in_pools: usize = pools.into_iter().flatten().map(|pool| pool.metrics().threads).sum();
            roster.running() + in_pools + waits.state().mains.len()
        };
        let is_certain = || {
            let services = Services::count();
            registry::all().len() == 1
                && os::thread::count().is_some_and(|all| all <= in_crew() + services.running)
                && Services::count() == services
                && shared.is_quiet()
        };
        if !is_certain() {
            return Verdict::Open;
        }
        let deadlock = Deadlock::find();
        // Looking has woken the workers for a moment, and run nothing.
        if !is_certain() {
            return Verdict::Open;
        }
        match &policy {
            DeadlockPolicy::Ignore => {}
            DeadlockPolicy::Report(callback) => {
                let callback = Arc::clone(callback);
                let _ = os::thread::start("abaca-deadlock".into(), move || callback(&deadlock));
            }
            DeadlockPolicy::End => {
                stderr::write(format!("abaca: {deadlock}").as_bytes());
                let mains = {
                    let mut state = waits.state();
                    state.message = Some(deadlock.summary());
                    state.mains.clone()
                };
                mains.iter().for_each(park::cancel);
            }
        }
        Verdict::Final
    }
}
