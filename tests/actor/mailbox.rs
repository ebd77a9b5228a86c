//! Sending and receiving: order, selection, time, bounds, and what becomes of messages that are never read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::actor::{self, ExitReason, Mailbox, SendError};
use proptest::prelude::*;

use super::{LONG, as_actor, idle};

#[test]
fn messages_of_one_sender_arrive_in_order() {
    as_actor(|mailbox: &mut Mailbox<u32>| {
        let me = mailbox.me();
        let thread = std::thread::spawn(move || (0..1_000).for_each(|n| me.send(n).unwrap()));
        for n in 0..1_000 {
            assert_eq!(mailbox.receive(), n);
        }
        thread.join().unwrap();
        assert!(mailbox.is_empty());
    });
}

#[test]
fn a_selective_receive_leaves_the_others_in_order() {
    as_actor(|mailbox: &mut Mailbox<u32>| {
        let me = mailbox.me();
        (0..10).for_each(|n| me.send(n).unwrap());
        assert_eq!(mailbox.receive_match(|n| if n == 7 { Ok("seven") } else { Err(n) }), "seven");
        assert_eq!(mailbox.receive_where(|n| n % 2 == 1), 1);
        me.send(10).unwrap();
        assert_eq!(mailbox.receive_where(|n| n % 2 == 1), 3);
        let rest: Vec<u32> = std::iter::from_fn(|| mailbox.try_receive()).collect();
        assert_eq!(rest, [0, 2, 4, 5, 6, 8, 9, 10]);
    });
}

#[test]
fn a_selective_receive_waits_for_what_it_wants() {
    as_actor(|mailbox: &mut Mailbox<u32>| {
        let me = mailbox.me();
        abaca::spawn(move || {
            for n in [1, 2, 3] {
                me.send(n).unwrap();
                abaca::yield_now();
            }
        });
        assert_eq!(mailbox.receive_where(|n| *n == 3), 3);
        assert_eq!((mailbox.receive(), mailbox.receive()), (1, 2));
    });
}

#[test]
fn a_receive_with_a_timeout_gives_up_and_loses_nothing() {
    as_actor(|mailbox: &mut Mailbox<u32>| {
        assert_eq!(mailbox.receive_timeout(Duration::from_millis(1)), None);
        mailbox.me().send(1).unwrap();
        let picked =
            mailbox.receive_match_timeout(Duration::from_millis(1), |n| if n > 1 { Ok(n) } else { Err(n) });
        assert_eq!(picked, None);
        assert_eq!(mailbox.receive_timeout(Duration::ZERO), Some(1));
        assert_eq!(mailbox.try_receive(), None);
        mailbox.me().send(2).unwrap();
        assert_eq!(mailbox.receive_timeout(Duration::MAX), Some(2));
    });
}

#[test]
fn a_full_mailbox_refuses_messages_but_not_exits() {
    abaca::run(|| {
        let (go, wait_for_go) = abaca::channel::bounded::<()>(1);
        let mortal = idle();
        let theirs = mortal.clone();
        let builder = actor::Builder::new().name("bounded".into()).capacity(2);
        let actor = builder
            .spawn(move |mailbox: &mut Mailbox<u32>| {
                mailbox.monitor(&theirs, |_| 99);
                wait_for_go.recv().unwrap();
                (0..3).map(|_| mailbox.receive()).for_each(|n| assert!([1, 2, 99].contains(&n)));
            })
            .unwrap();
        actor.send(1).unwrap();
        actor.send(2).unwrap();
        assert_eq!(actor.send(3), Err(SendError::Full(3)));
        mortal.kill();
        mortal.wait();
        go.send(()).unwrap();
        assert_eq!(actor.wait(), ExitReason::Normal);
        assert_eq!(actor.send(4).unwrap_err().into_inner(), 4);
    });
}

#[test]
fn messages_that_were_never_read_are_dropped_with_the_actor() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    abaca::run(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let actor = actor::spawn(|mailbox: &mut Mailbox<Counted>| {
            // Passes over what comes, and waits for ever.
            mailbox.receive_where(|_| false);
        });
        for _ in 0..10 {
            actor.cast(Counted(Arc::clone(&drops)));
        }
        actor.kill();
        assert_eq!(actor.wait(), ExitReason::Killed);
        actor.cast(Counted(Arc::clone(&drops)));
        // Messages that were passed over are dropped right after the end is reported.
        while drops.load(SeqCst) < 11 {
            abaca::yield_now();
        }
    });
}

#[test]
fn an_actor_that_is_never_idle_is_ended_as_well() {
    abaca::run(|| {
        let busy = actor::spawn(|mailbox: &mut Mailbox<()>| {
            let me = mailbox.me();
            loop {
                me.cast(());
                mailbox.receive();
            }
        });
        busy.cast(());
        busy.kill();
        assert_eq!(busy.wait_timeout(LONG), Some(ExitReason::Killed));
    });
}

#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Receive,
    ReceiveWhere(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..6).prop_map(Step::Send),
        1 => Just(Step::Receive),
        2 => (0_u8..6).prop_map(Step::ReceiveWhere),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_receives_is_that_of_a_list(steps in prop::collection::vec(step(), 0..60)) {
        as_actor(move |mailbox: &mut Mailbox<u8>| {
            let mut list: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::Send(n) => {
                        mailbox.me().send(n).unwrap();
                        list.push(n);
                    }
                    Step::Receive => {
                        let expected = (!list.is_empty()).then(|| list.remove(0));
                        assert_eq!(mailbox.try_receive(), expected);
                    }
                    Step::ReceiveWhere(wanted) => {
                        let expected = list.iter().position(|n| *n == wanted).map(|at| list.remove(at));
                        let pick = |n| if n == wanted { Ok(n) } else { Err(n) };
                        assert_eq!(mailbox.receive_match_timeout(Duration::ZERO, pick), expected);
                    }
                }
                assert_eq!(mailbox.len(), list.len());
            }
        });
    }
}
