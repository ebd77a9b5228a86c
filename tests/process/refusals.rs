//! Tasks for which there is no stack: their closures are dropped where destructors may do as they like.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::actor::supervisor::{Child, Restart, Strategy, Supervisor};
use abaca::actor::{self, Down, Exit, ExitReason, Mailbox};
use abaca::promise;
use abaca::runtime::Builder as RuntimeBuilder;
use abaca::sync::Mutex;
use abaca::{Builder, JoinHandle, Runtime};

use super::{in_child_with_kib, is_child};

/// More than the children have of address space.
const TOO_LARGE: usize = u32::MAX as usize;

const FEW_GIB: usize = 3_000_000;

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn one_worker() -> RuntimeBuilder {
    Runtime::builder().workers(1)
}

/// A task without a stack, whose closure's destructor is `f`.
fn refused(f: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    let on_drop = OnDrop(f);
    Builder::new().stack_size(TOO_LARGE).spawn(move || drop(on_drop)).unwrap()
}

fn is_told<T>(handle: JoinHandle<T>) -> bool {
    handle.join().is_err_and(|payload| payload.is::<std::io::Error>())
}

fn child_passes(test: &str, kib: usize) {
    let output = in_child_with_kib(&format!("refusals::{test}"), kib);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_destructor_of_one_may_wait_for_another_fiber_of_its_worker() {
    if is_child() {
        for hooked in [false, true] {
            let builder = if hooked { one_worker().around_fiber(|run| run()) } else { one_worker() };
            builder.build().unwrap().run(|| {
                let lock = Arc::new(Mutex::new(0));
                let entered = Arc::new(AtomicUsize::new(0));
                let guard = lock.lock().unwrap();
                let handles: Vec<_> = (0..20)
                    .map(|_| {
                        let (lock, entered) = (Arc::clone(&lock), Arc::clone(&entered));
                        refused(move || {
                            entered.fetch_add(1, SeqCst);
                            *lock.lock().unwrap() += 1;
                            abaca::yield_now();
                            abaca::sleep(std::time::Duration::from_micros(1));
                        })
                    })
                    .collect();
                while entered.load(SeqCst) < 20 {
                    abaca::yield_now();
                }
                assert!(handles.iter().all(|handle| !handle.is_finished()));
                drop(guard);
                assert!(handles.into_iter().all(is_told));
                assert_eq!(*lock.lock().unwrap(), 20);
            });
        }
        return;
    }
    child_passes("a_destructor_of_one_may_wait_for_another_fiber_of_its_worker", FEW_GIB);
}

#[test]
fn without_any_stack_they_take_turns_on_the_one_laid_by() {
    if is_child() {
        // A few fibers get the default stack; the others, none.
        one_worker().stack_size(1 << 30).build().unwrap().run(|| {
            let lock = Arc::new(Mutex::new(()));
            let dropped = Arc::new(AtomicUsize::new(0));
            let guard = lock.lock().unwrap();
            let handles: Vec<_> = (0..100)
                .map(|_| {
                    let (lock, dropped) = (Arc::clone(&lock), Arc::clone(&dropped));
                    let on_drop = OnDrop(move || {
                        drop(lock.lock().unwrap());
                        dropped.fetch_add(1, SeqCst);
                    });
                    // Bound to the worker: all of them have had a turn before that of the caller comes again.
                    abaca::spawn_local(move || {
                        abaca::park();
                        drop(on_drop);
                    })
                })
                .collect();
            abaca::yield_now();
            assert_eq!(dropped.load(SeqCst), 0);
            drop(guard);
            handles.iter().for_each(|handle| handle.fiber().unpark());
            let told = handles.into_iter().map(is_told).filter(|told| *told).count();
            assert!((50..100).contains(&told), "{told}");
            assert_eq!(dropped.load(SeqCst), 100);
            assert_eq!(abaca::spawn(|| "goes on").join().unwrap(), "goes on");
        });
        return;
    }
    child_passes("without_any_stack_they_take_turns_on_the_one_laid_by", 20_000_000);
}

#[test]
fn a_destructor_of_one_may_panic_wake_spawn_and_be_cancelled() {
    if is_child() {
        std::panic::set_hook(Box::new(|_| ()));
        one_worker().build().unwrap().run(|| {
            let payload = refused(|| panic!("in a destructor")).join().unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"in a destructor"));
            // Nobody joins this one: its payload is dropped there, too.
            let bomb = OnDrop(|| std::panic::panic_any(OnDrop(|| panic!("and again"))));
            drop(Builder::new().stack_size(TOO_LARGE).spawn(move || drop(bomb)).unwrap());

            let me = abaca::current();
            let handle = refused(move || me.unpark());
            abaca::park();
            assert!(is_told(handle));

            let (sender, receiver) = abaca::channel::bounded(0);
            let handle = refused(move || {
                abaca::spawn({
                    let sender = sender.clone();
                    move || sender.send("from its child").unwrap()
                })
                .join()
                .unwrap()
            });
            assert_eq!(receiver.recv(), Ok("from its child"));
            assert!(is_told(handle));

            let begun = Arc::new(AtomicUsize::new(0));
            let note = Arc::clone(&begun);
            let handle = refused(move || {
                note.fetch_add(1, SeqCst);
                abaca::park();
            });
            while begun.load(SeqCst) == 0 {
                abaca::yield_now();
            }
            handle.cancel();
            assert!(handle.join().unwrap_err().is::<abaca::Cancelled>());
            assert_eq!(abaca::spawn(|| "goes on").join().unwrap(), "goes on");
        });
        return;
    }
    child_passes("a_destructor_of_one_may_panic_wake_spawn_and_be_cancelled", FEW_GIB);
}

