//! `std::time`, which `abaca::time` has beside its own.

use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "time/index.html", examples: 1, ..PAGE },
    Page { original: "time/struct.Instant.html", examples: 7, ..PAGE },
    Page { original: "time/struct.Duration.html", examples: 39, ..PAGE },
    Page { original: "time/struct.SystemTime.html", examples: 5, ..PAGE },
    Page { original: "time/struct.SystemTimeError.html", examples: 2, ..PAGE },
    Page { original: "time/constant.UNIX_EPOCH.html", examples: 1, ..PAGE },
];
