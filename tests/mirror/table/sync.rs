//! `std::sync`.

use super::Exception::Rejected;
use super::{DEPRECATED, PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "sync/struct.Mutex.html", ours: "sync/struct.Mutex.html", examples: 11, ..PAGE },
    Page { original: "sync/struct.MutexGuard.html", ours: "sync/struct.MutexGuard.html", ..PAGE },
    Page {
        original: "sync/struct.Condvar.html",
        ours: "sync/struct.Condvar.html",
        examples: 9,
        exceptions: &[("method.wait_timeout_ms", Rejected(DEPRECATED))],
        ..PAGE
    },
    Page {
        original: "sync/struct.WaitTimeoutResult.html",
        ours: "sync/struct.WaitTimeoutResult.html",
        examples: 1,
        ..PAGE
    },
    Page { original: "sync/struct.PoisonError.html", examples: 2, ..PAGE },
];
