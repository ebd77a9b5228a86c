//! crossbeam-channel, and the wait group of crossbeam-utils: their source files, for the examples, and its pages, for the items.

use super::{PAGE, Page};

pub(super) const FILES: &[Page] = &[
    Page { original: "crossbeam-channel/src/lib.rs", examples: 13, ..PAGE },
    Page { original: "crossbeam-channel/src/channel.rs", examples: 35, ..PAGE },
    Page { original: "crossbeam-channel/src/err.rs", examples: 3, ..PAGE },
    Page { original: "crossbeam-channel/src/select.rs", examples: 18, ..PAGE },
    Page { original: "crossbeam-channel/src/select_macro.rs", examples: 4, ..PAGE },
    Page { original: "crossbeam-utils/src/sync/wait_group.rs", examples: 3, ..PAGE },
];

pub(super) const PAGES: &[Page] = &[
    Page { original: "index.html", ours: "channel/index.html", ..PAGE },
    Page { original: "fn.bounded.html", ours: "channel/fn.bounded.html", ..PAGE },
    Page { original: "fn.unbounded.html", ours: "channel/fn.unbounded.html", ..PAGE },
    Page { original: "fn.after.html", ours: "channel/fn.after.html", ..PAGE },
    Page { original: "fn.at.html", ours: "channel/fn.at.html", ..PAGE },
    Page { original: "fn.tick.html", ours: "channel/fn.tick.html", ..PAGE },
    Page { original: "fn.never.html", ours: "channel/fn.never.html", ..PAGE },
    Page { original: "struct.Sender.html", ours: "channel/struct.Sender.html", ..PAGE },
    Page { original: "struct.Receiver.html", ours: "channel/struct.Receiver.html", ..PAGE },
    Page { original: "struct.Iter.html", ours: "channel/struct.Iter.html", ..PAGE },
    Page { original: "struct.TryIter.html", ours: "channel/struct.TryIter.html", ..PAGE },
    Page { original: "struct.IntoIter.html", ours: "channel/struct.IntoIter.html", ..PAGE },
    Page { original: "struct.SendError.html", ours: "channel/struct.SendError.html", ..PAGE },
    Page { original: "enum.TrySendError.html", ours: "channel/enum.TrySendError.html", ..PAGE },
    Page { original: "enum.SendTimeoutError.html", ours: "channel/enum.SendTimeoutError.html", ..PAGE },
    Page { original: "struct.RecvError.html", ours: "channel/struct.RecvError.html", ..PAGE },
    Page { original: "enum.TryRecvError.html", ours: "channel/enum.TryRecvError.html", ..PAGE },
    Page { original: "enum.RecvTimeoutError.html", ours: "channel/enum.RecvTimeoutError.html", ..PAGE },
    Page { original: "struct.Select.html", ours: "channel/struct.Select.html", ..PAGE },
    Page { original: "struct.SelectedOperation.html", ours: "channel/struct.SelectedOperation.html", ..PAGE },
    Page { original: "struct.TrySelectError.html", ours: "channel/struct.TrySelectError.html", ..PAGE },
    Page {
        original: "struct.SelectTimeoutError.html",
        ours: "channel/struct.SelectTimeoutError.html",
        ..PAGE
    },
    Page { original: "struct.TryReadyError.html", ours: "channel/struct.TryReadyError.html", ..PAGE },
    Page { original: "struct.ReadyTimeoutError.html", ours: "channel/struct.ReadyTimeoutError.html", ..PAGE },
];
