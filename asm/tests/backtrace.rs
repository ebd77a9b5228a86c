//! Backtraces: a fiber's ends at its entry function, a coroutine's goes on into the frame that resumed
//! it.
#![expect(unsafe_code, reason = "switching is unsafe")]

use std::backtrace::Backtrace;

use abaca_asm::coroutine::{Coroutine, Yielder};
use abaca_asm::stack::StackPool;
use abaca_asm::{Context, Exit, prepare, switch};

/// Where each of the names first stands in the backtrace, by line. Fails if one is missing.
fn places(trace: &str, names: &[&str]) -> Vec<usize> {
    let place = |name: &&str| {
        let place = trace.lines().position(|line| line.contains(name));
        place.unwrap_or_else(|| panic!("{name} is not in the backtrace:\n{trace}"))
    };
    names.iter().map(place).collect()
}

struct Fiber {
    caller: Context,
    own: Context,
    trace: String,
}

#[inline(never)]
fn deep_in_the_fiber() -> String {
    Backtrace::force_capture().to_string()
}

unsafe extern "C" fn entry_of_the_fiber(_: usize, fiber: *mut ()) -> Exit {
    // SAFETY: the test waits for us in `switch` and looks at the fiber afterwards.
    let fiber = unsafe { &mut *fiber.cast::<Fiber>() };
    fiber.trace = deep_in_the_fiber();
    Exit { to: fiber.caller, word: 0 }
}

#[inline(never)]
fn continue_the_fiber(fiber: *mut Fiber) {
    // SAFETY: the fiber is fresh, and its entry function comes back here.
    unsafe { switch(&raw mut (*fiber).caller, (*fiber).own, 0) };
}

#[test]
fn a_backtrace_in_a_fiber_ends_at_its_entry() {
    let pool = StackPool::new(256 * 1024);
    let stack = pool.take().expect("a stack");
    let mut fiber = Fiber { caller: Context::dangling(), own: Context::dangling(), trace: String::new() };
    // SAFETY: the stack is fresh and the fiber outlives its use of it.
    fiber.own = unsafe { prepare(stack.top(), entry_of_the_fiber, (&raw mut fiber).cast()) };
    continue_the_fiber(&raw mut fiber);
    pool.give(stack);

    let places = places(&fiber.trace, &["deep_in_the_fiber", "entry_of_the_fiber"]);
    assert!(places.is_sorted(), "innermost first:\n{}", fiber.trace);
    if cfg!(not(abaca_corosensei)) {
        let last = fiber.trace.lines().rfind(|line| !line.trim_start().starts_with("at "));
        assert!(last.is_some_and(|line| line.contains("fiber_start")), "ends at the entry:\n{}", fiber.trace);
        assert!(!fiber.trace.contains("continue_the_fiber"), "not beyond its start:\n{}", fiber.trace);
    }
}

#[inline(never)]
fn deep_in_the_coroutine(yielder: &Yielder<(), String>) {
    yielder.suspend(Backtrace::force_capture().to_string());
    yielder.suspend(Backtrace::force_capture().to_string());
}

#[inline(never)]
fn body_of_the_coroutine(yielder: &Yielder<(), String>, (): ()) {
    deep_in_the_coroutine(yielder);
    // Or it would be a jump.
    std::hint::black_box(());
}

#[inline(never)]
fn first_resumer(coroutine: &mut Coroutine<(), String, ()>) -> String {
    std::hint::black_box(coroutine.resume(()).into_yield().expect("it suspends"))
}

#[inline(never)]
fn second_resumer(coroutine: &mut Coroutine<(), String, ()>) -> String {
    std::hint::black_box(coroutine.resume(()).into_yield().expect("it suspends"))
}

#[test]
#[cfg_attr(any(abaca_asan, abaca_tsan), ignore = "a sanitizer's context is not what an unwinder can follow")]
fn a_backtrace_in_a_coroutine_reaches_the_resumer_of_the_moment() {
    let mut coroutine = Coroutine::new(body_of_the_coroutine);
    for resumer in ["first_resumer", "second_resumer"] {
        let trace = match resumer {
            "first_resumer" => first_resumer(&mut coroutine),
            _ => second_resumer(&mut coroutine),
        };
        let test = "reaches_the_resumer_of_the_moment";
        let inside = ["deep_in_the_coroutine", "body_of_the_coroutine"];
        let places = places(&trace, &[inside[0], inside[1], resumer, test]);
        assert!(places.is_sorted(), "innermost first:\n{trace}");
        assert_eq!(trace.contains("first_resumer"), resumer == "first_resumer", "{trace}");
    }
}

#[test]
#[cfg_attr(any(abaca_asan, abaca_tsan), ignore = "a sanitizer's context is not what an unwinder can follow")]
fn a_backtrace_goes_through_nested_coroutines() {
    let mut outer = Coroutine::<(), String, ()>::new(|outer, ()| {
        let mut inner = Coroutine::new(body_of_the_coroutine);
        outer.suspend(second_resumer(&mut inner));
    });
    let trace = first_resumer(&mut outer);
    // On the corosensei backend every coroutine is resumed by the thread's own stack.
    let resumers: &[&str] =
        if cfg!(abaca_corosensei) { &["first_resumer"] } else { &["second_resumer", "first_resumer"] };
    let names: Vec<&str> = ["deep_in_the_coroutine", "body_of_the_coroutine"]
        .into_iter()
        .chain(resumers.iter().copied())
        .collect();
    assert!(places(&trace, &names).is_sorted(), "innermost first:\n{trace}");
}
