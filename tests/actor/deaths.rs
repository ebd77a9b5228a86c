//! The end of actors: reasons, links and monitors in every order, and trapped exits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::actor::{self, ActorRef, Down, Exit, ExitReason, Mailbox};

use super::{LONG, as_actor, idle};

/// An actor that ends for the reason that it is sent.
fn mortal() -> ActorRef<ExitReason> {
    actor::spawn(|mailbox: &mut Mailbox<ExitReason>| mailbox.receive())
}

fn failed() -> ExitReason {
    ExitReason::failed("test")
}

#[test]
fn the_reason_is_the_value_of_the_body() {
    abaca::run(|| {
        let ends: Vec<(ActorRef<()>, ExitReason)> = vec![
            (actor::spawn(|_: &mut Mailbox<()>| ()), ExitReason::Normal),
            (actor::spawn(|_: &mut Mailbox<()>| Ok::<(), String>(())), ExitReason::Normal),
            (actor::spawn(|_: &mut Mailbox<()>| Err("test")), failed()),
            (actor::spawn(|_: &mut Mailbox<()>| ExitReason::Shutdown), ExitReason::Shutdown),
            (
                actor::spawn(|_: &mut Mailbox<()>| -> () { panic!("number {}", 7) }),
                ExitReason::Panicked("number 7".into()),
            ),
        ];
        for (actor, reason) in ends {
            assert_eq!(actor.wait(), reason);
            assert_eq!(actor.pid().exit_reason(), Some(reason));
            assert!(!actor.is_alive());
        }
    });
}

#[test]
fn exit_and_kill_end_an_actor_and_the_first_reason_counts() {
    abaca::run(|| {
        let actor = idle();
        actor.exit(ExitReason::Normal);
        assert!(actor.is_alive(), "a normal exit of another is no reason to end");
        actor.exit(failed());
        actor.kill();
        assert_eq!(actor.wait(), failed());
        actor.kill();
        assert_eq!(actor.wait(), failed());
    });
}

#[test]
fn an_actor_that_never_ran_ends_and_its_monitors_are_notified() {
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ran);
        let actor = actor::spawn(move |_: &mut Mailbox<()>| {
            theirs.fetch_add(1, SeqCst);
        });
        actor.kill();
        assert_eq!(actor.wait_timeout(LONG), Some(ExitReason::Killed));
        assert_eq!(ran.load(SeqCst), 0);
    });
}

#[test]
fn an_abnormal_end_takes_the_linked_with_it_through_a_chain_and_around_a_circle() {
    abaca::run(|| {
        let first = mortal();
        let mut chain: Vec<ActorRef<()>> = Vec::new();
        for _ in 0..5 {
            let (first, previous) = (first.clone(), chain.last().cloned());
            let (linked, is_linked) = abaca::channel::bounded(1);
            chain.push(actor::spawn(move |mailbox: &mut Mailbox<()>| {
                match previous {
                    Some(previous) => mailbox.link(previous),
                    None => mailbox.link(&first),
                }
                mailbox.link(mailbox.me());
                linked.send(()).unwrap();
                mailbox.receive();
            }));
            is_linked.recv().unwrap();
        }
        first.cast(failed());
        let reason = ExitReason::Linked { origin: first.id(), reason: Arc::new(failed()) };
        for actor in chain {
            assert_eq!(actor.wait(), reason);
        }
        assert_eq!(first.wait(), failed());
    });
}

#[test]
fn a_normal_end_and_an_undone_link_leave_others_alone() {
    as_actor(|mailbox: &mut Mailbox<Exit>| {
        let (normal, undone) = (mortal(), mortal());
        mailbox.link(&normal);
        mailbox.link(&undone);
        mailbox.unlink(&undone);
        normal.cast(ExitReason::Normal);
        undone.cast(failed());
        assert_eq!((normal.wait(), undone.wait()), (ExitReason::Normal, failed()));
    });
}

