//! Fiber-local storage.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;

abaca::fiber_local! {
    static NUMBER: Cell<u32> = Cell::new(1);
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

#[abaca::test]
fn each_fiber_has_its_own_value() {
    NUMBER.set(10);
    TEXT.with_borrow_mut(|text| text.push_str("main"));
    let handles: Vec<_> = (0..100)
        .map(|n| {
            abaca::spawn(move || {
                assert_eq!(NUMBER.replace(n), 1);
                TEXT.set(n.to_string());
                abaca::yield_now();
                assert_eq!(TEXT.take(), n.to_string());
                NUMBER.get()
            })
        })
        .collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n as u32);
    }
    assert_eq!(NUMBER.get(), 10);
    TEXT.with_borrow(|text| assert_eq!(text, "main"));
}

#[test]
fn a_plain_thread_has_values_too() {
    NUMBER.set(3);
    assert_eq!(std::thread::spawn(|| NUMBER.get()).join().unwrap(), 1);
    assert_eq!(NUMBER.take(), 3);
}

static DROPPED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

struct Logged(&'static str);

impl Drop for Logged {
    fn drop(&mut self) {
        // The older value is still there, one that was never made is not to be had any more.
        if self.0 == "second" {
            assert_eq!(FIRST.with(|first| first.0), "first");
            assert!(NEVER.try_with(|_| ()).is_err());
        }
        DROPPED.lock().unwrap().push(self.0);
    }
}

abaca::fiber_local! {
    static FIRST: Logged = Logged("first");
    static SECOND: Logged = Logged("second");
    static NEVER: Logged = Logged("never");
}

#[abaca::test]
fn values_are_dropped_newest_first_when_the_fiber_ends() {
    let handle = abaca::spawn(|| {
        FIRST.with(|_| ());
        SECOND.with(|_| ());
    });
    handle.join().unwrap();
    assert_eq!(*DROPPED.lock().unwrap(), ["second", "first"]);
}
