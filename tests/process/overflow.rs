//! Overflows that are not the plain ones of a fiber's own recursion: of a coroutine's stack, and by frames that skip pages.

use std::os::unix::process::ExitStatusExt;

use abaca::coroutine::{Coroutine, generator::Generator};

use super::{SIGSEGV, in_child, is_child, overflow, stderr};

/// The named test's child dies by SIGSEGV, and says all of this.
fn expect(test: &str, parts: &[&str]) {
    assert!(!is_child(), "the child should have died");
    let output = in_child(&format!("overflow::{test}"));
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{output:?}");
    let text = stderr(&output);
    assert_eq!(text.matches("abaca: ").count(), 1, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_coroutines_overflow_in_a_fiber_names_both() {
    if is_child() {
        abaca::run(|| {
            let fiber = abaca::Builder::new().name("host".into()).spawn(|| {
                Coroutine::<(), (), u64>::new(|_, ()| overflow(0)).resume(()).into_return();
            });
            fiber.unwrap().join().unwrap();
        });
    }
    expect(
        "a_coroutines_overflow_in_a_fiber_names_both",
        &["a coroutine in fiber 'host' (FiberId(", "has overflowed its stack of", "Coroutine::with_pool"],
    );
}

#[test]
fn so_does_that_of_a_generator_in_a_coroutine_that_was_suspended_before() {
    if is_child() {
        abaca::run(|| {
            let fiber = abaca::Builder::new().name("host".into()).spawn(|| {
                let mut outer = Coroutine::<(), (), u64>::new(|yielder, ()| {
                    yielder.suspend(());
                    abaca::yield_now();
                    Generator::new(|yielder| yielder.suspend(overflow(0))).sum()
                });
                outer.resume(());
                abaca::yield_now();
                outer.resume(());
            });
            fiber.unwrap().join().unwrap();
        });
    }
    expect(
        "so_does_that_of_a_generator_in_a_coroutine_that_was_suspended_before",
        &["a coroutine in fiber 'host' (FiberId(", "has overflowed its stack of"],
    );
}

#[test]
fn a_fibers_own_overflow_is_its_own_though_it_has_a_coroutine() {
    if is_child() {
        abaca::run(|| {
            let fiber = abaca::Builder::new().name("host".into()).spawn(|| {
                let mut idle = Coroutine::<(), (), ()>::new(|yielder, ()| yielder.suspend(()));
                idle.resume(());
                overflow(0)
            });
            fiber.unwrap().join().unwrap();
        });
    }
    expect(
        "a_fibers_own_overflow_is_its_own_though_it_has_a_coroutine",
        &[
            "abaca: fiber 'host' (FiberId(",
            "has overflowed its stack of",
            "Builder::stack_size",
            "It was spawned at ",
            "process/overflow.rs:",
            "addr2line -f -C -e PROGRAM",
        ],
    );
}

#[test]
fn a_coroutines_overflow_on_a_plain_thread_is_reported() {
    if is_child() {
        // The runtime is what watches for faults.
        abaca::run(|| {
            let thread = std::thread::spawn(|| {
                Coroutine::<(), (), u64>::new(|_, ()| overflow(0)).resume(()).into_return()
            });
            abaca::blocking::run(|| thread.join()).unwrap();
        });
    }
    expect(
        "a_coroutines_overflow_on_a_plain_thread_is_reported",
        &["abaca: a coroutine has overflowed its stack of"],
    );
}

#[test]
fn what_fits_in_a_thread_fits_in_a_fiber() {
    /// Touches so many KiB of stack.
    #[inline(never)]
    fn dive(kib: usize) -> u8 {
        let bytes = std::hint::black_box([1_u8; 1024]);
        if kib == 0 { bytes[7] } else { dive(kib - 1).wrapping_add(bytes[9]) }
    }
    // Frames of a build with debug assertions are several times as large, and so are its stacks.
    let kib = if cfg!(debug_assertions) { 700 } else { 150 };
    let alone = std::thread::spawn(move || dive(kib)).join().unwrap();
    let in_fiber = move || {
        let mut coroutine = Coroutine::<(), (), u8>::new(move |_, ()| dive(kib));
        (dive(kib), coroutine.resume(()).into_return().unwrap())
    };
    assert_eq!(abaca::run(move || abaca::spawn(in_fiber).join().unwrap()), (alone, alone));
}

/// What C code does that was compiled without `-fstack-clash-protection`: frame after frame of so many bytes, of which
/// only the lowest is touched.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
#[expect(unsafe_code, reason = "moves the stack pointer past pages that it does not touch")]
fn descend(frame_bytes: usize) -> ! {
    // SAFETY: it uses nothing but stack below every frame, and ends by a fault on the guard: this is what is tested.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!(
            "2: sub rsp, {bytes}",
            "mov byte ptr [rsp], 1",
            "jmp 2b",
            bytes = in(reg) frame_bytes,
            options(noreturn)
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!(
            "2: sub sp, sp, {bytes}",
            "strb wzr, [sp]",
            "b 2b",
            bytes = in(reg) frame_bytes,
            options(noreturn)
        );
        #[cfg(target_arch = "riscv64")]
        std::arch::asm!(
            "2: sub sp, sp, {bytes}",
            "sb zero, 0(sp)",
            "j 2b",
            bytes = in(reg) frame_bytes,
            options(noreturn)
        );
    }
}

#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn no_frame_of_up_to_64_kib_steps_over_the_guard() {
    let test = "overflow::no_frame_of_up_to_64_kib_steps_over_the_guard";
    if let Ok(bytes) = std::env::var("FRAME_BYTES") {
        let frame_bytes = bytes.parse().unwrap();
        abaca::Runtime::builder().workers(1).build().unwrap().run(move || {
            let gate = std::sync::Arc::new(abaca::sync::Semaphore::new(0));
            // Below and above are neighbours, whose guards would catch what has stepped over the first.
            let neighbours = || {
                for _ in 0..8 {
                    let gate = std::sync::Arc::clone(&gate);
                    abaca_tests::begun(move || drop(gate.acquire()));
                }
            };
            neighbours();
            let victim = abaca::Builder::new().name("victim".into()).stack_size(128 * 1024);
            let victim = victim.spawn(move || {
                abaca::park();
                descend(frame_bytes)
            });
            let victim = victim.unwrap();
            neighbours();
            victim.fiber().unpark();
            let _: Result<(), _> = victim.join();
        });
    }
    for frame_bytes in [4096 + 16, 12 * 1024, 40 * 1024, 64 * 1024 - 16] {
        let mut command = super::command(test);
        let output = command.env("FRAME_BYTES", frame_bytes.to_string()).output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGSEGV), "{frame_bytes}: {output:?}");
        let text = stderr(&output);
        assert!(text.contains("abaca: fiber 'victim'"), "{frame_bytes}: {text}");
        assert!(text.contains("has overflowed its stack of"), "{frame_bytes}: {text}");
    }
}
