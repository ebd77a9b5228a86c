//! ThreadSanitizer's side: it keeps a history and a shadow call stack for each fiber, and must be told which fiber
//! runs.

use core::ffi::{c_uint, c_void};
use core::ptr;

unsafe extern "C" {
    fn __tsan_get_current_fiber() -> *mut c_void;
    fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
    fn __tsan_destroy_fiber(fiber: *mut c_void);
    fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
    fn __tsan_func_entry(caller: *const c_void);
    fn __tsan_func_exit();
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

/// Announces nothing: see [`after_switch`].
///
/// # Safety
///
/// None is needed; the signature is AddressSanitizer's.
pub(super) unsafe fn before_switch(_own: Option<&mut Fiber>, _to: &Fiber) {}

/// Announces the switch that has just happened. What happened before it happens before everything after it.
///
/// Each instrumented function pushes itself on the shadow call stack of the current fiber and pops itself
/// when it returns, despite the attribute against instrumentation. So the frames of the arriving fiber that are there
/// move over with it: this function, which is never inlined, and below it the entry function if the fiber is fresh. A
/// fiber that was suspended in a switch has left the function that switches on its own shadow stack, where it finds it
/// again.
///
/// # Safety
///
/// `remains` are those of the fiber that was just left, if that has ended. The caller is the
/// function that switches, or the entry function if `is_fresh`.
#[inline(never)]
pub(super) unsafe fn after_switch(own: &Fiber, is_fresh: bool, _left: Option<&mut Fiber>, remains: Remains) {
    let own_frames = 1 + u32::from(is_fresh);
    // SAFETY: as many frames are popped as are there, and pushed again under some address of this module;
    // `own` exists, and a fiber that has ended does not run any more.
    unsafe {
        for _ in 0..own_frames {
            __tsan_func_exit();
        }
        __tsan_switch_to_fiber(own.0, 0);
        for _ in 0..own_frames {
            __tsan_func_entry(after_switch as *const c_void);
        }
        if !remains.0.is_null() {
            __tsan_destroy_fiber(remains.0);
        }
    }
}
