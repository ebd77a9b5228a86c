//! The kinds of runtimes on which a behaviour must be the same.

use abaca::Runtime;
use abaca::runtime::{Builder, Poller};

/// One worker, one per core or so, and many more than cores; both pollers.
pub(crate) fn builders() -> impl Iterator<Item = Builder> {
    let pollers = [Poller::Workers, Poller::Thread].into_iter();
    pollers.flat_map(|poller| [1, 2, 8].map(|workers| Runtime::builder().workers(workers).poller(poller)))
}

/// Calls `body` on a fiber of each kind of runtime.
pub(crate) fn on_each_runtime(body: impl Fn() + Send + Sync) {
    builders().for_each(|builder| builder.build().unwrap().run(&body));
}
