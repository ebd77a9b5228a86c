//! crossbeam-channel, and the wait group of crossbeam-utils: their source files, for the examples, and its pages, for the items.

use super::Exception::Rejected;
use super::{PAGE, Page};

pub(super) const FILES: &[Page] = &[
    Page {
        original: "crossbeam-channel/src/lib.rs",
        examples: 13,
        exceptions: &[("file#11", Rejected(SELECT)), ("file#12", Rejected(SELECT))],
        ..PAGE
    },
    Page {
        original: "crossbeam-channel/src/channel.rs",
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
    Page { original: "crossbeam-channel/src/err.rs", examples: 3, ..PAGE },
    Page { original: "crossbeam-utils/src/sync/wait_group.rs", examples: 3, ..PAGE },
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
];

const SELECT: &str = "`select!` and the channels of time are not there yet";
