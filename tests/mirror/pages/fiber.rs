//! `std::thread`, which is `abaca::fiber`.

use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "thread/index.html", ours: "fiber/index.html", examples: 3, ..PAGE },
    Page { original: "thread/fn.available_parallelism.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.current.html", ours: "fiber/fn.current.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.panicking.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.park.html", ours: "fiber/fn.park.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.park_timeout.html", ours: "fiber/fn.park_timeout.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.scope.html", ours: "fiber/fn.scope.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.sleep.html", ours: "fiber/fn.sleep.html", examples: 1, ..PAGE },
    Page { original: "thread/fn.spawn.html", ours: "fiber/fn.spawn.html", examples: 3, ..PAGE },
    Page { original: "thread/fn.yield_now.html", ours: "fiber/fn.yield_now.html", examples: 1, ..PAGE },
    Page {
        original: "thread/struct.Builder.html",
        ours: "fiber/struct.Builder.html",
        examples: 7,
        lacks: &[("fn spawn", ERROR), ("fn spawn_scoped", ERROR), ("fn spawn_unchecked", ERROR)],
        ..PAGE
    },
    Page {
        original: "thread/struct.JoinHandle.html",
        ours: "fiber/struct.JoinHandle.html",
        examples: 5,
        lacks: &[
            ("fn thread", IDENTITY),
            ("impl JoinHandleExt", "a fiber is no POSIX thread"),
            ("impl Send", "the result of `spawn_local` may have to stay"),
        ],
        ..PAGE
    },
    Page {
        original: "thread/struct.LocalKey.html",
        ours: "fiber/struct.LocalKey.html",
        examples: 12,
        ..PAGE
    },
    Page { original: "thread/struct.AccessError.html", ours: "fiber/struct.AccessError.html", ..PAGE },
    Page { original: "thread/struct.Scope.html", ours: "fiber/struct.Scope.html", ..PAGE },
    Page {
        original: "thread/struct.ScopedJoinHandle.html",
        ours: "fiber/struct.ScopedJoinHandle.html",
        examples: 2,
        lacks: &[("fn thread", IDENTITY)],
        ..PAGE
    },
    Page { original: "thread/struct.Thread.html", ours: "fiber/struct.Fiber.html", examples: 4, ..PAGE },
    Page { original: "thread/struct.ThreadId.html", ours: "fiber/struct.FiberId.html", examples: 1, ..PAGE },
    Page { original: "thread/type.Result.html", examples: 1, ..PAGE },
];

const ERROR: &str = "the error says why, and converts into `io::Error`";
const IDENTITY: &str = "returns a `Fiber`, not a reference: it is made when first asked for";
