//! Values that borrow what is dropped before them, where std allows it: that these compile is the test.

use std::cell::Cell;

#[test]
fn a_once_lock_may_outlive_what_its_value_borrows() {
    let lock = abaca::sync::OnceLock::new();
    let text = String::from("dropped first");
    lock.set(&text).unwrap();
    assert_eq!(*lock.get().unwrap(), "dropped first");
}

#[test]
fn locks_may_outlive_what_their_values_borrow() {
    let mutex = abaca::sync::Mutex::new(None);
    let rw_lock = abaca::sync::RwLock::new(None);
    let text = String::from("dropped first");
    *mutex.lock().unwrap() = Some(&text);
    *rw_lock.write().unwrap() = Some(&text);
    assert_eq!(*mutex.lock().unwrap(), *rw_lock.read().unwrap());
}

#[test]
fn values_may_refer_to_themselves_in_a_circle() {
    struct Node<'a> {
        next: Cell<Option<&'a abaca::sync::OnceLock<Node<'a>>>>,
        mutex: Cell<Option<&'a abaca::sync::Mutex<Option<Node<'a>>>>>,
    }
    let once = abaca::sync::OnceLock::new();
    let mutex = abaca::sync::Mutex::new(None);
    let node = || Node { next: Cell::new(None), mutex: Cell::new(None) };
    assert!(once.set(node()).is_ok());
    once.get().unwrap().next.set(Some(&once));
    once.get().unwrap().mutex.set(Some(&mutex));
    assert!(mutex.lock().unwrap().is_none());
}

#[test]
fn a_value_is_dropped_once_with_its_place() {
    let drops = Cell::new(0);
    struct Counted<'a>(&'a Cell<u32>);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut lock = abaca::sync::OnceLock::new();
    assert!(lock.set(Counted(&drops)).is_ok());
    assert!(lock.set(Counted(&drops)).is_err());
    assert_eq!(drops.get(), 1);
    drop(lock.take());
    assert_eq!(drops.get(), 2);
    assert!(lock.set(Counted(&drops)).is_ok());
    drop(lock);
    assert_eq!(drops.get(), 3);
    drop(abaca::sync::OnceLock::<Counted<'_>>::new());
    assert_eq!(drops.get(), 3);
}
