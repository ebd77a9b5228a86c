//! All hooks, in one table that no linker leaves out: with several units of code, a linker that scans an archive takes only the
//! objects that define what is missing at that moment.

use crate::{calls, descriptors, threads};

/// A hook's address, and its name.
#[derive(Clone, Copy)]
pub(crate) struct Hook(pub(crate) *const (), pub(crate) &'static str);

// An address of a function is never followed here.
#[expect(unsafe_code, reason = "addresses of functions are the same for all threads")]
// SAFETY: the address of a function is a constant.
unsafe impl Sync for Hook {}

/// See the module's documentation.
#[used]
static HOOKS: [&[&[Hook]]; 3] = [calls::HOOKS, descriptors::HOOKS, threads::HOOKS];

/// Makes the linker take this file's object, and with it all hooks.
#[inline(never)]
pub(crate) fn keep() {
    std::hint::black_box(&HOOKS);
}

/// The names of all hooks. For tests.
#[doc(hidden)]
pub fn hook_names() -> impl Iterator<Item = &'static str> {
    HOOKS.into_iter().flatten().flat_map(|hooks| hooks.iter().map(|hook| hook.1))
}
