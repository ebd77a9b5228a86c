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
        // The older value is still there. A value that was never made is made now, and dropped next.
        match self.0 {
            "second" => {
                assert_eq!(FIRST.with(|first| first.0), "first");
                assert_eq!(LATE.with(|late| late.0), "late");
                assert!(SECOND.try_with(|_| ()).is_err(), "its own value cannot be used any more");
            }
            "late" => assert!(LATE.try_with(|_| ()).is_err() && SECOND.try_with(|_| ()).is_err()),
            _ => assert!(LATE.try_with(|_| ()).is_err()),
        }
        DROPPED.lock().unwrap().push(self.0);
    }
}

abaca::fiber_local! {
    static FIRST: Logged = Logged("first");
    static SECOND: Logged = Logged("second");
    static LATE: Logged = Logged("late");
}

#[abaca::test]
fn values_are_dropped_newest_first_when_the_fiber_ends() {
    let handle = abaca::spawn(|| {
        FIRST.with(|_| ());
        SECOND.with(|_| ());
    });
    handle.join().unwrap();
    assert_eq!(std::mem::take(&mut *DROPPED.lock().unwrap()), ["second", "late", "first"]);
    // A plain thread's as well.
    let thread = std::thread::spawn(|| {
        FIRST.with(|_| ());
        SECOND.with(|_| ());
    });
    thread.join().unwrap();
    assert_eq!(*DROPPED.lock().unwrap(), ["second", "late", "first"]);
}

#[abaca::test(workers = 1)]
fn a_destructor_of_a_fiber_that_is_cancelled_blocks_to_its_end() {
    struct Slow(std::rc::Rc<Cell<u32>>);
    impl Drop for Slow {
        fn drop(&mut self) {
            abaca::yield_now();
            abaca::sleep(std::time::Duration::from_micros(1));
            self.0.set(self.0.get() + 1);
        }
    }
    abaca::fiber_local!(static SLOW: RefCell<Vec<Slow>> = const { RefCell::new(Vec::new()) });
    let done = std::rc::Rc::new(Cell::new(0));
    let slow = std::rc::Rc::clone(&done);
    let fiber = abaca::spawn_local(move || {
        SLOW.with_borrow_mut(|values| values.extend([(); 3].map(|()| Slow(std::rc::Rc::clone(&slow)))));
        abaca::current().cancel();
    });
    fiber.join().unwrap();
    assert_eq!(done.get(), 3);
}

abaca::fiber_local! {
    static UNSET: Cell<u32> = panic!("set it first");
    static UNSET_TEXT: RefCell<String> = panic!("set it first");
}

#[abaca::test]
fn set_does_not_run_the_initialiser() {
    UNSET.set(5);
    UNSET_TEXT.set("text".into());
    assert_eq!((UNSET.get(), UNSET_TEXT.take()), (5, "text".into()));
    let handle = abaca::spawn(|| UNSET.get());
    assert!(handle.join().is_err(), "get does");
}

abaca::fiber_local!(static RECURSIVE: Cell<u32> = {
    // A use of the key while its value is made makes another value, which the outer one replaces.
    thread_local!(static DEPTH: Cell<u32> = const { Cell::new(0) });
    let depth = DEPTH.replace(DEPTH.get() + 1);
    if depth == 0 {
        assert_eq!(RECURSIVE.get(), 11);
    }
    Cell::new(10 + depth)
});

#[abaca::test(workers = 1)]
fn an_initialiser_that_uses_its_own_key_wins_over_the_value_it_made_inside() {
    assert_eq!(RECURSIVE.with(Cell::get), 10);
    assert_eq!(RECURSIVE.get(), 10);
}

mod visible {
    abaca::fiber_local! {
        /// With an attribute and a visibility.
        pub(super) static ONE: u32 = const { 1 };
        pub(crate) static TWO: u32 = 2
    }
    abaca::fiber_local!(pub(super) static THREE: u32 = const { 3 });
    abaca::fiber_local!();
}

#[abaca::test]
fn the_macro_takes_every_form_of_thread_local() {
    let sum = visible::ONE.with(|n| *n) + visible::TWO.with(|n| *n) + visible::THREE.with(|n| *n);
    assert_eq!(sum, 6);
}

abaca::fiber_local!(static BUSY: RefCell<u32> = const { RefCell::new(0) });

#[abaca::test]
fn a_value_borrowed_over_a_park_is_not_another_fibers() {
    let handles: Vec<_> = (0..50_u32)
        .map(|n| {
            abaca::spawn(move || {
                BUSY.with_borrow_mut(|value| {
                    *value = n;
                    abaca::yield_now();
                    assert_eq!(*value, n);
                });
                BUSY.replace(0)
            })
        })
        .collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap() as usize, n);
    }
}