#[test]
fn what_is_bound_to_a_worker_is_dropped_there() {
    if is_child() {
        Runtime::builder().workers(4).build().unwrap().run(|| {
            let here = abaca_tests::kernel_thread();
            let count = Rc::new(Cell::new(0));
            for _ in 0..10 {
                let theirs = Rc::clone(&count);
                let on_drop = OnDrop(move || {
                    assert_eq!(abaca_tests::kernel_thread(), here);
                    abaca::yield_now();
                    theirs.set(theirs.get() + 1);
                });
                let builder = Builder::new().stack_size(TOO_LARGE);
                assert!(is_told(builder.spawn_local(move || drop(on_drop)).unwrap()));
            }
            assert_eq!((count.get(), Rc::strong_count(&count)), (10, 1));
        });
        return;
    }
    child_passes("what_is_bound_to_a_worker_is_dropped_there", FEW_GIB);
}

#[test]
fn one_whose_destructor_waits_is_cancelled_by_the_end_of_its_runtime() {
    if is_child() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        let runtime = one_worker().stack_size(1 << 30).build().unwrap();
        runtime.run(|| {
            let handles: Vec<_> = (0..100)
                .map(|_| {
                    let has_begun = Arc::new(AtomicBool::new(false));
                    let (begun, dropped, waiting) =
                        (Arc::clone(&has_begun), Arc::clone(&dropped), Arc::clone(&waiting));
                    let on_drop = OnDrop(move || {
                        dropped.fetch_add(1, SeqCst);
                        // The first of them: the others wait for it.
                        if !has_begun.load(SeqCst) && waiting.fetch_add(1, SeqCst) == 0 {
                            abaca::park();
                        }
                    });
                    abaca::spawn_local(move || {
                        begun.store(true, SeqCst);
                        abaca::park();
                        drop(on_drop);
                    })
                })
                .collect();
            while waiting.load(SeqCst) == 0 {
                abaca::yield_now();
            }
            assert!(handles.iter().all(|handle| !handle.is_finished()));
            assert_eq!((dropped.load(SeqCst), waiting.load(SeqCst)), (1, 1));
        });
        runtime.shutdown(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(dropped.load(SeqCst), 100);
        return;
    }
    child_passes("one_whose_destructor_waits_is_cancelled_by_the_end_of_its_runtime", 20_000_000);
}

fn no_memory() -> ExitReason {
    ExitReason::failed("there was no memory for its stack")
}

/// A body that never runs, since there is no stack for it.
fn never(_: &mut Mailbox<()>) {
    unreachable!("there is no stack");
}

