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

/// The functions that called this one, innermost first, as a profiler finds them that follows frame pointers.
#[inline(never)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn functions_by_frame_pointers() -> Vec<usize> {
    unsafe extern "C" {
        fn _Unwind_FindEnclosingFunction(pc: *mut std::ffi::c_void) -> *mut std::ffi::c_void;
    }
    let mut at: usize;
    // SAFETY: reads a register.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, rbp", out(reg) at, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!("mov {}, x29", out(reg) at, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv64")]
        std::arch::asm!("addi {}, s0, -16", out(reg) at, options(nomem, nostack, preserves_flags));
    }
    let mut functions = Vec::new();
    for _ in 0..64 {
        let mut frame = [0_usize; 2];
        let local = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: 16 };
        let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(at), iov_len: 16 };
        // SAFETY: the kernel copies, and says so if it cannot. Without frame pointers the address may be anything.
        if unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) }
            != 16
        {
            break;
        }
        // SAFETY: reads the tables of the program.
        let function =
            unsafe { _Unwind_FindEnclosingFunction(std::ptr::without_provenance_mut(frame[1])) }.addr();
        functions.push(function);
        at = frame[0].wrapping_sub(if cfg!(target_arch = "riscv64") { 16 } else { 0 });
    }
    functions
}

#[inline(never)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn has_frame_pointers() -> bool {
    std::hint::black_box(functions_by_frame_pointers()).first()
        == Some(&(has_frame_pointers as fn() -> bool as usize))
}

#[inline(never)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn watches(yielder: &Yielder<(), Vec<usize>>, (): ()) {
    for _ in 0..3 {
        yielder.suspend(functions_by_frame_pointers());
    }
}

#[inline(never)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn resumer_of<const NUMBER: usize>(coroutine: &mut Coroutine<(), Vec<usize>, ()>) -> (Vec<usize>, usize) {
    (coroutine.resume(()).into_yield().expect("it suspends"), NUMBER)
}

/// Only in a build with frame pointers: `-C force-frame-pointers=yes`, as the tests of the other guard have it.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
#[cfg_attr(any(abaca_asan, abaca_tsan, abaca_corosensei), ignore = "its chain ends with the coroutine")]
fn frame_pointers_lead_through_a_coroutine_to_the_resumer_of_the_moment() {
    type Resumer = fn(&mut Coroutine<(), Vec<usize>, ()>) -> (Vec<usize>, usize);
    if !has_frame_pointers() {
        return;
    }
    let mut coroutine = Coroutine::new(watches);
    let resumers = [resumer_of::<1> as Resumer, resumer_of::<2>, resumer_of::<1>];
    for resumer in resumers {
        let (functions, number) = resumer(&mut coroutine);
        let place = |function: usize| functions.iter().position(|other| *other == function);
        let body = place(watches as fn(&Yielder<(), Vec<usize>>, ()) as usize);
        let test = frame_pointers_lead_through_a_coroutine_to_the_resumer_of_the_moment as fn() as usize;
        let places = [body, place(resumer as usize), place(test)];
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{number}: {places:?} of {functions:x?}"
        );
        let others = resumers.iter().filter(|other| **other as usize != resumer as usize);
        assert!(
            others.into_iter().all(|other| place(*other as usize).is_none()),
            "{number}: only who resumed it"
        );
    }
}
