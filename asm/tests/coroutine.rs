//! Coroutines and generators: values, ends, panics, forced unwinding, nesting.
#![expect(unsafe_code, reason = "one test parks a fiber inside a coroutine")]

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use abaca_asm::coroutine::generator::Generator;
use abaca_asm::coroutine::{Coroutine, CoroutineResult, Yielder, scope};
use abaca_asm::stack::StackPool;
use abaca_asm::{Context, Exit, prepare, switch};

/// Counts its drops.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn counter() -> (Rc<Cell<u32>>, impl Fn() -> Counted + Clone) {
    let drops = Rc::new(Cell::new(0));
    let made = Rc::clone(&drops);
    (drops, move || Counted(Rc::clone(&made)))
}

fn message(payload: Box<dyn std::any::Any + Send>) -> &'static str {
    *payload.downcast().expect("the message of a panic without arguments")
}

#[test]
fn values_travel_in_and_out() {
    let mut coroutine = Coroutine::new(|yielder, first: String| {
        let second = yielder.suspend(first.len());
        let third = yielder.suspend(second.len());
        first + &second + &third
    });
    assert_eq!(coroutine.resume("one".into()), CoroutineResult::Yield(3));
    assert_eq!(coroutine.resume("three".into()), CoroutineResult::Yield(5));
    assert_eq!(coroutine.resume("four".into()), CoroutineResult::Return("onethreefour".into()));
    assert!(coroutine.is_done());
}

#[test]
fn large_values_travel_whole() {
    let mut coroutine = Coroutine::new(|yielder, mut values: [u64; 512]| {
        loop {
            values.reverse();
            values = yielder.suspend(values);
        }
    });
    let values: [u64; 512] = std::array::from_fn(|index| index as u64);
    for _ in 0..3 {
        let CoroutineResult::<[u64; 512], ()>::Yield(reversed) = coroutine.resume(values) else {
            panic!("it never ends");
        };
        assert!(reversed.iter().rev().eq(values.iter()));
    }
}

#[test]
fn a_body_with_a_large_alignment_is_aligned() {
    #[repr(align(256))]
    struct Aligned(u8);
    let aligned = Aligned(7);
    let mut coroutine = Coroutine::<(), (), (usize, u8)>::new(move |_, ()| {
        let aligned = &aligned;
        (std::ptr::from_ref(aligned).addr() % 256, aligned.0)
    });
    assert_eq!(coroutine.resume(()), CoroutineResult::Return((0, 7)));
}

#[test]
fn a_panic_goes_on_in_the_resumer() {
    let (drops, counted) = counter();
    let pool = Arc::new(StackPool::new(128 * 1024));
    let mut coroutine = Coroutine::with_pool(&pool, move |yielder: &Yielder<(), ()>, ()| {
        let _first = counted();
        yielder.suspend(());
        let _second = counted();
        panic!("from within");
    })
    .expect("a stack");
    assert_eq!(coroutine.resume(()), CoroutineResult::<(), ()>::Yield(()));
    let payload = panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).expect_err("it panics");
    assert_eq!(message(payload), "from within");
    assert!(coroutine.is_done());
    assert_eq!(drops.get(), 2);
    assert_eq!(pool.allocated(), 0);
    let payload = panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).expect_err("it has ended");
    assert_eq!(message(payload), "a coroutine that has ended cannot be resumed");
}

#[test]
fn a_panic_caught_inside_stays_inside() {
    let mut coroutine = Coroutine::<(), u32, u32>::new(|yielder, ()| {
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            yielder.suspend(1);
            panic!("contained");
        }));
        yielder.suspend(2);
        u32::from(caught.is_err())
    });
    assert_eq!(coroutine.resume(()), CoroutineResult::Yield(1));
    assert_eq!(coroutine.resume(()), CoroutineResult::Yield(2));
    assert_eq!(coroutine.resume(()), CoroutineResult::Return(1));
}