#[test]
fn an_actor_that_is_refused_has_failed_for_all_who_watch_it() {
    if is_child() {
        enum News {
            Exit(Exit),
            Down(Down),
        }
        one_worker().build().unwrap().run(|| {
            let watcher = actor::spawn(|mailbox: &mut Mailbox<News>| {
                mailbox.trap_exits(News::Exit);
                let refused = actor::Builder::new().stack_size(TOO_LARGE).spawn(never).unwrap();
                mailbox.link(&refused);
                mailbox.monitor(&refused, News::Down);
                let (mut exits, mut downs) = (0, 0);
                for _ in 0..2 {
                    match mailbox.receive() {
                        News::Exit(exit) => {
                            exits += 1;
                            assert_eq!((exit.from, exit.reason), (Some(refused.id()), no_memory()));
                        }
                        News::Down(down) => {
                            downs += 1;
                            assert_eq!((down.from, down.reason), (refused.id(), no_memory()));
                        }
                    }
                }
                assert_eq!((exits, downs), (1, 1));
                assert_eq!(refused.wait(), no_memory());
                // Afterwards, too.
                mailbox.monitor(&refused, News::Down);
                assert!(matches!(mailbox.receive(), News::Down(down) if down.reason == no_memory()));
            });
            assert_eq!(watcher.wait(), ExitReason::Normal);

            // One that traps no exits ends with it.
            let linked = actor::spawn(|mailbox: &mut Mailbox<()>| {
                mailbox.link(actor::Builder::new().stack_size(TOO_LARGE).spawn(never).unwrap());
                abaca::park();
            });
            assert!(matches!(linked.wait(), ExitReason::Linked { reason, .. } if *reason == no_memory()));

            // It was killed before it could be refused.
            let killed = actor::Builder::new().stack_size(TOO_LARGE).spawn(never).unwrap();
            killed.kill();
            assert_eq!(killed.wait(), ExitReason::Killed);
        });
        return;
    }
    child_passes("an_actor_that_is_refused_has_failed_for_all_who_watch_it", FEW_GIB);
}

#[test]
fn a_supervisor_restarts_a_child_that_is_refused() {
    if is_child() {
        one_worker().build().unwrap().run(|| {
            let (starts, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (their_starts, their_runs) = (Arc::clone(&starts), Arc::clone(&runs));
            let start = move || {
                let runs = Arc::clone(&their_runs);
                let builder = actor::Builder::new();
                // Memory is short at the first two starts.
                let is_short = their_starts.fetch_add(1, SeqCst) < 2;
                let builder = if is_short { builder.stack_size(TOO_LARGE) } else { builder };
                builder
                    .spawn(move |mailbox: &mut Mailbox<()>| {
                        runs.fetch_add(1, SeqCst);
                        mailbox.receive();
                    })
                    .unwrap()
            };
            let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
            let theirs = Arc::clone(&reports);
            let supervisor = Supervisor::new(Strategy::OneForOne)
                .child(Child::new("short", start).restart(Restart::Transient))
                .intensity(5, std::time::Duration::from_secs(3600))
                .on_child_exit(move |_, reason| theirs.lock().unwrap().push(reason.clone()))
                .start();
            while runs.load(SeqCst) == 0 {
                abaca::yield_now();
            }
            assert_eq!((starts.load(SeqCst), runs.load(SeqCst)), (3, 1));
            assert_eq!(*reports.lock().unwrap(), [no_memory(), no_memory()]);
            supervisor.stop();
        });
        return;
    }
    child_passes("a_supervisor_restarts_a_child_that_is_refused", FEW_GIB);
}

#[test]
fn a_promise_of_a_fiber_that_is_refused_says_that_memory_was_short() {
    if is_child() {
        one_worker().stack_size(1 << 30).build().unwrap().run(|| {
            let is_open = Arc::new(AtomicBool::new(false));
            let promises: Vec<_> = (0..100)
                .map(|_| {
                    let (theirs, opener) = (Arc::clone(&is_open), Arc::clone(&is_open));
                    // Each holds its stack until one has got none.
                    let promise = promise::spawn(move || {
                        while !theirs.load(SeqCst) {
                            abaca::yield_now();
                        }
                    });
                    promise.on_resolve(move |result| {
                        opener.fetch_or(result.is_err(), SeqCst);
                    });
                    promise
                })
                .collect();
            let refused = promises.iter().filter(|promise| {
                promise.wait().is_err_and(|error| {
                    let error = error.downcast_ref::<std::io::Error>().expect("an error of the system");
                    error.kind() == std::io::ErrorKind::OutOfMemory
                })
            });
            assert!(refused.count() > 0);
        });
        return;
    }
    child_passes("a_promise_of_a_fiber_that_is_refused_says_that_memory_was_short", 20_000_000);
}
