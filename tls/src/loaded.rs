//! Libraries that are loaded by `dlopen` while the program runs, and their thread-local variables.
//!
//! Variables of fixed places ("initial-exec") are initialised by libc in all blocks, the template's included; the others
//! are allocated in a block when they are first used there. Both are given their first values by a reset. As long as no library was
//! loaded since the start this costs one comparison: libc's list of libraries is then as long as it was, which its last entry says.
//! That entry is kept from being unloaded.
//!
//! # The race with a `dlopen` that is under way
//!
//! `dlopen` counts a library before it initialises its variables in all threads. A reset that copied the template in between could
//! overwrite a variable that is initialised already by one that is not yet. So a reset reads the count before and after its copy.
//! If the count is one for which it is known that all `dlopen`s were over, and has not changed, then none has initialised anything
//! meanwhile. To know that, `dlopen` of the program itself is called: it takes the loader's lock, which `dlopen` holds
//! throughout.
#![expect(unsafe_code, reason = "reads the loader's list, and writes thread-local storage")]

use core::ffi::{c_char, c_void};
use core::ops::Range;
use core::ptr::null;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::modules::{self, Segment};
use crate::observe::run_in_new_thread;
use crate::per_process::PerProcess;
use crate::pointer::ThreadPointer;
use crate::support::Support;
use crate::unsupported::Unsupported;

/// The public part of `struct link_map` of `link.h`.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const c_char,
    dynamic: *const c_void,
    next: AtomicPtr<LinkMap>,
    previous: *mut LinkMap,
}

/// `struct r_debug` of `link.h`.
#[repr(C)]
struct Debug {
    version: i32,
    first: *const LinkMap,
}

/// The last library of the list at the time of the first look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastLibrary(*const LinkMap);

// SAFETY: the entry stays as long as the process, and is only read.
unsafe impl Send for LastLibrary {}
// SAFETY: as above.
unsafe impl Sync for LastLibrary {}

/// What is known of libraries that were loaded later.
#[derive(Debug, Default)]
struct Known {
    /// The count at which all that follows was learned.
    loads: u64,
    /// The segments of fixed places that were not there at the start.
    segments: Vec<Segment>,
}

static KNOWN: PerProcess<Known> = PerProcess::new(Known::default);

/// Finds the last library, and keeps it from being unloaded.
pub(crate) fn last_library() -> Result<LastLibrary, Unsupported> {
    // SAFETY: the name is a C string.
    let debug: *const Debug = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_r_debug".as_ptr()) }.cast();
    if debug.is_null() {
        return Err(Unsupported::Symbol("_r_debug"));
    }
    // SAFETY: the list as debuggers read it. Its entries are unlinked by `dlclose` only: a library is kept from that before its entry
    // is kept, and the list is read again if it has grown meanwhile.
    unsafe {
        loop {
            let mut last = (*debug).first;
            while let Some(next) = (*last).next.load(Ordering::Acquire).cast_const().as_ref() {
                last = next;
            }
            let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
            if *(*last).name != 0 {
                // That of the kernel has a name, too, and cannot be found by it; nor can it be unloaded.
                libc::dlopen((*last).name, flags);
                libc::dlerror();
            }
            if (*last).next.load(Ordering::Acquire).is_null() {
                return Ok(LastLibrary(last));
            }
        }
    }
}

/// Whether any library was loaded since, and not unloaded.
#[inline(always)]
pub(crate) fn any(support: &Support) -> bool {
    // SAFETY: the entry stays.
    unsafe { !(*support.last_library().0).next.load(Ordering::Relaxed).is_null() }
}

/// Gives the variables of all libraries that were loaded later, in the calling code's block, their first values.
///
/// # Safety
///
/// As for [`reset`](crate::reset()).
#[cold]
pub(crate) unsafe fn reset(support: &Support, block: ThreadPointer) {
    let mut known = KNOWN.lock();
    loop {
        let loads = modules::loads();
        if loads != known.loads {
            known.learn(support, loads);
        }
        for segment in &known.segments {
            let bytes = segment.bytes;
            // SAFETY: all blocks have the segment, since the library was loaded while they were there, or they are newer.
            unsafe {
                let (from, to) =
                    (support.template().at::<u8>(segment.offset), block.at::<u8>(segment.offset));
                core::ptr::copy_nonoverlapping(from, to, bytes);
            }
        }
        for &offset in support.last_library_words() {
            // SAFETY: a word of libc's. What it points to may be unloaded before it is used again.
            unsafe { block.at::<usize>(offset).write(support.template().at::<usize>(offset).read()) };
        }
        // SAFETY: the caller's promise.
        unsafe { reset_allocated(support, block) };
        if modules::loads() == loads {
            return;
        }
    }
}

impl Known {
    /// Learns what libraries there are. If that fails, the next reset tries again.
    fn learn(&mut self, support: &Support, loads: u64) {
        // SAFETY: takes the lock of the loader, and does nothing else.
        unsafe {
            let program = libc::dlopen(null(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            libc::dlclose(program);
        }
        let mut segments = Vec::with_capacity(1024);
        let looked = run_in_new_thread(&mut |_| {
            modules::segments(0, &mut segments);
        });
        if looked.is_ok() {
            segments.retain(|segment| support.segment_of(&(segment.offset..segment.end())).is_none());
            self.segments = segments;
            self.segments.shrink_to_fit();
            self.loads = loads;
        }
    }
}

/// Gives the variables that were allocated for the calling code's block when they were first used their first values.
///
/// # Safety
///
/// As for [`reset`](crate::reset()).
unsafe fn reset_allocated(support: &Support, block: ThreadPointer) {
    let fixed: Range<usize> = support.range_of(block);
    modules::for_each(0, &mut |storage| {
        if fixed.contains(&storage.start.addr()) {
            return;
        }
        // SAFETY: the loader says that these are the calling thread's variables, and what a new thread's are. It holds a lock, so
        // that the library is not unloaded meanwhile.
        unsafe {
            core::ptr::copy_nonoverlapping(storage.image, storage.start, storage.image_bytes);
            storage.start.add(storage.image_bytes).write_bytes(0, storage.bytes - storage.image_bytes);
        }
    });
}