#[test]
fn dropping_a_suspended_coroutine_runs_its_destructors_once() {
    fn nest(yielder: &Yielder<(), ()>, counted: &dyn Fn() -> Counted, depth: u32) {
        let _here = counted();
        if depth == 0 {
            yielder.suspend(());
            unreachable!("it is dropped, not resumed");
        }
        nest(yielder, counted, depth - 1);
    }
    let (drops, counted) = counter();
    let pool = Arc::new(StackPool::new(128 * 1024));
    let body = move |yielder: &Yielder<(), ()>, ()| nest(yielder, &counted, 9);
    let mut coroutine = Coroutine::with_pool(&pool, body).expect("a stack");
    assert_eq!(coroutine.resume(()), CoroutineResult::Yield(()));
    assert_eq!((drops.get(), pool.allocated()), (0, 1));
    drop(coroutine);
    assert_eq!((drops.get(), pool.allocated()), (10, 0));
}

#[test]
fn dropping_a_coroutine_that_never_ran_drops_its_body() {
    let (drops, counted) = counter();
    let inside = counted();
    let pool = Arc::new(StackPool::new(64 * 1024));
    let body = move |_: &Yielder<(), ()>, ()| drop(inside);
    drop(Coroutine::with_pool(&pool, body).expect("a stack"));
    assert_eq!((drops.get(), pool.allocated()), (1, 0));
}

#[test]
fn an_ended_coroutine_drops_nothing_twice() {
    let (drops, counted) = counter();
    let inside = counted();
    let mut coroutine = Coroutine::<Counted, Counted, Counted>::new(move |yielder, input| {
        let _inside = inside;
        yielder.suspend(input)
    });
    let yielded = coroutine.resume(counted());
    assert_eq!(drops.get(), 0);
    drop(yielded);
    assert_eq!(drops.get(), 1);
    let returned = coroutine.resume(counted()).into_return().expect("it returns");
    assert_eq!(drops.get(), 2);
    drop(coroutine);
    assert_eq!(drops.get(), 2);
    drop(returned);
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_body_that_swallows_the_unwinding_is_unwound_again_at_its_next_suspension() {
    let (drops, counted) = counter();
    let attempts = Rc::new(Cell::new(0));
    let inner = Rc::clone(&attempts);
    let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder, ()| {
        let _alive = counted();
        for _ in 0..3 {
            inner.set(inner.get() + 1);
            let _ = panic::catch_unwind(AssertUnwindSafe(|| yielder.suspend(())));
        }
    });
    coroutine.resume(());
    drop(coroutine);
    assert_eq!((attempts.get(), drops.get()), (3, 1));
}

#[test]
fn a_value_that_panics_when_it_is_dropped_does_not_stop_the_unwinding() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let (drops, counted) = counter();
    let pool = Arc::new(StackPool::new(128 * 1024));
    let body = move |yielder: &Yielder<(), Option<Bomb>>, ()| {
        let _alive = counted();
        let _ = panic::catch_unwind(AssertUnwindSafe(|| yielder.suspend(None)));
        yielder.suspend(Some(Bomb));
    };
    let mut coroutine = Coroutine::with_pool(&pool, body).expect("a stack");
    assert!(coroutine.resume(()).into_yield().is_some());
    let payload = panic::catch_unwind(AssertUnwindSafe(|| drop(coroutine))).expect_err("it panics");
    assert_eq!(message(payload), "dropped");
    assert_eq!((drops.get(), pool.allocated()), (1, 0));
}

#[test]
fn payloads_that_panic_when_they_are_dropped_do_not_stop_the_unwinding() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload");
        }
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic::panic_any(Payload);
        }
    }
    let (drops, counted) = counter();
    let pool = Arc::new(StackPool::new(128 * 1024));
    let body = move |yielder: &Yielder<(), Option<Bomb>>, ()| {
        let _alive = counted();
        for value in [None, Some(Bomb), Some(Bomb)] {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| yielder.suspend(value)));
        }
    };
    let mut coroutine = Coroutine::with_pool(&pool, body).expect("a stack");
    assert!(coroutine.resume(()).into_yield().is_some());
    let payload = panic::catch_unwind(AssertUnwindSafe(|| drop(coroutine))).expect_err("it panics");
    assert!(payload.is::<Payload>());
    std::mem::forget(payload);
    assert_eq!((drops.get(), pool.allocated()), (1, 0));
}

