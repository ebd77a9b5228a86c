//! Supervisors: which children are restarted, the order in which they stop, and when a supervisor gives up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use abaca::actor::supervisor::{Child, ChildError, Restart, Shutdown, Strategy, Supervisor, SupervisorRef};
use abaca::actor::{self, ActorRef, Exit, ExitReason, Mailbox, Pid};

use super::LONG;

const HOUR: Duration = Duration::from_secs(3600);

/// The events, in order: `+a` when child `a` started, `-a` when it ended.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }

    /// The events since the last call.
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }

    /// A child that logs its life, and ends for the reason that it is sent.
    fn actor(&self, name: &'static str) -> ActorRef<ExitReason> {
        struct Ended(Log, &'static str);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.add(format!("-{}", self.1));
            }
        }
        self.add(format!("+{name}"));
        let ended = Ended(self.clone(), name);
        actor::spawn(move |mailbox: &mut Mailbox<ExitReason>| {
            let _ended = ended;
            mailbox.receive()
        })
    }

    fn child(&self, name: &'static str) -> Child {
        let log = self.clone();
        Child::new(name, move || log.actor(name))
    }
}

fn pid(supervisor: &SupervisorRef, id: &str) -> Option<Pid> {
    let children = supervisor.children().unwrap();
    children.into_iter().find(|child| child.id == id).and_then(|child| child.pid)
}

/// Ends the child and returns when the supervisor has dealt with it.
fn end(supervisor: &SupervisorRef, id: &str, reason: ExitReason) {
    let child = pid(supervisor, id).unwrap();
    child.exit(reason);
    child.wait();
    // The news of the death precede whatever is asked afterwards, once they have been sent.
    while pid(supervisor, id).is_some_and(|now| now == child) {
        abaca::yield_now();
    }
}

fn failed() -> ExitReason {
    ExitReason::failed("test")
}

fn three(strategy: Strategy, log: &Log) -> SupervisorRef {
    let supervisor = Supervisor::new(strategy).intensity(100, HOUR);
    supervisor.child(log.child("a")).child(log.child("b")).child(log.child("c")).start()
}

#[test]
fn each_strategy_restarts_its_children_and_stops_them_in_reverse() {
    for (strategy, expected) in [
        (Strategy::OneForOne, "-b +b"),
        (Strategy::OneForAll, "-b -c -a +a +b +c"),
        (Strategy::RestForOne, "-b -c +b +c"),
    ] {
        abaca::run(|| {
            let log = Log::default();
            let supervisor = three(strategy, &log);
            assert_eq!(log.take(), "+a +b +c");
            end(&supervisor, "b", failed());
            assert_eq!(log.take(), expected, "{strategy:?}");
            assert_eq!(supervisor.stop(), ExitReason::Shutdown);
            assert_eq!(log.take(), "-c -b -a", "{strategy:?}");
        });
    }
}

#[test]
fn a_child_is_restarted_as_its_kind_says() {
    let reasons = [ExitReason::Shutdown, failed(), ExitReason::Killed];
    for (restart, restarted) in [
        (Restart::Permanent, [true, true, true]),
        (Restart::Transient, [false, true, true]),
        (Restart::Temporary, [false, false, false]),
    ] {
        for (reason, restarted) in reasons.clone().into_iter().zip(restarted) {
            abaca::run(|| {
                let log = Log::default();
                let supervisor = Supervisor::new(Strategy::OneForOne);
                let supervisor = supervisor.child(log.child("a").restart(restart)).start();
                end(&supervisor, "a", reason.clone());
                assert_eq!(pid(&supervisor, "a").is_some(), restarted, "{restart:?} {reason:?}");
                let known = supervisor.children().unwrap().len();
                assert_eq!(known, usize::from(restart != Restart::Temporary));
                supervisor.stop();
            });
        }
    }
}

#[test]
fn a_transient_child_that_returns_is_done() {
    abaca::run(|| {
        let log = Log::default();
        let slot = Arc::new(Mutex::new(None));
        let (theirs, starts) = (Arc::clone(&slot), log.clone());
        let child = Child::new("a", move || {
            let actor = starts.actor("a");
            *theirs.lock().unwrap() = Some(actor.clone());
            actor
        });
        let supervisor =
            Supervisor::new(Strategy::OneForOne).child(child.restart(Restart::Transient)).start();
        let actor = slot.lock().unwrap().clone().unwrap();
        actor.cast(ExitReason::Normal);
        actor.wait();
        while pid(&supervisor, "a").is_some() {
            abaca::yield_now();
        }
        assert_eq!(log.take(), "+a -a");
        assert!(supervisor.restart_child("a").is_ok());
        assert_eq!(log.take(), "+a");
        supervisor.stop();
    });
}

