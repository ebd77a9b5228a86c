//! Hand-off: a worker leaves a thread that is stuck in a fiber's own code, and goes on on another one. `README.md` beside this
//! file tells the protocol.

mod assignment;
#[cfg(feature = "own-tls")]
mod carrier;
#[cfg(feature = "own-tls")]
mod crowd;
#[cfg(feature = "own-tls")]
mod exchange;
#[cfg(feature = "own-tls")]
mod limit;
#[cfg(feature = "own-tls")]
mod load;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, loom))]
mod model_exchange;
#[cfg(all(test, loom))]
mod model_quiet;
#[cfg(all(test, loom))]
mod model_return;
mod presence;
mod quiet;
#[cfg(feature = "own-tls")]
mod rest;
#[cfg(feature = "own-tls")]
mod siblings;
#[cfg(feature = "own-tls")]
mod sleep;
#[cfg(feature = "own-tls")]
mod spares;
#[cfg(feature = "own-tls")]
mod thread;
#[cfg(feature = "own-tls")]
mod urgency;
#[cfg(feature = "own-tls")]
mod vigil;
#[cfg(feature = "own-tls")]
mod ward;

#[cfg(feature = "own-tls")]
pub(crate) use carrier::Carrier;
#[cfg(feature = "own-tls")]
pub(crate) use limit::SpareLimit;
#[cfg(feature = "own-tls")]
pub(super) use load::Load;
#[cfg(feature = "own-tls")]
pub(super) use quiet::Quiet;
#[cfg(feature = "own-tls")]
pub(super) use siblings::Suspicion;
#[cfg(feature = "own-tls")]
pub(super) use sleep::Sleep;
#[cfg(feature = "own-tls")]
pub(crate) use spares::{Spares, Start, observe_stuck_threads};
#[cfg(feature = "own-tls")]
pub(super) use thread::run_thread;

/// What became of an attempt to give a worker to a spare.
#[cfg(feature = "own-tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOff {
    /// The spare has it.
    Done,
    /// A spare has been started, and will wait in a moment.
    Soon,
    /// The worker stays where it is.
    Refused,
}
