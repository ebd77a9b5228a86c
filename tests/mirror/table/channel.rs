//! crossbeam-channel: its source files, for the examples, and its pages, for the items.

use super::Exception::Rejected;
use super::{PAGE, Page};

pub(super) const FILES: &[Page] = &[
    Page {
        original: "src/lib.rs",
        examples: 13,
        exceptions: &[("file#11", Rejected(SELECT)), ("file#12", Rejected(SELECT))],
        ..PAGE
    },
    Page {
        original: "src/channel.rs",
        examples: 35,
        exceptions: &[
            ("after", Rejected(SELECT)),
            ("after#1", Rejected(SELECT)),
            ("at", Rejected(SELECT)),
            ("at#1", Rejected(SELECT)),
            ("never", Rejected(SELECT)),
            ("tick", Rejected(SELECT)),
            ("tick#1", Rejected(SELECT)),
        ],
        ..PAGE
    },
    Page { original: "src/err.rs", examples: 3, ..PAGE },
];

pub(super) const PAGES: &[Page] = &[
    Page {
        original: "index.html",
        ours: "channel/index.html",
        lacks: &[
            ("fn after", SELECT),
            ("fn at", SELECT),
            ("fn never", SELECT),
            ("fn tick", SELECT),
            ("macro select", SELECT),
            ("macro select_biased", SELECT),
            ("struct ReadyTimeoutError", SELECT),
            ("struct Select", SELECT),
            ("struct SelectTimeoutError", SELECT),
            ("struct SelectedOperation", SELECT),
            ("struct TryReadyError", SELECT),
            ("struct TrySelectError", SELECT),
        ],
        ..PAGE
    },
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
];

const SELECT: &str = "`select!` and the channels of time are not there yet";
