//! Who is measured: abaca's fibers in each of their modes, and for what blocks a thread also whom it is compared with.

use abaca::Runtime;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Fibers that share their worker's thread-local storage.
    Plain,
    /// Plain ones on two workers, where nothing is said of those of the others.
    TwoWorkers,
    /// Fibers with storage of their own, on workers that leave a stuck thread. With the feature `own-tls`.
    #[cfg(feature = "own-tls")]
    OwnTls,
    /// The same on two workers.
    #[cfg(feature = "own-tls")]
    OwnTlsTwoWorkers,
    /// OS threads.
    Threads,
    /// tokio's tasks.
    Tokio,
}

/// The modes of abaca's fibers, the plain one first: the others are compared with it.
pub(crate) const OWN: &[Variant] = &[
    Variant::Plain,
    #[cfg(feature = "own-tls")]
    Variant::OwnTls,
];

/// One worker and two.
pub(crate) const GROWTH: &[Variant] = &[Variant::Plain, Variant::TwoWorkers];

/// Who is compared in what blocks a thread.
pub(crate) const ALL: &[Variant] = &[
    Variant::Plain,
    #[cfg(feature = "own-tls")]
    Variant::OwnTls,
    Variant::Threads,
    Variant::Tokio,
];

/// Those in which nothing that computes keeps its neighbours from running for ever.
pub(crate) const PREEMPTED: &[Variant] = &[
    #[cfg(feature = "own-tls")]
    Variant::OwnTls,
    #[cfg(feature = "own-tls")]
    Variant::OwnTlsTwoWorkers,
    Variant::Threads,
];

impl Variant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "fibers",
            Self::TwoWorkers => "fibers, two workers",
            #[cfg(feature = "own-tls")]
            Self::OwnTls => "fibers, own storage",
            #[cfg(feature = "own-tls")]
            Self::OwnTlsTwoWorkers => "fibers, own storage, two workers",
            Self::Threads => "OS threads",
            Self::Tokio => "tokio",
        }
    }

    /// A runtime with one worker, or two if the mode says so, in this mode. `None` for those that are not abaca's.
    pub(crate) fn runtime(self) -> Option<Runtime> {
        self.runtime_of(match self {
            Self::TwoWorkers => 2,
            #[cfg(feature = "own-tls")]
            Self::OwnTlsTwoWorkers => 2,
            _ => 1,
        })
    }

    /// The same with so many workers.
    pub(crate) fn runtime_of(self, workers: usize) -> Option<Runtime> {
        let builder = Runtime::builder().workers(workers);
        let builder = match self {
            Self::Plain | Self::TwoWorkers => builder,
            #[cfg(feature = "own-tls")]
            Self::OwnTls | Self::OwnTlsTwoWorkers => builder.own_tls(true),
            Self::Threads | Self::Tokio => return None,
        };
        Some(builder.build().expect("a worker starts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_compared_with_plain_fibers() {
        assert_eq!(OWN.first(), Some(&Variant::Plain));
        assert!(OWN.iter().all(|variant| ALL.contains(variant)));
    }
}
