//! The stack that a thread keeps for its next coroutine. One test, since the pool is the process's.

use std::mem;
use std::thread;

use abaca_asm::coroutine::{Coroutine, default_pool};

/// An address on the stack of a coroutine that ends at once.
fn where_one_runs() -> usize {
    let mut coroutine = Coroutine::<(), (), usize>::new(|_, ()| {
        let here = 0_u8;
        (&raw const here).addr()
    });
    coroutine.resume(()).into_return().expect("it ends at once")
}

#[test]
fn a_thread_keeps_the_stack_of_its_last_coroutine_until_it_asks_for_the_pool_or_ends() {
    assert_eq!(where_one_runs(), where_one_runs());
    assert_eq!(default_pool().usage().taken, 0);

    let several: Vec<Coroutine<(), (), ()>> = (0..4).map(|_| Coroutine::new(|_, ()| ())).collect();
    drop(several);
    // Asked on another thread, which keeps none.
    let taken = || thread::spawn(|| default_pool().usage().taken).join().expect("it counts");
    assert_eq!(taken(), 1);
    thread::spawn(where_one_runs).join().expect("it ends");
    assert_eq!(taken(), 1);
    assert_eq!(default_pool().usage().taken, 0);

    let mut leaked = Coroutine::<(), (), ()>::new(|yielder, ()| yielder.suspend(()));
    leaked.resume(());
    mem::forget(leaked);
    assert_ne!(where_one_runs(), 0);
    assert_eq!(default_pool().usage().taken, 1);
}
