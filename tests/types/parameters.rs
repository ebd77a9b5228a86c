//! Functions that take the type parameters that std's take, when they are written out.

use abaca::sync::{
    MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard, Mutex, MutexGuard, RwLock,
    RwLockReadGuard, RwLockWriteGuard,
};

#[test]
fn guards_are_mapped_with_two_parameters() {
    let mutex = Mutex::new((1, (2, 3)));
    let mapped = MutexGuard::map::<(i32, i32), _>(mutex.lock().unwrap(), |value| &mut value.1);
    let mapped = MappedMutexGuard::map::<i32, _>(mapped, |value| &mut value.0);
    assert_eq!(*mapped, 2);
    drop(mapped);
    let mapped = MutexGuard::filter_map::<(i32, i32), _>(mutex.lock().unwrap(), |value| Some(&mut value.1));
    let mapped = MappedMutexGuard::filter_map::<i32, _>(mapped.unwrap(), |value| Some(&mut value.1));
    assert_eq!(*mapped.unwrap(), 3);

    let lock = RwLock::new((1, (2, 3)));
    let mapped = RwLockReadGuard::map::<(i32, i32), _>(lock.read().unwrap(), |value| &value.1);
    let mapped = MappedRwLockReadGuard::map::<i32, _>(mapped, |value| &value.0);
    assert_eq!(*mapped, 2);
    drop(mapped);
    let mapped = RwLockReadGuard::filter_map::<(i32, i32), _>(lock.read().unwrap(), |value| Some(&value.1));
    let mapped = MappedRwLockReadGuard::filter_map::<i32, _>(mapped.unwrap(), |value| Some(&value.1));
    assert_eq!(*mapped.unwrap(), 3);
    let mapped = RwLockWriteGuard::map::<(i32, i32), _>(lock.write().unwrap(), |value| &mut value.1);
    let mapped = MappedRwLockWriteGuard::map::<i32, _>(mapped, |value| &mut value.0);
    assert_eq!(*mapped, 2);
    drop(mapped);
    let mapped =
        RwLockWriteGuard::filter_map::<(i32, i32), _>(lock.write().unwrap(), |value| Some(&mut value.1));
    let mapped = MappedRwLockWriteGuard::filter_map::<i32, _>(mapped.unwrap(), |value| Some(&mut value.1));
    assert_eq!(*mapped.unwrap(), 3);
}

#[test]
#[expect(deprecated)]
fn sleep_ms_is_there_as_in_std() {
    abaca::fiber::sleep_ms(0);
    abaca::run(|| abaca::fiber::sleep_ms(1));
}
