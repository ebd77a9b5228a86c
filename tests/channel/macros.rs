//! `select!` and `select_biased!`: their syntax, and what they evaluate and when.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use abaca::channel::{
    self, Receiver, RecvError, SendError, Sender, bounded, never, select, select_biased, unbounded,
};

#[test]
fn the_ready_case_runs() {
    let (sender, receiver) = unbounded();
    let (_other_sender, other) = unbounded::<u32>();
    sender.send(1).unwrap();
    let got = select! {
        recv(other) -> message => panic!("{message:?}"),
        recv(receiver) -> message => message.unwrap(),
    };
    assert_eq!(got, 1);
}

#[test]
fn a_sending_case_sends() {
    for capacity in [Some(1), None] {
        let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
        select! {
            send(sender, "hello") -> result => assert_eq!(result, Ok(())),
            recv(never::<()>()) -> _ => unreachable!(),
        }
        assert_eq!(receiver.try_recv(), Ok("hello"));
    }
}

#[test]
fn default_runs_when_nothing_is_ready() {
    let (sender, receiver) = bounded::<u32>(0);
    let says = |expected: &str| {
        let said = select! {
            recv(receiver) -> _ => "received",
            send(sender, 1) -> _ => "sent",
            default => "nothing",
        };
        assert_eq!(said, expected);
    };
    says("nothing");
    let said = select! { recv(receiver) -> _ => "received", default(Duration::ZERO) => "late" };
    assert_eq!(said, "late");
    assert_eq!(select! { default => 1 }, 1);
    assert_eq!(select! { default() => 2 }, 2);
    assert_eq!(select! { default(Duration::from_micros(1)) => 3 }, 3);
}

#[test]
fn a_disconnected_channel_is_ready() {
    let (sender, receiver) = unbounded::<u32>();
    drop(sender);
    select! {
        recv(receiver) -> message => assert_eq!(message, Err(RecvError)),
        default => unreachable!(),
    }
    let (sender, receiver) = bounded(0);
    drop(receiver);
    select! {
        send(sender, 1) -> result => assert_eq!(result, Err(SendError(1))),
        default => unreachable!(),
    }
}

#[test]
fn a_value_is_evaluated_only_when_its_case_is_selected() {
    let (full, _full_receiver) = bounded(0);
    let (free, receiver) = bounded(1);
    let evaluated = Cell::new(0);
    let value = |value: u32| {
        evaluated.set(evaluated.get() + 1);
        value
    };
    select! {
        send(full, value(1)) -> _ => unreachable!(),
        send(free, value(2)) -> result => result.unwrap(),
    }
    assert_eq!((evaluated.get(), receiver.recv()), (1, Ok(2)));
}

#[test]
#[expect(unreachable_code, clippy::diverging_sub_expression, reason = "the value is never made")]
fn a_value_that_panics_leaves_its_permit_to_others() {
    let (sender, receiver) = bounded(1);
    let result = std::panic::catch_unwind(|| {
        select! { send(sender, std::panic::resume_unwind(Box::new(()))) -> _ => unreachable!() }
    });
    assert!(result.is_err());
    assert!(sender.try_send(1).is_ok());
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn a_value_that_returns_leaves_its_permit_to_others() {
    fn early(sender: &Sender<u32>) -> Option<u32> {
        select! { send(sender, None?) -> _ => unreachable!() }
    }
    let (sender, receiver) = bounded(1);
    assert_eq!(early(&sender), None);
    assert_eq!((sender.try_send(1), receiver.try_recv()), (Ok(()), Ok(1)));
}

#[test]
fn bodies_leave_loops_and_functions() {
    fn first(receiver: &Receiver<u32>) -> Result<u32, RecvError> {
        let mut skipped = 0;
        loop {
            select! {
                recv(receiver) -> message => match message? {
                    0 => { skipped += 1; continue }
                    9 => break,
                    n => return Ok(n + skipped),
                }
            }
        }
        Ok(99)
    }
    let (sender, receiver) = unbounded();
    [0, 0, 5, 9].into_iter().for_each(|n| sender.send(n).unwrap());
    drop(sender);
    assert_eq!((first(&receiver), first(&receiver), first(&receiver)), (Ok(7), Ok(99), Err(RecvError)));
}

#[test]
fn a_body_may_move_what_the_select_borrowed() {
    let (sender, receiver) = unbounded();
    sender.send(()).unwrap();
    let kept = select! { recv(receiver) -> _ => receiver };
    drop(sender);
    assert_eq!(kept.recv(), Err(RecvError));
}

#[test]
fn ends_may_be_any_expression() {
    let (sender, receiver) = unbounded::<u32>();
    let (reference, maybe) = (&&receiver, Some(&receiver).filter(|receiver| receiver.is_full()));
    let clone = || receiver.clone();
    let shared = Rc::new(sender);
    select! {
        recv(reference) -> _ => unreachable!(),
        recv(maybe.unwrap_or(&never())) -> _ => unreachable!(),
        recv(Box::new(receiver.clone())) -> _ => unreachable!(),
        recv(clone()) -> _ => unreachable!(),
        send(shared, 1) -> result => result.unwrap(),
    }
    assert_eq!(receiver.recv(), Ok(1));
}

#[test]
fn cases_end_with_commas_blocks_or_the_input() {
    let (sender, receiver) = unbounded();
    for n in 0..6 {
        sender.send(n).unwrap();
    }
    let never = never::<u32>();
    select! { recv(receiver) -> m => assert_eq!(m, Ok(0)) }
    select! { recv(receiver) -> m => assert_eq!(m, Ok(1)), recv(never) -> _ => () }
    select! { recv(receiver) -> m => { assert_eq!(m, Ok(2)) } recv(never) -> _ => {} }
    select! { recv(receiver,) -> m => { assert_eq!(m, Ok(3)) }, recv(never) -> _ => {}, }
    select! { recv(receiver) -> m => ({ m }).map_or((), |m| assert_eq!(m, 4)), default => {} }
    select! { default => unreachable!(), recv(receiver) -> m => assert_eq!(m, Ok(5)), send(sender, 1,) -> _ => {} }
}

#[test]
fn results_are_bound_by_patterns() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    select! { recv(receiver) -> mut message => { message = message.map(|n| n + 1); assert_eq!(message, Ok(2)) } }
    select! { recv(receiver) -> ref message => assert_eq!(message, &Ok(2)) }
}