#[test]
fn a_panic_during_the_unwinding_goes_on_in_the_drop() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            let _ = panic::catch_unwind(|| panic!("defused"));
        }
    }
    let mut coroutine = Coroutine::<(), (), ()>::new(|yielder, ()| {
        let _bomb = Bomb;
        if panic::catch_unwind(AssertUnwindSafe(|| yielder.suspend(()))).is_err() {
            panic!("instead");
        }
    });
    coroutine.resume(());
    let payload = panic::catch_unwind(AssertUnwindSafe(|| drop(coroutine))).expect_err("it panics");
    assert_eq!(message(payload), "instead");
}

#[test]
fn a_coroutine_is_unwound_while_its_owner_panics() {
    let (drops, counted) = counter();
    let owner = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder, ()| {
            let _alive = counted();
            yielder.suspend(());
        });
        coroutine.resume(());
        panic!("the owner");
    }));
    assert_eq!(message(owner.expect_err("it panics")), "the owner");
    assert_eq!(drops.get(), 1);
    assert!(!std::thread::panicking());
}

#[test]
fn a_forgotten_coroutine_keeps_its_stack_mapped() {
    let pool = Arc::new(StackPool::new(64 * 1024));
    let place = Rc::new(Cell::new(std::ptr::null::<u64>()));
    let inner = Rc::clone(&place);
    let body = move |yielder: &Yielder<(), ()>, ()| {
        let local = 0x5EED_u64;
        inner.set(&raw const local);
        yielder.suspend(());
    };
    let mut coroutine = Coroutine::with_pool(&pool, body).expect("a stack");
    coroutine.resume(());
    std::mem::forget(coroutine);
    // The forgotten handle holds a reference to the pool as well: drop it in the coroutine's stead.
    // SAFETY: there are exactly two references, of which one is forgotten.
    unsafe { Arc::decrement_strong_count(Arc::as_ptr(&pool)) };
    drop(pool);
    // SAFETY: the pool had to keep the stack, since its handle was neither given back nor dropped.
    assert_eq!(unsafe { place.get().read_volatile() }, 0x5EED);
}

#[test]
fn coroutines_nest() {
    let mut outer = Coroutine::<u32, u32, u32>::new(|outer, first| {
        let mut inner = Coroutine::<u32, u32, u32>::new(|inner, first| {
            let second = inner.suspend(first * 10);
            second * 100
        });
        let a = inner.resume(first).into_yield().expect("it suspends");
        let second = outer.suspend(a);
        inner.resume(second).into_return().expect("it ends")
    });
    assert_eq!(outer.resume(1), CoroutineResult::Yield(10));
    assert_eq!(outer.resume(2), CoroutineResult::Return(200));
}

#[test]
fn an_inner_coroutine_may_suspend_the_outer_one() {
    let mut outer = Coroutine::<u32, u32, u32>::new(|outer, first| {
        scope(
            |inner: &Yielder<u32, u32>, number: u32| {
                // Suspends the outer coroutine with the inner one on top of it.
                let number = outer.suspend(number + 1);
                inner.suspend(number + 10)
            },
            |mut inner| {
                let yielded = inner.resume(first).into_yield().expect("the inner one suspends");
                let number = outer.suspend(yielded);
                inner.resume(number).into_return().expect("the inner one ends")
            },
        )
    });
    assert_eq!(outer.resume(1), CoroutineResult::Yield(2));
    assert_eq!(outer.resume(5), CoroutineResult::Yield(15));
    assert_eq!(outer.resume(7), CoroutineResult::Return(7));
}