#[test]
fn an_actor_that_traps_exits_gets_a_message_and_lives() {
    as_actor(|mailbox: &mut Mailbox<Exit>| {
        mailbox.trap_exits(|exit| exit);
        for reason in [ExitReason::Normal, ExitReason::Shutdown, failed()] {
            let child = mailbox.spawn_link(|mailbox: &mut Mailbox<ExitReason>| mailbox.receive());
            child.cast(reason.clone());
            let exit = mailbox.receive();
            assert_eq!((exit.from, exit.reason), (Some(child.id()), reason));
        }
        let child = mailbox.spawn_link(|mailbox: &mut Mailbox<()>| mailbox.receive());
        child.kill();
        assert_eq!(mailbox.receive().reason, ExitReason::Killed);
        mailbox.me().exit(failed());
        let exit = mailbox.receive();
        assert_eq!((exit.from, exit.reason), (None, failed()));
        assert!(mailbox.is_empty());
    });
}

#[test]
fn kill_ends_an_actor_that_traps_exits() {
    abaca::run(|| {
        let trapping = |stop: bool| {
            let (ready, is_ready) = abaca::channel::bounded(1);
            let actor = actor::spawn(move |mailbox: &mut Mailbox<Exit>| {
                mailbox.trap_exits(|exit| exit);
                if stop {
                    mailbox.stop_trapping_exits();
                }
                ready.send(()).unwrap();
                loop {
                    mailbox.receive();
                }
            });
            is_ready.recv().unwrap();
            actor
        };
        let actor = trapping(false);
        actor.exit(failed());
        actor.kill();
        assert_eq!(actor.wait(), ExitReason::Killed);
        let actor = trapping(true);
        actor.exit(failed());
        assert_eq!(actor.wait(), failed());
    });
}

/// The messages that the survivor of two linked actors gets, for one order of the events.
#[derive(Clone, Copy, Debug)]
enum Order {
    DeathBeforeLink,
    LinkBeforeDeath,
}

#[test]
fn links_and_monitors_report_once_in_every_order() {
    #[derive(Debug, PartialEq)]
    enum News {
        Exit(Exit),
        Down(Down),
    }
    for order in [Order::DeathBeforeLink, Order::LinkBeforeDeath] {
        as_actor(move |mailbox: &mut Mailbox<News>| {
            mailbox.trap_exits(News::Exit);
            let other = mortal();
            if matches!(order, Order::DeathBeforeLink) {
                other.cast(failed());
                other.wait();
            }
            mailbox.link(&other);
            mailbox.monitor(&other, News::Down);
            mailbox.monitor(&other, News::Down);
            if matches!(order, Order::LinkBeforeDeath) {
                mailbox.link(&other);
                other.cast(failed());
            }
            let mut news = [mailbox.receive(), mailbox.receive(), mailbox.receive()];
            news.sort_by_key(|news| matches!(news, News::Exit(_)));
            let [News::Down(first), News::Down(second), News::Exit(exit)] = news else { panic!("{news:?}") };
            assert_eq!(first, second);
            assert_eq!((first.from, first.reason), (other.id(), failed()));
            assert_eq!((exit.from, exit.reason), (Some(other.id()), failed()));
            assert!(mailbox.is_empty());
        });
    }
}

#[test]
fn a_link_to_an_actor_that_has_failed_ends_the_other() {
    abaca::run(|| {
        let dead = mortal();
        dead.cast(failed());
        dead.wait();
        let id = dead.id();
        let actor = actor::spawn(move |mailbox: &mut Mailbox<()>| {
            mailbox.link(&dead);
            mailbox.receive();
        });
        assert_eq!(actor.wait(), ExitReason::Linked { origin: id, reason: Arc::new(failed()) });
    });
}

#[test]
fn a_monitor_that_was_taken_back_is_silent() {
    as_actor(|mailbox: &mut Mailbox<Down>| {
        let other = mortal();
        let monitor = mailbox.monitor(&other, |down| down);
        assert!(mailbox.demonitor(monitor));
        other.cast(failed());
        other.wait();
        assert!(mailbox.is_empty());
        let late = mailbox.monitor(&other, |down| down);
        assert!(!mailbox.demonitor(late));
        assert_eq!(mailbox.receive().reason, failed());
        let (_, monitor) = mailbox.spawn_monitor(|_: &mut Mailbox<()>| (), |down| down);
        assert_eq!(mailbox.receive().reason, ExitReason::Normal);
        assert!(!mailbox.demonitor(monitor));
    });
}

