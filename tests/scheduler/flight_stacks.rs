//! The stacks that the flight recorder keeps of some turns.

use abaca::Runtime;
use abaca::observe::flight::{Outcome, Recorder, Recording, Turn};

use super::flight::{check, named, runtime, spawn, turns_of};

#[inline(never)]
fn waits_here(receiver: &abaca::channel::Receiver<()>) {
    receiver.recv().unwrap();
    std::hint::black_box(());
}

#[inline(never)]
fn waits_there(receiver: &abaca::channel::Receiver<()>) {
    receiver.recv().unwrap();
    std::hint::black_box(());
}

/// The function that each wait of this fiber is in, by what its stack says.
fn functions(recording: &Recording, fiber: usize) -> Vec<&'static str> {
    let function = |turn: &Turn| {
        let frames = recording.stacks()[turn.stack.expect("each is kept")].frames();
        let is_in =
            |name: &str| frames.iter().any(|frame| frame.function().is_some_and(|it| it.contains(name)));
        ["waits_here", "waits_there"].into_iter().find(|name| is_in(name)).unwrap_or("?")
    };
    let waits =
        turns_of(recording, fiber).into_iter().filter(|turn| matches!(turn.outcome, Outcome::Parked(_)));
    waits.map(|turn| function(&turn)).collect()
}

#[test]
fn each_wait_has_its_stack_where_all_are_kept() {
    let both =
        [Recorder::new(), Recorder::coarse()].map(|recorder| [(recorder.clone(), false), (recorder, true)]);
    for (recorder, has_hooks) in both.into_iter().flatten() {
        let mut builder = Runtime::builder().workers(1).flight_recorder(recorder.stacks(1));
        if has_hooks {
            builder = builder.around_park(|park| park());
        }
        let runtime = builder.build().unwrap();
        runtime.run(|| {
            let (send, receive) = abaca::channel::bounded(0);
            let reader = spawn("reader", move || {
                (0..2).for_each(|_| waits_here(&receive));
                waits_there(&receive);
            });
            (0..3).for_each(|_| {
                // It waits before the message comes.
                while abaca::observe::parked() != [("channel receive", 1)] {
                    abaca::yield_now();
                }
                send.send(()).unwrap();
            });
            reader.join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        if cfg!(any(abaca_asan, abaca_tsan)) {
            assert!(recording.stacks().is_empty());
            continue;
        }
        let reader = named(&recording, "reader");
        assert_eq!(functions(&recording, reader), ["waits_here", "waits_here", "waits_there"]);
        let ids: Vec<_> = turns_of(&recording, reader).iter().map(|turn| turn.stack).collect();
        assert_eq!((ids[0], ids[3]), (ids[1], None), "equal stacks are one, and an end has none: {ids:?}");
        assert_ne!(ids[1], ids[2]);
    }
}

#[test]
fn stacks_are_kept_of_some_turns_or_of_none() {
    let some = [(Recorder::new(), 0, 0..=0), (Recorder::new(), 16, 1..=128)];
    let coarse = [
        (Recorder::coarse(), 0, 0..=0),
        (Recorder::coarse(), 16, 50..=128),
        (Recorder::coarse(), 1024, 1..=32),
    ];
    for (recorder, one_in, expected) in some.into_iter().chain(coarse) {
        let runtime = runtime(1, recorder.stacks(one_in));
        runtime.run(|| {
            let neighbour = spawn("neighbour", || (0..1000).for_each(|_| abaca::yield_now()));
            (0..1000).for_each(|_| abaca::yield_now());
            neighbour.join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        let kept = recording.turns().iter().filter(|turn| turn.stack.is_some()).count();
        let expected = if cfg!(any(abaca_asan, abaca_tsan)) { 0..=0 } else { expected };
        assert!(expected.contains(&kept), "{kept} of {one_in}");
        check(&recording);
    }
}

#[test]
fn the_rarest_sample_is_one_in_as_many_turns_as_can_be_said() {
    let recorder = Recorder::new().events(0).stacks(u32::MAX);
    let runtime = Runtime::builder().workers(1).flight_recorder(recorder).build().unwrap();
    runtime.run(|| (0..300).for_each(|_| abaca::yield_now()));
    let too_many = Runtime::builder().flight_recorder(Recorder::new().events(usize::MAX)).build();
    assert_eq!(too_many.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
