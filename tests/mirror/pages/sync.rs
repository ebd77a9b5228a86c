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
    Page { original: "sync/index.html", ours: "sync/index.html", examples: 1, ..PAGE },
    Page { original: "sync/struct.RwLock.html", ours: "sync/struct.RwLock.html", examples: 10, ..PAGE },
    Page { original: "sync/struct.RwLockReadGuard.html", ours: "sync/struct.RwLockReadGuard.html", ..PAGE },
    Page {
        original: "sync/struct.RwLockWriteGuard.html",
        ours: "sync/struct.RwLockWriteGuard.html",
        examples: 2,
        ..PAGE
    },
    Page { original: "sync/struct.Barrier.html", ours: "sync/struct.Barrier.html", examples: 3, ..PAGE },
    Page {
        original: "sync/struct.BarrierWaitResult.html",
        ours: "sync/struct.BarrierWaitResult.html",
        examples: 2,
        ..PAGE
    },
    Page { original: "sync/struct.Once.html", ours: "sync/struct.Once.html", examples: 6, ..PAGE },
    Page { original: "sync/struct.OnceState.html", ours: "sync/struct.OnceState.html", examples: 2, ..PAGE },
    Page { original: "sync/struct.OnceLock.html", ours: "sync/struct.OnceLock.html", examples: 10, ..PAGE },
    Page { original: "sync/struct.LazyLock.html", ours: "sync/struct.LazyLock.html", examples: 7, ..PAGE },
    Page { original: "sync/mpsc/index.html", ours: "sync/mpsc/index.html", examples: 5, ..PAGE },
    Page { original: "sync/mpsc/fn.channel.html", ours: "sync/mpsc/fn.channel.html", examples: 1, ..PAGE },
    Page {
        original: "sync/mpsc/fn.sync_channel.html",
        ours: "sync/mpsc/fn.sync_channel.html",
        examples: 1,
        ..PAGE
    },
    Page {
        original: "sync/mpsc/struct.Sender.html",
        ours: "sync/mpsc/struct.Sender.html",
        examples: 2,
        ..PAGE
    },
    Page {
        original: "sync/mpsc/struct.SyncSender.html",
        ours: "sync/mpsc/struct.SyncSender.html",
        examples: 3,
        ..PAGE
    },
    Page {
        original: "sync/mpsc/struct.Receiver.html",
        ours: "sync/mpsc/struct.Receiver.html",
        examples: 8,
        ..PAGE
    },
    Page { original: "sync/mpsc/struct.Iter.html", ours: "sync/mpsc/struct.Iter.html", examples: 1, ..PAGE },
    Page {
        original: "sync/mpsc/struct.TryIter.html",
        ours: "sync/mpsc/struct.TryIter.html",
        examples: 1,
        ..PAGE
    },
    Page {
        original: "sync/mpsc/struct.IntoIter.html",
        ours: "sync/mpsc/struct.IntoIter.html",
        examples: 1,
        ..PAGE
    },
    Page { original: "sync/struct.Arc.html", examples: 61, ..PAGE },
    Page { original: "sync/struct.Weak.html", examples: 11, ..PAGE },
    Page { original: "sync/atomic/index.html", examples: 2, ..PAGE },
    Page { original: "sync/atomic/enum.Ordering.html", ..PAGE },
    Page { original: "sync/atomic/struct.AtomicBool.html", examples: 18, ..PAGE },
    Page { original: "sync/atomic/struct.AtomicUsize.html", examples: 22, ..PAGE },
    Page { original: "sync/atomic/struct.AtomicPtr.html", examples: 19, ..PAGE },
    Page { original: "sync/atomic/fn.fence.html", examples: 1, ..PAGE },
    Page { original: "sync/atomic/fn.compiler_fence.html", examples: 1, ..PAGE },
];
