//! Deaths and messages from fibers and threads at once: each death is reported once to every monitor, and nobody hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::actor::{self, ActorRef, CallError, Down, ExitReason, Mailbox, Reply};

use super::{LONG, as_actor};

const ACTORS: usize = 300;

#[test]
fn every_monitor_gets_each_death_once_under_load() {
    as_actor(|mailbox: &mut Mailbox<Down>| {
        let alive = Arc::new(AtomicUsize::new(0));
        let actors: Vec<ActorRef<u32>> = (0..ACTORS)
            .map(|n| {
                let alive = Arc::clone(&alive);
                let (actor, _) = mailbox.spawn_monitor(
                    move |mailbox: &mut Mailbox<u32>| {
                        alive.fetch_add(1, SeqCst);
                        struct Leave(Arc<AtomicUsize>);
                        impl Drop for Leave {
                            fn drop(&mut self) {
                                self.0.fetch_sub(1, SeqCst);
                            }
                        }
                        let _leave = Leave(alive);
                        while mailbox.receive() != 0 {}
                        if n % 2 == 0 { Ok(()) } else { Err("odd") }
                    },
                    |down| down,
                );
                actor
            })
            .collect();
        let theirs = actors.clone();
        let killer = std::thread::spawn(move || theirs.iter().step_by(3).for_each(ActorRef::kill));
        let theirs = actors.clone();
        let sender = abaca::spawn(move || {
            for actor in theirs.iter().rev() {
                (0..5).rev().for_each(|n| actor.cast(n));
            }
        });
        let mut downs: Vec<_> = (0..ACTORS).map(|_| mailbox.receive().from).collect();
        downs.sort_unstable();
        downs.dedup();
        assert_eq!(downs.len(), ACTORS);
        killer.join().unwrap();
        sender.join().unwrap();
        assert_eq!(alive.load(SeqCst), 0);
        assert!(mailbox.is_empty());
    });
}

#[test]
fn two_actors_that_link_while_both_die_both_end() {
    abaca::run(|| {
        for round in 0..500 {
            let other = actor::spawn(|mailbox: &mut Mailbox<()>| {
                mailbox.receive();
                Err("first")
            });
            let theirs = other.clone();
            let linker = actor::spawn(move |mailbox: &mut Mailbox<()>| {
                mailbox.link(&theirs);
                mailbox.receive();
                Err("second")
            });
            match round % 3 {
                0 => other.cast(()),
                1 => linker.cast(()),
                _ => {
                    other.cast(());
                    linker.cast(());
                }
            }
            let reasons = (other.wait_timeout(LONG).unwrap(), linker.wait_timeout(LONG).unwrap());
            assert!(reasons.0.is_abnormal() && reasons.1.is_abnormal(), "{reasons:?}");
        }
    });
}

#[test]
fn calls_to_servers_that_are_being_killed_all_end() {
    abaca::run(|| {
        let answered = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let server = actor::spawn(|mailbox: &mut Mailbox<Reply<u32>>| {
                loop {
                    mailbox.receive().send(1);
                }
            });
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let (server, answered) = (server.clone(), Arc::clone(&answered));
                    abaca::spawn(move || {
                        loop {
                            match server.call(LONG, |reply| reply) {
                                Ok(_) => answered.fetch_add(1, SeqCst),
                                Err(CallError::Exited(ExitReason::Killed)) => return,
                                Err(error) => panic!("{error}"),
                            };
                        }
                    })
                })
                .collect();
            let before = answered.load(SeqCst);
            while answered.load(SeqCst) < before + 3 {
                abaca::yield_now();
            }
            let killer = std::thread::spawn(move || server.kill());
            callers.into_iter().for_each(|caller| caller.join().unwrap());
            killer.join().unwrap();
        }
    });
}
