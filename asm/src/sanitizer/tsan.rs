//! ThreadSanitizer's side: it keeps a history and a shadow call stack for each fiber, and is told which one runs.

use core::ffi::{c_uint, c_void};
use core::ptr;

unsafe extern "C" {
    fn __tsan_get_current_fiber() -> *mut c_void;
    fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
    fn __tsan_destroy_fiber(fiber: *mut c_void);
    fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
}

/// The sanitizer's handle of a suspended computation.
pub(super) struct Fiber(*mut c_void);

impl Fiber {
    pub(super) fn current() -> Self {
        // SAFETY: has no preconditions.
        Self(unsafe { __tsan_get_current_fiber() })
    }

    pub(super) fn new(_top: *mut u8) -> Self {
        // SAFETY: has no preconditions.
        Self(unsafe { __tsan_create_fiber(0) })
    }
}

/// The handle of a fiber that has ended. It cannot be destroyed before the switch away from it.
#[derive(Clone, Copy)]
pub(super) struct Remains(*mut c_void);

impl Remains {
    pub(super) const NONE: Self = Self(ptr::null_mut());

    pub(super) fn of_current() -> Self {
        Self(Fiber::current().0)
    }
}

/// Announces a switch to `to`. What happened before it happens before everything after it.
///
/// # Safety
///
/// The switch follows at once.
#[sanitize(thread = "off")]
pub(super) unsafe fn before_switch(_own: Option<&mut Fiber>, to: &Fiber) {
    // SAFETY: a suspended computation has the handle of a fiber that exists.
    unsafe { __tsan_switch_to_fiber(to.0, 0) };
}

/// Destroys what an ended fiber has left.
///
/// # Safety
///
/// `remains` are those of the fiber that we have just come from, if any.
#[sanitize(thread = "off")]
pub(super) unsafe fn after_switch(_own: Option<&Fiber>, _left: Option<&mut Fiber>, remains: Remains) {
    if !remains.0.is_null() {
        // SAFETY: the caller's promise: it has ended and does not run.
        unsafe { __tsan_destroy_fiber(remains.0) };
    }
}