#[test]
fn one_restart_too_many_ends_the_supervisor_after_its_children() {
    abaca::run(|| {
        let log = Log::default();
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(2, HOUR);
        let supervisor = supervisor.child(log.child("a")).child(log.child("b")).child(log.child("c")).start();
        end(&supervisor, "b", failed());
        end(&supervisor, "a", failed());
        assert_eq!(log.take(), "+a +b +c -b +b -a +a");
        pid(&supervisor, "b").unwrap().kill();
        assert_eq!(supervisor.wait(), ExitReason::Shutdown);
        assert_eq!(log.take(), "-b -c -a");
        assert!(matches!(supervisor.children(), Err(ChildError::Exited(ExitReason::Shutdown))));
    });
}

#[test]
fn restarts_that_are_far_apart_do_not_add_up() {
    abaca::run(|| {
        let log = Log::default();
        // Nothing is within a period of nothing.
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(1, Duration::ZERO);
        let supervisor = supervisor.child(log.child("a")).start();
        (0..10).for_each(|_| end(&supervisor, "a", failed()));
        assert_eq!(supervisor.stop(), ExitReason::Shutdown);
    });
}

#[test]
fn a_child_that_cannot_be_restarted_is_tried_again_until_it_is_too_much() {
    abaca::run(|| {
        let log = Log::default();
        let (starts, mut count) = (log.clone(), 0);
        let child = Child::new("a", move || {
            count += 1;
            if count == 2 {
                // Not a panic that would be printed.
                std::panic::resume_unwind(Box::new("not now"));
            }
            starts.actor("a")
        });
        let reports = log.clone();
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(2, HOUR)
            .on_child_exit(move |id, reason| reports.add(format!("{id} {reason}")))
            .child(child)
            .start();
        end(&supervisor, "a", failed());
        while pid(&supervisor, "a").is_none() {
            abaca::yield_now();
        }
        assert_eq!(log.take(), "+a -a a failed: test a panicked: not now +a");
        pid(&supervisor, "a").unwrap().kill();
        assert_eq!(supervisor.wait(), ExitReason::Shutdown);
    });
}

#[test]
fn a_supervisor_whose_children_cannot_be_started_stops_those_before_and_ends() {
    abaca::run(|| {
        let log = Log::default();
        let bad = Child::new("bad", || -> Pid { std::panic::resume_unwind(Box::new("never")) });
        let supervisor = Supervisor::new(Strategy::OneForOne).child(log.child("a")).child(bad).start();
        assert_eq!(supervisor.wait(), ExitReason::Panicked("never".into()));
        assert_eq!(log.take(), "+a -a");
        let twins = Supervisor::new(Strategy::OneForOne).child(log.child("a")).child(log.child("a")).start();
        assert!(twins.wait().is_abnormal());
    });
}

#[test]
fn children_are_added_stopped_restarted_and_removed_while_it_runs() {
    abaca::run(|| {
        let log = Log::default();
        let supervisor = three(Strategy::OneForAll, &log);
        let d = supervisor.start_child(log.child("d")).unwrap();
        assert!(d.is_alive());
        assert_eq!(supervisor.start_child(log.child("d")), Err(ChildError::IdTaken));
        assert_eq!(supervisor.restart_child("d"), Err(ChildError::Running));
        assert_eq!(supervisor.remove_child("d"), Err(ChildError::Running));
        assert_eq!(supervisor.stop_child("e"), Err(ChildError::Unknown));
        supervisor.stop_child("b").unwrap();
        supervisor.stop_child("b").unwrap();
        assert_eq!(log.take(), "+a +b +c +d -b");
        supervisor.restart_child("b").unwrap();
        supervisor.stop_child("c").unwrap();
        supervisor.remove_child("c").unwrap();
        let temporary = log.child("t").restart(Restart::Temporary);
        supervisor.start_child(temporary).unwrap();
        assert_eq!(log.take(), "+b -c +t");
        end(&supervisor, "a", failed());
        assert_eq!(log.take(), "-a -t -d -b +a +b +d", "the stopped child and the temporary one are gone");
        let panics = Child::new("p", || -> Pid { std::panic::resume_unwind(Box::new("never")) });
        let error = supervisor.start_child(panics).unwrap_err();
        assert_eq!(error, ChildError::NotStarted(ExitReason::Panicked("never".into())));
        let ids: Vec<_> = supervisor.children().unwrap().into_iter().map(|child| child.id).collect();
        assert_eq!(ids, ["a", "b", "d"]);
        supervisor.stop();
    });
}

/// Starts an actor that traps exits, and returns when it does.
fn trapping(body: fn(&mut Mailbox<Exit>) -> ExitReason) -> ActorRef<Exit> {
    let (ready, is_ready) = abaca::channel::bounded(1);
    let actor = actor::spawn(move |mailbox: &mut Mailbox<Exit>| {
        mailbox.trap_exits(|exit| exit);
        ready.send(()).unwrap();
        body(mailbox)
    });
    is_ready.recv().unwrap();
    actor
}

#[test]
fn a_child_that_does_not_end_when_it_is_asked_to_is_killed() {
    abaca::run(|| {
        for shutdown in [Shutdown::Kill, Shutdown::After(Duration::from_millis(1))] {
            let stubborn = || {
                trapping(|mailbox| {
                    loop {
                        mailbox.receive();
                    }
                })
            };
            let child = Child::new("stubborn", stubborn).shutdown(shutdown);
            let supervisor = Supervisor::new(Strategy::OneForOne).child(child).start();
            let stubborn = pid(&supervisor, "stubborn").unwrap();
            supervisor.stop();
            assert_eq!(stubborn.exit_reason(), Some(ExitReason::Killed));
        }
    });
}

