//! The values of pthread keys in a block, and the end of them, as libc has it for a thread's.
//!
//! libc keeps the values in tables of 32: the first is part of `struct pthread`, the others are made when they are needed. A byte
//! says whether any value was ever set, so that a thread without values has nothing to look for.
#![expect(unsafe_code, reason = "reads and writes libc's record of a thread")]

use core::ffi::c_void;

use crate::glibc::Glibc;
use crate::pointer::ThreadPointer;

/// Values per table, and tables.
const TABLE: usize = 32;

/// How often the destructors run while they set new values: `PTHREAD_DESTRUCTOR_ITERATIONS` of `limits.h`.
pub(crate) const ROUNDS: usize = 4;

#[repr(C)]
struct Value {
    sequence: usize,
    data: *mut c_void,
}

/// The size of a table.
pub(crate) const TABLE_BYTES: isize = (TABLE * size_of::<Value>()).cast_signed();

/// The byte that says whether any value was set.
pub(crate) fn is_used(glibc: &Glibc, block: ThreadPointer) -> *mut u8 {
    block.at(glibc.specific + (TABLE * size_of::<usize>()).cast_signed())
}

/// Whether any value was set since the last [`run`] or [`clear`].
///
/// # Safety
///
/// `block` is the calling code's.
#[inline(always)]
pub(crate) unsafe fn any(glibc: &Glibc, block: ThreadPointer) -> bool {
    // SAFETY: a field of libc's record of the calling thread.
    unsafe { is_used(glibc, block).read() != 0 }
}

/// Calls `visit` with each place of a value that is not null, and the number of its key.
///
/// # Safety
///
/// As for [`any`].
unsafe fn for_each(glibc: &Glibc, block: ThreadPointer, mut visit: impl FnMut(*mut Value, usize)) {
    let tables = block.at::<*mut Value>(glibc.specific);
    for table in 0..TABLE {
        // SAFETY: 32 pointers, each null or to a table of 32 values. Read anew each time: a destructor may have made a table.
        unsafe {
            let values = tables.add(table).read();
            if values.is_null() {
                continue;
            }
            for index in 0..TABLE {
                let value = values.add(index);
                if !(*value).data.is_null() {
                    visit(value, table * TABLE + index);
                }
            }
        }
    }
}

/// One round of destructors: takes each value away, and passes it to the destructor of its key.
///
/// # Safety
///
/// As for [`any`]; the destructors may be called.
pub(crate) unsafe fn run(glibc: &Glibc, block: ThreadPointer) {
    // SAFETY: the fields of libc's record, in the order in which libc itself goes: the flag first, since destructors may set values.
    // A key that is deleted meanwhile is the program's to avoid, as with threads.
    unsafe {
        is_used(glibc, block).write(0);
        for_each(glibc, block, |value, number| {
            let data = core::mem::replace(&mut (*value).data, core::ptr::null_mut());
            let key = glibc.keys.add(number);
            if (*value).sequence == (*key).sequence
                && let Some(destructor) = (*key).destructor
            {
                destructor(data);
            }
        });
    }
}

/// Takes all values away.
///
/// # Safety
///
/// As for [`any`].
#[cold]
pub(crate) unsafe fn clear(glibc: &Glibc, block: ThreadPointer) {
    // SAFETY: as in `run`.
    unsafe {
        is_used(glibc, block).write(0);
        for_each(glibc, block, |value, _| (*value).data = core::ptr::null_mut());
    }
}
