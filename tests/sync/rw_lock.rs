//! `RwLock`, its mapped guards and those of `Mutex`: exclusion, fairness, poisoning, and cancellation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use abaca::sync::{
    Arc, MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard, Mutex, MutexGuard, RwLock,
    RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use abaca::time::timeout;
use abaca_tests::{begun, on_one_worker};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn readers_share_and_writers_do_not() {
    let lock = RwLock::new(1);
    {
        let (one, other) = (lock.read().unwrap(), lock.try_read().unwrap());
        assert_eq!(*one + *other, 2);
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    }
    let mut writing = lock.try_write().unwrap();
    *writing = 2;
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    drop(writing);
    assert_eq!(lock.into_inner().unwrap(), 2);
}

/// Spawns a fiber that logs when it has the lock. Yields until the fiber waits.
fn waits(
    lock: &Arc<RwLock<Vec<&'static str>>>,
    order: &Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
    writes: bool,
) -> abaca::JoinHandle<()> {
    let (lock, order) = (Arc::clone(lock), Arc::clone(order));
    begun(move || {
        if writes {
            let _guard = lock.write().unwrap();
            order.lock().unwrap().push(name);
        } else {
            let _guard = lock.read().unwrap();
            order.lock().unwrap().push(name);
        }
    })
}

/// Reads `lock`, which others read, until a writer that waits is starving and bars new readers.
fn wait_until_barred<T>(lock: &RwLock<T>) {
    while lock.try_read().is_ok() {
        abaca::sleep(SHORT);
    }
}

#[test]
fn a_writer_that_has_waited_for_long_bars_new_readers() {
    on_one_worker(|| {
        let (lock, order) = (Arc::default(), Arc::default());
        let first = RwLock::read(&lock).unwrap();
        let writer = waits(&lock, &order, "writer", true);
        wait_until_barred(&lock);
        let reader = waits(&lock, &order, "reader", false);
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["writer", "reader"]);
    });
}

#[test]
fn a_writer_that_leaves_lets_in_all_waiting_readers() {
    on_one_worker(|| {
        let (lock, order) = (Arc::default(), Arc::default());
        let writing = RwLock::write(&lock).unwrap();
        let fibers = [("r1", false), ("w1", true), ("r2", false), ("w2", true), ("r3", false)]
            .map(|(name, writes)| waits(&lock, &order, name, writes));
        drop(writing);
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        let order = order.lock().unwrap();
        let mut readers = order[..3].to_vec();
        readers.sort_unstable();
        assert_eq!(readers, ["r1", "r2", "r3"], "{order:?}");
        assert_eq!(order[3..], ["w1", "w2"], "{order:?}");
    });
}

#[test]
fn a_cancelled_writer_lets_the_readers_behind_it_in() {
    on_one_worker(|| {
        let (lock, order) = (Arc::default(), Arc::default());
        let first = RwLock::read(&lock).unwrap();
        for is_cancelled in [true, false] {
            let writer = begun({
                let lock: Arc<RwLock<Vec<&str>>> = Arc::clone(&lock);
                move || {
                    let limit = SHORT * if is_cancelled { 100_000 } else { 20 };
                    timeout(limit, || drop(lock.write())).is_ok()
                }
            });
            while lock.try_read().is_ok() && !writer.is_finished() {
                abaca::sleep(SHORT);
            }
            let reader = waits(&lock, &order, "reader", false);
            if is_cancelled {
                writer.cancel();
                assert!(writer.join().is_err());
            } else {
                assert!(!writer.join().unwrap());
            }
            // The first reader still holds the lock: only the writer was in the way.
            reader.join().unwrap();
        }
        drop(first);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    on_one_worker(|| {
        let (lock, order) = (Arc::default(), Arc::default());
        let writing = RwLock::write(&lock).unwrap();
        let writer = waits(&lock, &order, "writer", true);
        let reader = waits(&lock, &order, "reader", false);
        let reading = RwLockWriteGuard::downgrade(writing);
        reader.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["reader"]);
        drop(reading);
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_that_panics_poisons_and_a_reader_does_not() {
    let (ours, theirs) = (RwLock::new(0), std::sync::RwLock::new(0));
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _reading = ours.read();
        panic!("reader");
    }));
    assert!(!ours.is_poisoned());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let (mut mine, mut yours) = (ours.write().unwrap(), theirs.write().unwrap());
        (*mine, *yours) = (1, 1);
        panic!("writer");
    }));
    assert!(ours.is_poisoned());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(*ours.read().unwrap_err().into_inner(), 1);
    assert!(matches!(ours.try_write(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(ours.try_read(), Err(TryLockError::Poisoned(_))));
    ours.clear_poison();
    assert_eq!(*ours.write().unwrap(), 1);
    assert_eq!(format!("{ours:?}"), "RwLock { data: 1, poisoned: false, .. }");
    let _writing = ours.write();
    let locked = std::sync::RwLock::new(1);
    let _theirs = locked.write();
    assert_eq!(format!("{ours:?}"), format!("{locked:?}"));
}

#[test]
fn a_mapped_guard_holds_the_lock_and_poisons_it() {
    let mutex = Mutex::new((1, Some(2)));
    let mut first = MutexGuard::map(mutex.lock().unwrap(), |pair| &mut pair.0);
    *first += 10;
    assert!(mutex.try_lock().is_err());
    drop(first);
    let some = MutexGuard::filter_map(mutex.lock().unwrap(), |pair| pair.1.as_mut()).unwrap();
    let none = MappedMutexGuard::filter_map(some, |two| (*two > 5).then_some(two)).unwrap_err();
    assert_eq!((*none, format!("{none:?} {none}")), (2, "2 2".to_owned()));
    drop(none);
    let whole = MutexGuard::filter_map(mutex.lock().unwrap(), |_| None::<&mut u8>).unwrap_err();
    assert_eq!(whole.0, 11);
    drop(whole);
    let guard = mutex.lock().unwrap();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        MutexGuard::map(guard, |_| -> &mut u8 { panic!("in the closure") })
    }));
    assert!(
        mutex.is_poisoned()
            && mutex.try_lock().is_err_and(|error| matches!(error, TryLockError::Poisoned(_)))
    );
}

#[test]
fn mapped_readers_share_and_mapped_writers_do_not() {
    let lock = RwLock::new(vec![1, 2]);
    let one = RwLockReadGuard::map(lock.read().unwrap(), |list| &list[0]);
    let other = RwLockReadGuard::filter_map(lock.read().unwrap(), |list| list.get(1)).unwrap();
    let other = MappedRwLockReadGuard::map(other, |two| two);
    assert!(RwLockReadGuard::filter_map(lock.read().unwrap(), |list| list.get(2)).is_err());
    assert_eq!(*one + *other, 3);
    assert!(lock.try_write().is_err());
    drop((one, other));
    let mut last = RwLockWriteGuard::map(lock.write().unwrap(), |list| list.last_mut().unwrap());
    *last = 5;
    assert!(lock.try_read().is_err());
    let part = MappedRwLockWriteGuard::filter_map(last, |five| Some(five)).unwrap();
    drop(MappedRwLockWriteGuard::map(part, |five| five));
    assert!(RwLockWriteGuard::filter_map(lock.write().unwrap(), |list| list.get_mut(2)).is_err());
    assert_eq!(*lock.read().unwrap(), [1, 5]);
}
