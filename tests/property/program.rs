//! Random programs: the calls of each stream.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitLimit {
    Micros(u64),
    /// Until the token of the program is cancelled, or for a millisecond.
    Token,
    /// Until no stream is left that could end the wait.
    Endless,
}

#[derive(Clone, Debug)]
pub(crate) enum Act<Op> {
    Call(Op, WaitLimit),
    /// Cancels the token.
    CancelToken,
    Yield,
}

#[derive(Clone, Debug)]
pub(crate) struct Program<Op> {
    pub(crate) streams: Vec<Vec<Act<Op>>>,
    /// Streams that are cancelled as a whole, each after that many yields.
    pub(crate) cancelled: Vec<(usize, u8)>,
}

/// Number of streams. The last ones, `THREADS`, are threads.
pub(crate) const STREAMS: usize = 8;
pub(crate) const THREADS: usize = 2;

/// One in this many programs may be rejected because it has too many orders to try. Another takes its place; more
/// rejections are an error.
const PROGRAMS_PER_REJECTION: u32 = 20;

pub(crate) fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("property/regressions.txt");
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig {
        failure_persistence: Some(Box::new(regressions)),
        cases,
        max_global_rejects: cases / PROGRAMS_PER_REJECTION,
        // A lost wake-up is only found after a long wait.
        max_shrink_time: 120_000,
        ..ProptestConfig::default()
    }
}

pub(crate) fn program<Op: Clone + Debug>(
    op: impl Strategy<Value = Op> + Clone,
) -> impl Strategy<Value = Program<Op>> {
    let limit = prop_oneof![
        3 => (0..300_u64).prop_map(WaitLimit::Micros),
        1 => Just(WaitLimit::Token),
        2 => Just(WaitLimit::Endless),
    ];
    let act = prop_oneof![
        8 => (op, limit).prop_map(|(op, limit)| Act::Call(op, limit)),
        1 => Just(Act::CancelToken),
        1 => Just(Act::Yield),
    ];
    let streams = prop::collection::vec(prop::collection::vec(act, 0..5), STREAMS);
    let cancelled = prop::collection::vec((0..STREAMS - THREADS, any::<u8>()), 0..3);
    (streams, cancelled).prop_map(|(streams, cancelled)| Program { streams, cancelled })
}
