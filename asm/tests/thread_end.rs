//! Coroutines that are kept in thread-locals: at the thread's end they do not go on, in whatever order all is destroyed.

use std::cell::{Cell, RefCell};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use abaca_asm::coroutine::generator::Generator;
use abaca_asm::coroutine::{Coroutine, scope};

/// One test at a time counts.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static KEPT: RefCell<Vec<Coroutine<(), (), ()>>> = const { RefCell::new(Vec::new()) };
    static ITEMS: RefCell<Option<Generator<u32>>> = const { RefCell::new(None) };
    static KEY: Value = Value(vec![42; 64]);
    static OTHER: Value = Value(vec![42; 64]);
}

static LOOKS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

struct Value(Vec<u64>);

/// Says what it sees when it is dropped.
struct Look<'a>(&'a Value);

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let churn: Vec<Vec<u64>> = (0..64).map(|n| vec![n; 64]).collect();
        eprintln!("looked");
        LOOKS.lock().unwrap().push(self.0.0[32]);
        drop(churn);
    }
}

fn suspended_in_key() -> Coroutine<(), (), ()> {
    let mut coroutine = Coroutine::new(|yielder, ()| {
        KEY.with(|value| {
            let _look = Look(value);
            yielder.suspend(());
        });
    });
    coroutine.resume(());
    coroutine
}

/// The values that coroutines see which go on, during the life and at the end of a thread that runs `life`.
fn seen(life: impl FnOnce() + Send + 'static) -> Vec<u64> {
    thread::spawn(life).join().unwrap();
    std::mem::take(&mut *LOOKS.lock().unwrap())
}

#[test]
fn a_coroutine_in_a_thread_local_does_not_unwind_at_the_threads_end() {
    let _turn = TURN.lock();
    let keep = || KEPT.with_borrow_mut(|kept| kept.push(suspended_in_key()));
    let first = || _ = Coroutine::<(), (), ()>::new(|_, ()| ()).resume(());
    // The keeper is destroyed last.
    assert_eq!(
        seen(move || {
            KEPT.with(|_| ());
            keep();
        }),
        []
    );
    // It is older than the value, and younger than the thread's first coroutine.
    assert_eq!(
        seen(move || {
            first();
            KEPT.with(|_| ());
            keep();
            keep();
        }),
        []
    );
    // It is the first to be destroyed.
    assert_eq!(
        seen(move || {
            let coroutine = suspended_in_key();
            KEPT.with_borrow_mut(|kept| kept.push(coroutine));
        }),
        []
    );
    // Moved by a destructor.
    struct Move(Option<Coroutine<(), (), ()>>);
    impl Drop for Move {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    thread_local!(static MOVE: RefCell<Move> = const { RefCell::new(Move(None)) });
    assert_eq!(
        seen(move || {
            first();
            MOVE.with(|_| ());
            MOVE.with_borrow_mut(|place| place.0 = Some(suspended_in_key()));
        }),
        []
    );
}

#[test]
fn a_generator_in_a_thread_local_does_not_unwind_at_the_threads_end() {
    let _turn = TURN.lock();
    assert_eq!(
        seen(|| {
            ITEMS.with(|_| ());
            let mut items = Generator::new(|items| {
                KEY.with(|value| {
                    let _look = Look(value);
                    (0..10).for_each(|n| items.suspend(n));
                });
            });
            assert_eq!(items.next(), Some(0));
            ITEMS.set(Some(items));
        }),
        []
    );
}

#[test]
fn coroutines_that_end_before_their_thread_unwind() {
    let _turn = TURN.lock();
    assert_eq!(
        seen(|| {
            KEPT.with_borrow_mut(|kept| kept.push(suspended_in_key()));
            KEPT.with_borrow_mut(Vec::clear);
            drop(suspended_in_key());
        }),
        [42, 42]
    );
}

#[test]
fn destructors_at_the_threads_end_may_use_coroutines_of_their_own() {
    struct Busy;
    impl Drop for Busy {
        fn drop(&mut self) {
            let look = Cell::new(false);
            // A scoped one is unwound also here, since it borrows.
            scope(
                |yielder, ()| {
                    struct Set<'a>(&'a Cell<bool>);
                    impl Drop for Set<'_> {
                        fn drop(&mut self) {
                            self.0.set(true);
                        }
                    }
                    let _set = Set(&look);
                    yielder.suspend(1);
                },
                |mut coroutine| assert_eq!(coroutine.next(), Some(1)),
            );
            assert!(look.get());
            assert_eq!(Generator::new(|items| (0..10).for_each(|n| items.suspend(n))).sum::<u32>(), 45);
            LOOKS.lock().unwrap().push(7);
        }
    }
    thread_local!(static BUSY: Busy = const { Busy });
    let _turn = TURN.lock();
    assert_eq!(seen(|| BUSY.with(|_| ())), [7]);
    assert_eq!(
        seen(|| {
            BUSY.with(|_| ());
            // Older ones are known to have come to their end.
            drop(suspended_in_key());
        }),
        [42, 7]
    );
}

/// Runs the named test of this binary again, in a process of its own, where `ROLE` is set.
fn in_child(test: &str) -> std::process::Output {
    let this = std::env::current_exe().unwrap();
    let mut child = Command::new(this);
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("ROLE", "child");
    child.output().unwrap()
}

#[test]
fn a_destructor_that_resumes_one_at_the_threads_end_aborts_the_process() {
    struct Resume(Option<Coroutine<(), (), ()>>);
    impl Drop for Resume {
        fn drop(&mut self) {
            self.0.as_mut().unwrap().resume(());
        }
    }
    thread_local!(static RESUME: RefCell<Option<Resume>> = const { RefCell::new(None) });
    if std::env::var_os("ROLE").is_some() {
        let thread = thread::spawn(|| {
            RESUME.with(|_| ());
            RESUME.set(Some(Resume(Some(suspended_in_key()))));
        });
        thread.join().unwrap();
        return;
    }
    let output = in_child("a_destructor_that_resumes_one_at_the_threads_end_aborts_the_process");
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cannot be resumed by a destructor at the end of its thread"), "{text}");
}

#[test]
fn the_main_threads_end_is_one_as_well() {
    if std::env::var_os("ROLE").is_some() {
        // With one test thread the harness runs this on the main thread, where a panic would not be seen.
        KEPT.with(|_| ());
        KEPT.with_borrow_mut(|kept| kept.push(suspended_in_key()));
        OTHER.with(|_| ());
        println!("kept");
        std::process::exit(0);
    }
    let output = in_child("the_main_threads_end_is_one_as_well");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("kept"), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("looked"), "{output:?}");
}