#[test]
fn the_monitors_of_an_actor_end_with_it() {
    abaca::run(|| {
        let (watched, kept) = (mortal(), Arc::new(()));
        let watcher = actor::spawn({
            let (watched, kept) = (watched.clone(), Arc::clone(&kept));
            move |mailbox: &mut Mailbox<Arc<()>>| {
                mailbox.monitor(&watched, move |_| kept);
            }
        });
        watcher.wait();
        assert_eq!(Arc::strong_count(&kept), 1, "the watched actor keeps what nobody will be told");
        watched.cast(failed());
        assert_eq!(watched.wait(), failed());
    });
}

#[test]
fn the_end_of_the_runtime_shuts_actors_down() {
    let runtime = abaca::Runtime::new().unwrap();
    let actor = runtime.run(idle);
    runtime.shutdown(LONG).unwrap();
    assert_eq!(actor.pid().exit_reason(), Some(ExitReason::Shutdown));
}

#[test]
fn an_actor_that_cannot_be_spawned_has_failed_for_its_link() {
    let runtime = abaca::Runtime::builder().workers(1).max_fibers(2).build().unwrap();
    runtime.run(|| {
        let parent = actor::spawn(|mailbox: &mut Mailbox<Exit>| {
            mailbox.trap_exits(|exit| exit);
            let spawned = catch_unwind(AssertUnwindSafe(|| mailbox.spawn_link(|_: &mut Mailbox<()>| ())));
            assert!(spawned.is_err());
            let reason = mailbox.receive().reason;
            assert_eq!(reason, ExitReason::failed(abaca::SpawnError::LimitReached { max_fibers: 2 }));
        });
        assert_eq!(parent.wait(), ExitReason::Normal);
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[test]
fn panics_of_those_that_are_told_and_of_destructors_keep_nobody_from_being_told() {
    let bodies: [fn(&mut Mailbox<Bomb>); 4] = [
        |mailbox| std::mem::forget(mailbox.receive()),
        |mailbox| drop(mailbox.receive()),
        |mailbox| {
            // Passes all over, and ends.
            assert!(mailbox.receive_match_timeout::<()>(Duration::ZERO, Err).is_none());
        },
        |mailbox| {
            std::mem::forget(mailbox.receive());
            std::panic::panic_any(Bomb)
        },
    ];
    abaca::run(move || {
        for body in bodies {
            let (gate, opened) = abaca::channel::bounded::<()>(0);
            let mortal = actor::spawn(move |mailbox: &mut Mailbox<Bomb>| {
                let _ = opened.recv();
                body(mailbox);
            });
            let told = Arc::new(AtomicUsize::new(0));
            let trapping = [0, 1].map(|_| {
                let (pid, told) = (mortal.pid(), Arc::clone(&told));
                let (ready, is_ready) = abaca::channel::bounded(0);
                let linked = actor::spawn(move |mailbox: &mut Mailbox<Option<Exit>>| {
                    mailbox.trap_exits(|exit| if exit.from.is_some() { panic!("in a trap") } else { None });
                    mailbox.link(pid);
                    ready.send(()).unwrap();
                    mailbox.receive();
                });
                is_ready.recv().unwrap();
                mortal.pid().on_exit(move |_| {
                    told.fetch_add(1, SeqCst);
                    panic!("in a watcher");
                });
                linked
            });
            (0..3).for_each(|_| mortal.send(Bomb).ok().unwrap());
            drop(gate);
            assert!(mortal.pid().wait_timeout(LONG).is_some());
            assert_eq!(told.load(SeqCst), 2);
            trapping.iter().for_each(|linked| linked.kill());
        }
    });
}
