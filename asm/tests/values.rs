//! Values of every kind of size travel between a coroutine and its resumer.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use abaca_asm::coroutine::{Coroutine, CoroutineResult};

/// Counts its drops.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Sends the values in, has each sent back twice, the second time as the result, and compares.
fn there_and_back<T: Clone + Debug + PartialEq + 'static>(values: impl IntoIterator<Item = T>) {
    for value in values {
        let mut echo = Coroutine::<T, T, T>::new(|yielder, value| {
            let value = yielder.suspend(value);
            yielder.suspend(value)
        });
        assert_eq!(echo.resume(value.clone()), CoroutineResult::Yield(value.clone()));
        assert_eq!(echo.resume(value.clone()), CoroutineResult::Yield(value.clone()));
        assert_eq!(echo.resume(value.clone()), CoroutineResult::Return(value));
    }
}

#[test]
fn values_of_all_sizes_travel_whole() {
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(64))]
    struct Nothing;
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(64))]
    struct Aligned(u8);
    there_and_back([()]);
    there_and_back([Nothing]);
    there_and_back([Aligned(1), Aligned(2)]);
    there_and_back([true, false]);
    there_and_back([(1_u8, 0xabcd_u16), (255, 0)]);
    there_and_back([(1_u8, u32::MAX), (0, 7)]);
    there_and_back([0, 1, 2, u64::MAX]);
    there_and_back([1.5, f64::MIN]);
    there_and_back([None, Some(Box::new(3))]);
    there_and_back([Rc::new(String::from("shared"))]);
    there_and_back([u128::MAX]);
    there_and_back([vec![String::from("a"), String::from("b")]]);
    there_and_back([std::array::from_fn::<u64, 32, _>(|n| n as u64)]);
}

#[test]
fn an_input_that_is_refused_is_dropped_once() {
    let drops = Rc::new(Cell::new(0));
    let mut coroutine = Coroutine::<Counted, (), ()>::new(|_, _| ());
    coroutine.resume(Counted(Rc::clone(&drops)));
    assert_eq!(drops.get(), 1);
    for refused in 2..4 {
        let resume = AssertUnwindSafe(|| coroutine.resume(Counted(Rc::clone(&drops))));
        assert!(panic::catch_unwind(resume).is_err());
        assert_eq!(drops.get(), refused);
    }
}

#[test]
fn an_input_that_the_body_has_is_dropped_once_when_the_coroutine_is() {
    let drops = Rc::new(Cell::new(0));
    let mut coroutine = Coroutine::<[Rc<Counted>; 3], u8, ()>::new(|yielder, first| {
        let second = yielder.suspend(0);
        yielder.suspend(1);
        drop((first, second));
    });
    let three = || [(); 3].map(|()| Rc::new(Counted(Rc::clone(&drops))));
    coroutine.resume(three());
    coroutine.resume(three());
    assert_eq!(drops.get(), 0);
    drop(coroutine);
    assert_eq!(drops.get(), 6);
}
