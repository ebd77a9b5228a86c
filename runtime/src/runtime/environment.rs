//! What the environment says about a runtime.

use std::io;
use std::path::PathBuf;
use std::sync::Weak;
use std::thread;

use super::builder::{Builder, invalid};
use super::poller::Poller;
use crate::observe::Server;
use crate::os::stderr;
use crate::scheduler::Shared;

/// The most workers of one runtime.
const MAX_WORKERS: usize = 1024;

impl Builder {
    pub(super) fn worker_count(&self) -> io::Result<usize> {
        let workers = match (self.workers, std::env::var("ABACA_WORKERS")) {
            (Some(workers), _) => workers,
            (None, Ok(text)) => {
                text.parse().map_err(|_| invalid("ABACA_WORKERS is a number of worker threads"))?
            }
            (None, Err(_)) => thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
        };
        if workers == 0 || workers > MAX_WORKERS {
            return Err(invalid("a runtime has 1 to 1024 workers"));
        }
        Ok(workers)
    }

    pub(super) fn poller_kind(&self) -> io::Result<Poller> {
        match (self.poller, std::env::var("ABACA_POLLER").as_deref()) {
            (Some(poller), _) => Ok(poller),
            (None, Ok("workers") | Err(_)) => Ok(Poller::Workers),
            (None, Ok("thread")) => Ok(Poller::Thread),
            (None, Ok(_)) => Err(invalid("ABACA_POLLER is `workers` or `thread`")),
        }
    }

    /// The path that is set, or that the environment has.
    pub(super) fn socket_path(&self) -> Option<SocketPath> {
        let of_environment = || std::env::var_os("ABACA_OBSERVE").filter(|path| !path.is_empty());
        let path = self.observe_at.clone().map(SocketPath::Set);
        path.or_else(|| of_environment().map(|path| SocketPath::OfEnvironment(path.into())))
    }
}

/// Where a runtime is to be observed.
pub(super) enum SocketPath {
    Set(PathBuf),
    OfEnvironment(PathBuf),
}

impl SocketPath {
    /// Starts the server. A path of the environment is there to look at the program, and does not stop it.
    pub(super) fn serve(&self, shared: Weak<Shared>) -> io::Result<Option<Server>> {
        match self {
            Self::Set(path) => Server::start(path, shared).map(Some),
            Self::OfEnvironment(path) => Ok(Server::start(path, shared)
                .inspect_err(|error| {
                    stderr::write(format!("abaca: this runtime is not observed: {error}\n").as_bytes());
                })
                .ok()),
        }
    }
}