#[test]
fn the_variables_of_a_select_do_not_clash_with_the_callers() {
    // The names that the macro's own code uses.
    let (result, arm, message) = (1, 2, 3);
    let (_selected, receiver) = unbounded();
    _selected.send(4).unwrap();
    select! { recv(receiver) -> got => assert_eq!((result, arm, message, got), (1, 2, 3, Ok(4))) }
    // Names of std's that the caller shadows are not used.
    #[allow(dead_code, non_camel_case_types)]
    mod strange {
        enum Option {}
        #[allow(non_upper_case_globals)]
        const Some: u8 = 0;
        pub(super) fn receive(receiver: &abaca::channel::Receiver<u8>) -> u8 {
            abaca::select! { recv(receiver) -> got => got.unwrap(), default => 0 }
        }
    }
    assert_eq!(strange::receive(&channel::never()), 0);
}

#[test]
fn selects_nest() {
    let (sender, receiver) = unbounded();
    let (inner_sender, inner) = unbounded();
    sender.send(1).unwrap();
    inner_sender.send(2).unwrap();
    let sum = select! {
        recv(receiver) -> outer => select! {
            recv(inner) -> inner => outer.unwrap() + inner.unwrap(),
            send(sender, select! { default => 5 }) -> _ => 0,
        }
    };
    assert!(sum == 3 || receiver.recv() == Ok(5));
}

#[test]
fn the_first_ready_case_wins_a_biased_select() {
    let channels = [unbounded(), unbounded(), unbounded()];
    for (sender, _) in &channels {
        (0..100).for_each(|n| sender.send(n).unwrap());
    }
    for n in 0..200 {
        let from = select_biased! {
            recv(channels[0].1) -> _ => 0,
            recv(channels[1].1) -> _ => 1,
            recv(channels[2].1) -> _ => 2,
            default => 3,
        };
        assert_eq!(from, n / 100);
    }
}

#[test]
fn ready_cases_are_selected_equally_often() {
    // Two ready cases of four, in every position: not only beside those that are not ready.
    for (first, second) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        let receivers: [Receiver<u8>; 4] = std::array::from_fn(|n| {
            if n != first && n != second {
                return never();
            }
            let (sender, receiver) = unbounded();
            (0..1000).for_each(|_| sender.send(0).unwrap());
            receiver
        });
        let mut hits = [0; 4];
        for _ in 0..1000 {
            select! {
                recv(receivers[0]) -> _ => hits[0] += 1,
                recv(receivers[1]) -> _ => hits[1] += 1,
                recv(receivers[2]) -> _ => hits[2] += 1,
                recv(receivers[3]) -> _ => hits[3] += 1,
            }
        }
        // Five standard deviations are 79.
        assert!(hits[first] > 400 && hits[second] > 400, "{hits:?}");
    }
}

#[test]
fn cases_of_new_channels_are_selected_equally_often() {
    let mut hits = [0; 2];
    for _ in 0..1000 {
        let ((_a, one), (_b, other)) = (unbounded::<()>(), unbounded::<()>());
        drop((_a, _b));
        select! {
            recv(one) -> _ => hits[0] += 1,
            recv(other) -> _ => hits[1] += 1,
        }
    }
    assert!(hits[0] > 400 && hits[1] > 400, "{hits:?}");
}