#[test]
fn dropping_the_outer_one_unwinds_the_inner_one_that_suspended_it() {
    let (drops, counted) = counter();
    let mut outer = Coroutine::<(), (), ()>::new(move |outer, ()| {
        let _in_outer = counted();
        scope(
            |_: &Yielder<(), ()>, ()| {
                let _in_inner = counted();
                outer.suspend(());
            },
            |mut inner| assert_eq!(inner.resume(()), CoroutineResult::Return(())),
        );
    });
    outer.resume(());
    assert_eq!(drops.get(), 0);
    drop(outer);
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_scoped_coroutine_borrows_and_is_unwound_at_the_end() {
    let (drops, counted) = counter();
    let log = RefCell::new(Vec::new());
    let last = scope(
        |yielder, start: u32| {
            let _alive = counted();
            let mut number = start;
            loop {
                log.borrow_mut().push(number);
                number = yielder.suspend(number * 2);
            }
        },
        |mut coroutine| {
            coroutine.resume(1);
            let CoroutineResult::<u32, ()>::Yield(last) = coroutine.resume(20) else {
                panic!("it never ends");
            };
            assert_eq!(drops.get(), 0);
            last
        },
    );
    assert_eq!((last, drops.get()), (40, 1));
    assert_eq!(log.into_inner(), [1, 20]);
}

#[test]
fn a_scoped_coroutine_is_unwound_when_its_driver_panics() {
    let (drops, counted) = counter();
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        scope(
            |yielder: &Yielder<(), ()>, ()| {
                let _alive = counted();
                yielder.suspend(());
            },
            |mut coroutine| {
                coroutine.resume(());
                panic!("the driver");
            },
        );
    }));
    assert_eq!(message(result.expect_err("it panics")), "the driver");
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_generator_is_a_fused_iterator() {
    let mut numbers = Generator::new(|numbers| (0..3).for_each(|number| numbers.suspend(number)));
    assert_eq!(numbers.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(numbers.next(), None);
    assert_eq!(numbers.next(), None);
}

#[test]
fn a_generator_that_panics_has_no_more_items() {
    let mut numbers = Generator::new(|numbers| {
        numbers.suspend(1);
        panic!("no second number");
    });
    assert_eq!(numbers.next(), Some(1));
    let payload = panic::catch_unwind(AssertUnwindSafe(|| numbers.next())).expect_err("it panics");
    assert_eq!(message(payload), "no second number");
    assert_eq!(numbers.next(), None);
}

#[test]
fn a_generator_dropped_early_is_unwound() {
    let (drops, counted) = counter();
    let mut forever = Generator::new(move |numbers| {
        let _alive = counted();
        for number in 0_u64.. {
            numbers.suspend(number);
        }
    });
    assert_eq!(forever.by_ref().take(5).sum::<u64>(), 10);
    assert_eq!(drops.get(), 0);
    drop(forever);
    assert_eq!(drops.get(), 1);
}

/// A fiber and the computation that continues it.
struct Fiber {
    own: Context,
    caller: Context,
}

/// Runs a coroutine whose body parks this fiber between its suspensions.
unsafe extern "C" fn fiber_with_a_coroutine(first: usize, fiber: *mut ()) -> Exit {
    let fiber = fiber.cast::<Fiber>();
    // SAFETY: the test continues the fiber only when it has parked, and keeps its `Fiber` until it has ended.
    let park = move |word: usize| unsafe { switch(&raw mut (*fiber).own, (*fiber).caller, word) };
    let mut coroutine = Coroutine::<usize, usize, usize>::new(move |yielder, number| {
        let woken_with = park(number + 1);
        let number = yielder.suspend(woken_with);
        park(number + 1)
    });
    let yielded = coroutine.resume(first).into_yield().expect("it suspends");
    let woken_with = park(yielded * 2);
    let returned = coroutine.resume(woken_with).into_return().expect("it ends");
    // SAFETY: the caller is suspended in the switch that continued us last.
    Exit { to: unsafe { (*fiber).caller }, word: returned }
}

#[test]
fn a_fiber_may_park_inside_a_coroutine() {
    let pool = StackPool::new(64 * 1024);
    let stack = pool.take().expect("a stack");
    let mut fiber = Fiber { own: Context::dangling(), caller: Context::dangling() };
    let fiber = &raw mut fiber;
    // SAFETY: the stack is fresh and outlives the fiber, which is continued only when it has parked.
    unsafe {
        (*fiber).own = prepare(stack.top(), fiber_with_a_coroutine, fiber.cast());
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 1), 2, "parked by the coroutine");
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 5), 10, "parked by the fiber");
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 7), 8, "parked by the coroutine again");
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 9), 9, "ended");
    }
    pool.give(stack);
}
