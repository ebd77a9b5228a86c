//! Tells how a function's cleanup ends: by resuming the unwinding, or by ending the process.
//!
//! If a function must not unwind and has destructors to run, the unwinder sees an ordinary cleanup, at whose end the function
//! calls `core`'s `panic_cannot_unwind`, where other functions call `_Unwind_Resume`. Only the code tells them apart, so
//! the function is searched for calls. The search goes byte by byte (on x86-64), so it may take other bytes for a call, but
//! hardly for one to exactly this address. The addresses are found from sample functions in this file that call little else.
//!
//! On other architectures than x86-64 and AArch64 no function is known to end the process.

#![expect(unsafe_code, reason = "reads the code of functions, and the tables that say how long they are")]

use std::ffi::c_void;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dwarf::Reader;

/// The unwinder's `struct dwarf_eh_bases`.
#[repr(C)]
struct Bases {
    text: *const c_void,
    data: *const c_void,
    function: *const c_void,
}

unsafe extern "C" {
    fn _Unwind_Find_FDE(pc: *const c_void, bases: *mut Bases) -> *const u8;
}

/// The targets of a cleanup's last call. Each is a set of addresses, since a linker may make several ways to one function.
struct CallTargets {
    cannot_unwind: Vec<usize>,
    resume: Vec<usize>,
}

static TARGETS: LazyLock<CallTargets> = LazyLock::new(|| {
    let (first, second) = (calls(first_sample as *const ()), calls(second_sample as *const ()));
    let (third, fourth) = (calls(third_sample as *const ()), calls(fourth_sample as *const ()));
    let fifth = calls(fifth_sample as *const ());
    let both = |one: &[usize], other: &[usize]| {
        one.iter().copied().filter(|to| other.contains(to)).collect::<Vec<_>>()
    };
    let cannot_unwind = both(&first, &second);
    let mut resume = both(&third, &fourth);
    resume.retain(|to| !fifth.contains(to));
    CallTargets { cannot_unwind, resume }
});

/// A guard with a destructor of its own for each `N`.
struct Guard<'a, const N: usize>(&'a AtomicUsize);

impl<const N: usize> Drop for Guard<'_, N> {
    fn drop(&mut self) {
        self.0.store(N, Ordering::Relaxed);
    }
}

#[inline(never)]
extern "C" fn first_sample(call: extern "C-unwind" fn()) {
    call();
}

#[inline(never)]
extern "C" fn second_sample(call: extern "C-unwind" fn(usize) -> usize, with: usize) -> usize {
    call(with) ^ 1
}

#[inline(never)]
fn third_sample(call: fn(), place: &AtomicUsize) {
    let _guard = Guard::<3>(place);
    call();
}

#[inline(never)]
fn fourth_sample(call: fn(usize) -> usize, place: &AtomicUsize) -> usize {
    let _guard = Guard::<4>(place);
    call(5) ^ 1
}

#[inline(never)]
extern "C" fn fifth_sample(call: extern "C-unwind" fn(), place: &AtomicUsize) {
    let _guard = Guard::<5>(place);
    call();
}

/// A cache of results: the addresses of functions, with [`ENDS`] for those that end the process.
static KNOWN: [AtomicUsize; 256] = [const { AtomicUsize::new(0) }; 256];

const ENDS: usize = 1;

/// Whether the cleanups of the function that begins at `start` end the process.
pub(super) fn ends_the_process(start: usize) -> bool {
    if start & ENDS != 0 {
        return search(start);
    }
    let place = &KNOWN[start >> 4 & (KNOWN.len() - 1)];
    // Relaxed: the word is valid by itself.
    let known = place.load(Ordering::Relaxed);
    if known & !ENDS == start {
        return known & ENDS != 0;
    }
    let ends = search(start);
    place.store(start | usize::from(ends), Ordering::Relaxed);
    ends
}

fn search(start: usize) -> bool {
    let (mut ends, mut resumes) = (false, false);
    for_each_call(start, |to| {
        ends |= TARGETS.cannot_unwind.contains(&to);
        resumes |= TARGETS.resume.contains(&to);
    });
    // If there are both, a function that must not unwind was inlined into one that may.
    ends && !resumes
}

fn calls(function: *const ()) -> Vec<usize> {
    let mut all = Vec::new();
    for_each_call(function.addr(), |to| all.push(to));
    all
}

/// Calls `visit` with the target of each direct call of the function: its address, or that of a slot with the address.
fn for_each_call(start: usize, mut visit: impl FnMut(usize)) {
    let bytes = length(start);
    // SAFETY: this is the code of a function of this program, which has that length by its unwind tables. It stays mapped
    // while the function is on a stack, and code can be read on Linux.
    let code = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), bytes) };
    #[cfg(target_arch = "x86_64")]
    for at in 0..bytes {
        let (offset, distance) = match code[at..] {
            // call rel32; a call that does not return may be the last five bytes of the function.
            [0xe8, a, b, c, d, ..] => (1, [a, b, c, d]),
            // call [rip + rel32]
            [0xff, 0x15, a, b, c, d, ..] => (2, [a, b, c, d]),
            _ => continue,
        };
        let distance = i32::from_le_bytes(distance);
        visit((start + at + offset + 4).wrapping_add_signed(distance as isize));
    }
    #[cfg(target_arch = "aarch64")]
    for (at, word) in code.chunks_exact(4).enumerate() {
        let word = u32::from_le_bytes(word.try_into().expect("four bytes"));
        // bl imm26
        if word >> 26 == 0b10_0101 {
            let words = (((word << 6) as i32) >> 6) as isize;
            visit((start + 4 * at).wrapping_add_signed(4 * words));
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = (code, &mut visit);
}

/// The length of the function's code in bytes, by its frame description; 0 if that is not known.
///
/// ```text
///   description   u32 length, u32 distance back to the common part, start, bytes: both as encoded
///   common part   u32 length, u32 id, u8 version, augmentation, uleb128, sleb128, uleb128 return address;
///                 if the augmentation begins with z: uleb128 length, and for each letter after it what it says
/// ```
fn length(start: usize) -> usize {
    let mut bases = Bases { text: std::ptr::null(), data: std::ptr::null(), function: std::ptr::null() };
    // SAFETY: any address may be looked up, and `bases` is a live local.
    let description = unsafe { _Unwind_Find_FDE(std::ptr::without_provenance(start + 1), &raw mut bases) };
    if description.is_null() || bases.function.addr() != start {
        return 0;
    }
    // SAFETY: the unwinder returned a description, which leads to its common part; both have the layout shown above.
    unsafe {
        let mut reader = Reader { at: description.wrapping_add(4) };
        let back = reader.fixed(4);
        let common = description.wrapping_add(4).wrapping_sub(back);
        let encoding = Reader { at: common.wrapping_add(8) }.encoding_of_starts();
        reader.encoded(encoding);
        reader.encoded(encoding)
    }
}

#[cfg(all(test, not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_last_calls_are_found() {
        assert!(!TARGETS.cannot_unwind.is_empty() && !TARGETS.resume.is_empty());
        assert!(TARGETS.cannot_unwind.iter().all(|to| !TARGETS.resume.contains(to)));
    }

    #[test]
    fn a_function_with_destructors_that_must_not_unwind_is_told_from_one_that_may() {
        for _ in 0..2 {
            assert!(ends_the_process((fifth_sample as *const ()).addr()));
            assert!(!ends_the_process((third_sample as *const ()).addr()));
        }
    }
}
