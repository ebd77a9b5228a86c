//! Random programs: what each of the streams does.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Micros(u64),
    /// Until the token of the program is cancelled, or for a millisecond.
    Token,
    /// As long as there is a stream that may end the wait.
    Endless,
}

#[derive(Clone, Debug)]
pub(crate) enum Act<Op> {
    Call(Op, Patience),
    /// Cancels the token.
    Blow,
    Yield,
}

#[derive(Clone, Debug)]
pub(crate) struct Program<Op> {
    pub(crate) streams: Vec<Vec<Act<Op>>>,
    /// Streams that are cancelled as a whole, each after so many yields.
    pub(crate) cancelled: Vec<(usize, u8)>,
}

/// How many streams there are, the last of which are threads.
pub(crate) const STREAMS: usize = 8;
pub(crate) const THREADS: usize = 2;

/// One in so many programs may be given up as too wild to be explained: another takes its place, and more are an error.
const WILD: u32 = 20;

pub(crate) fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("property/regressions.txt");
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig {
        failure_persistence: Some(Box::new(regressions)),
        cases,
        max_global_rejects: cases / WILD,
        // A wake-up that is lost takes its time to be believed.
        max_shrink_time: 120_000,
        ..ProptestConfig::default()
    }
}

pub(crate) fn program<Op: Clone + Debug>(
    op: impl Strategy<Value = Op> + Clone,
) -> impl Strategy<Value = Program<Op>> {
    let patience = prop_oneof![
        3 => (0..300_u64).prop_map(Patience::Micros),
        1 => Just(Patience::Token),
        2 => Just(Patience::Endless),
    ];
    let act = prop_oneof![
        8 => (op, patience).prop_map(|(op, patience)| Act::Call(op, patience)),
        1 => Just(Act::Blow),
        1 => Just(Act::Yield),
    ];
    let streams = prop::collection::vec(prop::collection::vec(act, 0..5), STREAMS);
    let cancelled = prop::collection::vec((0..STREAMS - THREADS, any::<u8>()), 0..3);
    (streams, cancelled).prop_map(|(streams, cancelled)| Program { streams, cancelled })
}
