//! Whether the program puts code on stacks, as C compilers do for nested functions of which somebody takes the address.

#![expect(unsafe_code, reason = "reads the headers of what the dynamic linker has loaded")]

use std::ffi::{c_int, c_void};

use libc::{PF_X, PT_GNU_STACK, dl_phdr_info, size_t};

/// Whether the program, or a library that it has begun with, is marked so. libc makes the stacks of its threads executable then.
pub(crate) fn has_code_on_stacks() -> bool {
    unsafe extern "C" fn look(object: *mut dl_phdr_info, _: size_t, _: *mut c_void) -> c_int {
        // SAFETY: the dynamic linker's promise, for the time of the call.
        let headers = unsafe {
            let object = &*object;
            std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into())
        };
        headers.iter().any(|header| header.p_type == PT_GNU_STACK && header.p_flags & PF_X != 0).into()
    }
    // SAFETY: the function reads what it is given. The first that is marked ends the walk.
    unsafe { libc::dl_iterate_phdr(Some(look), std::ptr::null_mut()) != 0 }
}
