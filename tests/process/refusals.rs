//! Tasks for which there is no stack: their closures are dropped where destructors may do as they like.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

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
            let here = std::thread::current().id();
            let count = Rc::new(Cell::new(0));
            for _ in 0..10 {
                let theirs = Rc::clone(&count);
                let on_drop = OnDrop(move || {
                    assert_eq!(std::thread::current().id(), here);
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
