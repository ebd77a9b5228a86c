//! Hand-off: a worker leaves a thread that is stuck in a fiber's own code, and goes on on another one. `README.md` beside this
//! file tells the protocol.

#[cfg(feature = "own-tls")]
mod carrier;
#[cfg(all(test, loom))]
mod model;
mod presence;
#[cfg(feature = "own-tls")]
mod spares;

#[cfg(feature = "own-tls")]
pub(crate) use carrier::Carrier;
#[cfg(feature = "own-tls")]
pub(super) use spares::run_thread;
#[cfg(feature = "own-tls")]
pub(crate) use spares::{Spares, Start, observe_stuck_threads};
