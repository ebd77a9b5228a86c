//! What of libc's private functions makes a block without a thread, where the glibc is one whose way with threads is known.
//!
//! The functions are those by which libc's own `pthread_create` makes a thread's variables. They are exported, since libc and the
//! loader are two files.
#![expect(unsafe_code, reason = "looks up functions of the loader's")]

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::null_mut;

use crate::glibc::{self, Glibc};
use crate::pointer::ThreadPointer;

/// The versions whose sources were read. In all of them libc adds to its list of threads at the head only, takes a lock for each walk,
/// and takes that lock whenever a thread with a stack of libc's is to be made.
const FIRST: (u32, u32) = (2, 35);
const LAST: (u32, u32) = (2, 43);

type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    extern "C" fn(*mut c_void) -> *mut c_void,
    *mut c_void,
) -> c_int;

/// The functions, and what is known of their results.
#[derive(Debug)]
pub(crate) struct Loader {
    /// Gives the block at the thread pointer its table of variables, and its variables their first values. Null if there is no memory.
    allocate: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    /// Frees the table, and the variables that were allocated later. The block is not freed if the second argument is false.
    free: unsafe extern "C" fn(*mut c_void, bool),
    /// libc's own `pthread_create`, whatever has taken its name.
    create: Create,
    /// Of the thread pointer.
    pub(crate) align: usize,
    /// Where the entry of libc's list of threads is, from the thread pointer.
    pub(crate) list: isize,
}

/// Where the table of variables is, from the thread pointer: by the ABI of x86_64.
pub(crate) const TABLE: isize = 8;

impl Loader {
    /// # Errors
    ///
    /// The reason why blocks are made by threads.
    pub(crate) fn look_up(glibc: &Glibc) -> Result<Self, &'static str> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the architecture is another than x86_64");
        }
        if !(FIRST..=LAST).contains(&glibc.version) {
            return Err("the version of glibc is none that was looked at");
        }
        let missing = "a private function of glibc's is missing";
        let (_, align) = glibc::static_storage().ok_or(missing)?;
        let list = glibc.list.ok_or(missing)?;
        let find = |name: &'static CStr| glibc::find(name).map_err(|_| missing);
        let (allocate, free) = (find(c"_dl_allocate_tls")?, find(c"_dl_deallocate_tls")?);
        // SAFETY: libc is loaded, and stays. The functions have these types in the versions above.
        unsafe {
            let libc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            if libc.is_null() {
                libc::dlerror();
                return Err(missing);
            }
            let create = libc::dlsym(libc, c"pthread_create".as_ptr());
            if create.is_null() || !glibc.holds(create.addr()) {
                return Err(missing);
            }
            Ok(Self {
                allocate: core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> *mut c_void>(
                    allocate,
                ),
                free: core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void, bool)>(free),
                create: core::mem::transmute::<*mut c_void, Create>(create),
                align,
                list,
            })
        }
    }

    /// Makes the table and the variables of a block. False if there is no memory.
    ///
    /// # Safety
    ///
    /// The memory around the pointer is a block's, which has no table yet and is used by nobody.
    pub(crate) unsafe fn make_variables(&self, block: ThreadPointer) -> bool {
        // SAFETY: the caller's promise.
        unsafe { !(self.allocate)(block.at(0)).is_null() }
    }

    /// # Safety
    ///
    /// The table was made, and nobody uses the block any more.
    pub(crate) unsafe fn free_variables(&self, block: ThreadPointer) {
        // SAFETY: the caller's promise.
        unsafe { (self.free)(block.at(0), false) };
    }

    /// Returns when all walks of libc's list of threads that are under way are over.
    ///
    /// They are made under a lock. libc takes it for a new thread's stack, before it asks the kernel for memory: here, for more
    /// than there are addresses. So it takes the lock, lets go of it, and makes nothing.
    pub(crate) fn wait_for_walks(&self) {
        extern "C" fn nothing(_: *mut c_void) -> *mut c_void {
            null_mut()
        }
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        // SAFETY: the attributes are initialised first and destroyed last. If there is a thread in spite of all, it is joined.
        unsafe {
            libc::pthread_attr_init(attributes.as_mut_ptr());
            libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), IMPOSSIBLE);
            let made = (self.create)(thread.as_mut_ptr(), attributes.as_ptr(), nothing, null_mut());
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            if made == 0 {
                libc::pthread_join(thread.assume_init(), null_mut());
            }
        }
    }
}

/// More bytes than a process has addresses.
const IMPOSSIBLE: usize = 1 << 62;