#[test]
fn a_child_is_given_its_shutdown_time() {
    abaca::run(|| {
        let polite = || {
            trapping(|mailbox| {
                let exit = mailbox.receive();
                (0..100).for_each(|_| abaca::yield_now());
                ExitReason::failed(format_args!("cleaned up after: {}", exit.reason))
            })
        };
        for shutdown in [Shutdown::Infinity, Shutdown::After(LONG)] {
            let child = Child::new("polite", polite).shutdown(shutdown);
            let supervisor = Supervisor::new(Strategy::OneForOne).child(child).start();
            let polite = pid(&supervisor, "polite").unwrap();
            assert_eq!(supervisor.stop(), ExitReason::Shutdown);
            assert_eq!(polite.exit_reason(), Some(ExitReason::failed("cleaned up after: shut down")));
        }
    });
}

#[test]
fn a_tree_of_supervisors_passes_failures_up_and_the_end_down() {
    abaca::run(|| {
        let log = Log::default();
        let inner_log = log.clone();
        let refs = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&refs);
        let inner = Child::new("inner", move || {
            let inner = Supervisor::new(Strategy::OneForOne).intensity(1, HOUR);
            let inner = inner.child(inner_log.child("x")).child(inner_log.child("y")).start();
            theirs.lock().unwrap().push(inner.clone());
            inner
        });
        let outer = Supervisor::new(Strategy::RestForOne).intensity(10, HOUR).child(log.child("a"));
        let outer = outer.child(inner.shutdown(Shutdown::Infinity)).child(log.child("z")).start();
        assert_eq!(log.take(), "+a +x +y +z");
        let inner = refs.lock().unwrap()[0].clone();
        end(&inner, "x", failed());
        assert_eq!(log.take(), "-x +x");
        pid(&inner, "x").unwrap().kill();
        assert_eq!(inner.wait(), ExitReason::Shutdown);
        while refs.lock().unwrap().len() == 1 || pid(&outer, "z").is_none() {
            abaca::yield_now();
        }
        assert_eq!(log.take(), "-x -y -z +x +y +z");
        assert_eq!(outer.stop(), ExitReason::Shutdown);
        assert_eq!(log.take(), "-z -y -x -a");
    });
}

#[test]
fn a_supervisor_that_is_killed_takes_its_children_with_it() {
    abaca::run(|| {
        let log = Log::default();
        let supervisor = three(Strategy::OneForOne, &log);
        let children: Vec<Pid> = ["a", "b", "c"].iter().map(|id| pid(&supervisor, id).unwrap()).collect();
        supervisor.pid().kill();
        for child in children {
            let reason = child.wait_timeout(LONG).unwrap();
            assert!(matches!(reason, ExitReason::Linked { .. }), "{reason:?}");
        }
    });
}

#[test]
fn a_supervisor_ends_with_the_actor_it_is_linked_to() {
    abaca::run(|| {
        let log = Log::default();
        let supervisor = three(Strategy::OneForOne, &log);
        let theirs = supervisor.clone();
        let owner = actor::spawn(move |mailbox: &mut Mailbox<()>| {
            mailbox.link(&theirs);
            mailbox.receive();
            Err("owner")
        });
        owner.cast(());
        assert!(matches!(supervisor.wait(), ExitReason::Linked { origin, .. } if origin == owner.id()));
        assert_eq!(log.take(), "+a +b +c -c -b -a");
    });
}

#[test]
fn many_crashes_leave_every_child_alive() {
    abaca::run(|| {
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(usize::MAX, HOUR);
        let ids: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let start = || actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive());
        let supervisor =
            ids.iter().fold(supervisor, |all, id| all.child(Child::new(id.clone(), start))).start();
        let killers: Vec<_> = (0..4)
            .map(|killer| {
                let supervisor = supervisor.clone();
                let kill = move || {
                    for round in 0..10 {
                        let children = supervisor.children().unwrap();
                        for child in children.iter().skip((killer + round) % 7).step_by(7) {
                            child.pid.as_ref().map(Pid::kill);
                        }
                    }
                };
                let (ended, has_ended) = abaca::channel::bounded::<()>(1);
                if killer % 2 == 0 {
                    abaca::spawn(move || {
                        kill();
                        drop(ended);
                    });
                } else {
                    std::thread::spawn(move || {
                        kill();
                        drop(ended);
                    });
                }
                has_ended
            })
            .collect();
        killers.into_iter().for_each(|killer| assert!(killer.recv().is_err()));
        let all_alive = || {
            let children = supervisor.children().unwrap();
            children.len() == 50 && children.iter().all(|child| child.pid.as_ref().is_some_and(Pid::is_alive))
        };
        while !all_alive() {
            abaca::yield_now();
        }
        assert_eq!(supervisor.stop(), ExitReason::Shutdown);
    });
}
