//! `Mutex` behaves as std's.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;

use abaca::sync::{LockResult, Mutex, MutexGuard, TryLockError};

fn poisoned() -> (Mutex<i32>, std::sync::Mutex<i32>) {
    let ours = Mutex::new(1);
    let theirs = std::sync::Mutex::new(1);
    catch_unwind(AssertUnwindSafe(|| {
        let _guards = (ours.lock(), theirs.lock());
        panic!("poison both");
    }))
    .unwrap_err();
    (ours, theirs)
}

#[test]
fn its_traits_are_stds() {
    fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default + From<u8>>() {}
    fn is_sync<T: Sync + UnwindSafe + RefUnwindSafe>(_: &T) {}
    check::<Mutex<u8>>();
    check::<std::sync::Mutex<u8>>();
    let mutex = Mutex::new(0);
    is_sync(&mutex.lock().unwrap());
    let theirs = std::sync::Mutex::new(0);
    is_sync(&theirs.lock().unwrap());
}

#[test]
fn it_prints_as_stds_in_every_state() {
    let (ours, theirs) = (Mutex::new("value"), std::sync::Mutex::new("value"));
    assert_eq!(format!("{ours:?} {ours:#?}"), format!("{theirs:?} {theirs:#?}"));
    let guards = (ours.lock().unwrap(), theirs.lock().unwrap());
    assert_eq!(
        format!("{ours:?} {:?} {}", guards.0, guards.0),
        format!("{theirs:?} {:?} {}", guards.1, guards.1)
    );
    let (ours, theirs) = poisoned();
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(format!("{:?}", ours.lock()), format!("{:?}", theirs.lock()));
}

#[test]
fn a_panic_poisons_until_it_is_cleared() {
    let (mut ours, mut theirs) = poisoned();
    assert!(ours.is_poisoned() && theirs.is_poisoned());
    assert_eq!(*ours.lock().unwrap_err().into_inner(), 1);
    assert!(matches!(ours.try_lock(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(theirs.try_lock(), Err(TryLockError::Poisoned(_))));
    assert_eq!(**ours.get_mut().unwrap_err().get_ref(), **theirs.get_mut().unwrap_err().get_ref());
    ours.clear_poison();
    assert_eq!(*ours.lock().unwrap(), 1);
    assert_eq!(theirs.into_inner().unwrap_err().into_inner(), ours.into_inner().unwrap());
}

#[test]
fn a_guard_that_a_destructor_takes_and_drops_during_a_panic_does_not_poison() {
    struct Locks<'a>(&'a Mutex<i32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0);
    catch_unwind(AssertUnwindSafe(|| {
        let _locks = Locks(&mutex);
        panic!("unwind through the destructor");
    }))
    .unwrap_err();
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn a_locked_mutex_cannot_be_taken() {
    let mutex = Mutex::new(0);
    let guard = mutex.try_lock().unwrap();
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert_eq!(*mutex.try_lock().unwrap(), 0);
}

#[test]
fn it_holds_values_without_a_size() {
    let slice: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    slice.lock().unwrap()[0] = 7;
    assert_eq!(slice.lock().unwrap().iter().sum::<i32>(), 12);
    let shared: Arc<Mutex<dyn Send>> = Arc::new(Mutex::new(1));
    drop(shared.lock());
}

#[test]
fn it_is_made_from_values() {
    static CONSTANT: Mutex<i32> = Mutex::new(3);
    assert_eq!(*CONSTANT.lock().unwrap(), 3);
    assert_eq!(Mutex::from(4).into_inner().unwrap(), 4);
    assert_eq!(Mutex::<i32>::default().into_inner().unwrap(), 0);
}

#[test]
fn results_are_stds_types() {
    fn value(result: LockResult<MutexGuard<'_, i32>>) -> std::sync::LockResult<MutexGuard<'_, i32>> {
        result
    }
    assert_eq!(*value(Mutex::new(5).lock()).unwrap(), 5);
}

#[test]
fn no_increment_of_concurrent_threads_is_lost() {
    let mutex = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    *mutex.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(mutex.into_inner().unwrap(), 160_000);
}

#[test]
fn a_waiter_gets_the_lock_from_a_thread_that_never_stops_locking() {
    let mutex = Mutex::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Ends only when the other thread has had the lock.
            loop {
                let seen = mutex.lock().unwrap();
                if *seen {
                    break;
                }
            }
        });
        scope.spawn(|| *mutex.lock().unwrap() = true);
    });
}
