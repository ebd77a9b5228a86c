//! AddressSanitizer's side: it wants to know the bounds of the stack that is switched to, and keeps a "fake
//! stack" of frames whose use after return it detects, one for each fiber.

use core::ffi::c_void;
use core::ptr;

use crate::stack;

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(save: *mut *mut c_void, bottom: *const c_void, bytes: usize);
    fn __sanitizer_finish_switch_fiber(saved: *mut c_void, bottom: *mut *const c_void, bytes: *mut usize);
    fn __asan_unpoison_memory_region(start: *const c_void, bytes: usize);
}

/// The size that is assumed of a stack that comes from no pool.
const FOREIGN_STACK_BYTES: usize = 16 * 1024;

/// How many bytes the stack has below `top`.
fn bytes_below(top: *mut u8) -> usize {
    stack::bytes_below(top.addr()).unwrap_or(FOREIGN_STACK_BYTES)
}

/// The facts that the sanitizer needs when a suspended computation goes on.
pub(super) struct Fiber {
    /// Null, since it is unknown, from the suspension until the continued computation has arrived.
    bottom: *const c_void,
    bytes: usize,
    fake_stack: *mut c_void,
}

impl Fiber {
    pub(super) fn current() -> Self {
        Self { bottom: ptr::null(), bytes: 0, fake_stack: ptr::null_mut() }
    }

    pub(super) fn new(top: *mut u8) -> Self {
        let bytes = bytes_below(top);
        let bottom = top.wrapping_sub(bytes).cast::<c_void>().cast_const();
        // Frames that were abandoned on this stack have left their poison. SAFETY: changes nothing but the
        // sanitizer's opinion of memory that the caller of `prepare` has to itself.
        unsafe { __asan_unpoison_memory_region(bottom, bytes) };
        Self { bottom, bytes, fake_stack: ptr::null_mut() }
    }
}

/// The handle of a fiber that has ended: none, since the sanitizer destroys the fiber itself if no fake stack is saved.
#[derive(Clone, Copy)]
pub(super) struct Remains;

impl Remains {
    pub(super) const NONE: Self = Self;

    pub(super) fn of_current() -> Self {
        Self
    }
}

/// Announces a switch to `to`. `own` is absent if the fiber has ended.
///
/// # Safety
///
/// The switch follows at once, and [`after_switch`] on the other side.
#[sanitize(address = "off")]
pub(super) unsafe fn before_switch(own: Option<&mut Fiber>, to: &Fiber) {
    let save = match own {
        Some(own) => &raw mut own.fake_stack,
        None => ptr::null_mut(),
    };
    // SAFETY: the caller's promise.
    unsafe { __sanitizer_start_switch_fiber(save, to.bottom, to.bytes) };
}

/// Announces the arrival. `left` is absent if the computation that was left has ended.
///
/// # Safety
///
/// A switch that was announced by [`before_switch`] has just brought us here.
#[sanitize(address = "off")]
pub(super) unsafe fn after_switch(own: &Fiber, _is_fresh: bool, left: Option<&mut Fiber>, _: Remains) {
    let (mut bottom, mut bytes) = (ptr::null(), 0);
    // SAFETY: the caller's promise.
    unsafe { __sanitizer_finish_switch_fiber(own.fake_stack, &raw mut bottom, &raw mut bytes) };
    if let Some(left) = left {
        (left.bottom, left.bytes) = (bottom, bytes);
    }
}
