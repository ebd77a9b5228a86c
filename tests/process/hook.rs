//! A panic hook is the process's: what it may call is tried in a child process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::panicking;
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::time::timeout;

use super::{in_child, is_child};

static HOOKS: AtomicUsize = AtomicUsize::new(0);

/// Panics, and looks at what std counts meanwhile.
fn panic_and_look() {
    let (in_drop, was_panicking) = (Cell::new(false), panicking());
    struct OnDrop<'a>(&'a Cell<bool>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            assert!(panicking(), "an unwinding in the hook has taken the count of the panic");
            assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
            assert!(panicking());
            self.0.set(true);
        }
    }
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _on_drop = OnDrop(&in_drop);
        panic!("on purpose");
    }));
    assert!(caught.is_err() && in_drop.get());
    assert_eq!(panicking(), was_panicking);
}

#[test]
fn a_timeout_and_a_token_in_a_panic_hook_end_its_waits() {
    const TEST: &str = "hook::a_timeout_and_a_token_in_a_panic_hook_end_its_waits";
    if !is_child() {
        let output = in_child(TEST);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    set_hook(Box::new(|_| {
        assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
        let token = CancellationToken::new();
        let ended = token.run_until_cancelled(|| {
            token.cancel();
            abaca::park();
        });
        assert!(ended.is_none() && panicking());
        HOOKS.fetch_add(1, SeqCst);
    }));
    panic_and_look();
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    let fibers: Vec<_> = (0..20).map(|_| runtime.spawn(panic_and_look)).collect();
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    runtime.run(|| {
        // A panic in a destructor that runs because of another one has its hook as well.
        let caught = catch_unwind(|| {
            struct Panics;
            impl Drop for Panics {
                fn drop(&mut self) {
                    panic_and_look();
                    assert!(panicking());
                }
            }
            let _panics = Panics;
            panic!("on purpose");
        });
        assert!(caught.is_err() && !panicking());
    });
    assert_eq!(HOOKS.load(SeqCst), 1 + 20 + 2);
    let _ = std::panic::take_hook();
}
