//! What of glibc is known by symbols: where `struct pthread` keeps the few fields that matter, and two functions' worth of the end
//! of a thread. The offsets are those that glibc publishes for debuggers (libthread_db), so no table of versions is needed.
#![expect(unsafe_code, reason = "looks up symbols of libc and reads what they name")]

use core::ffi::{CStr, c_char, c_void};

use crate::pointer::thread_pointer;
use crate::unsupported::Unsupported;

/// A key of `pthread_key_create`, as libc keeps it.
#[repr(C)]
pub(crate) struct Key {
    /// Counts creations and deletions; a value belongs to the key if it was set under the same number.
    pub(crate) sequence: usize,
    pub(crate) destructor: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// The symbols of a glibc. Offsets are from the thread pointer, in bytes.
#[derive(Debug)]
pub(crate) struct Glibc {
    /// Major and minor.
    pub(crate) version: (u32, u32),
    /// `pthread_self()`.
    pub(crate) thread: isize,
    /// The size of `struct pthread`.
    pub(crate) record_bytes: usize,
    /// The id that mutexes keep of their owner, and that the kernel clears when a thread ends: u32.
    pub(crate) tid: isize,
    /// The state of cancellation, and the mark of `setuid`: u32.
    pub(crate) cancelling: isize,
    /// The table of the values of pthread keys: 32 pointers. The flag that any was set follows it: a byte.
    pub(crate) specific: isize,
    /// The entry of the list of all threads: two pointers. None if it is not known.
    pub(crate) list: Option<isize>,
    /// Where the block begins, below which there were frames of libc's thread. None if it is not known.
    pub(crate) lowest: Option<isize>,
    /// Where the kernel publishes the number of the processor, if it was asked to.
    pub(crate) rseq: Option<isize>,
    /// All keys.
    pub(crate) keys: *const Key,
    /// Runs what `__cxa_thread_atexit_impl` has registered in the calling thread.
    pub(crate) call_destructors: unsafe extern "C" fn(),
    /// Registers a destructor in the calling thread: function, argument, an address in the library that has the function.
    pub(crate) at_thread_exit:
        unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> i32,
    /// The calling thread's state of the resolver.
    pub(crate) resolver_state: unsafe extern "C" fn() -> *mut ResolverState,
    /// Closes the resolver's sockets, and lets go of its configuration.
    pub(crate) close_resolver: unsafe extern "C" fn(*mut ResolverState),
}

// SAFETY: the pointers are to libc's code and to its table of keys, which stay as long as the process.
unsafe impl Send for Glibc {}
// SAFETY: as above.
unsafe impl Sync for Glibc {}

/// The beginning of `struct __res_state` of `resolv.h`.
#[repr(C)]
pub(crate) struct ResolverState {
    retransmission: i32,
    retry: i32,
    /// 0 until the state is used.
    pub(crate) options: core::ffi::c_ulong,
}

/// The mark of `setuid` and its kind in `cancelhandling`: libc waits for a signal's handler to clear it.
pub(crate) const SETXID_BIT: u32 = 0x40;

/// The address of a symbol, wherever it is.
pub(crate) fn find(name: &'static CStr) -> Result<*mut c_void, Unsupported> {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    let name = name.to_str().expect("names are ASCII");
    if address.is_null() { Err(Unsupported::Symbol(name)) } else { Ok(address) }
}

/// Whether there is a symbol of this name.
pub(crate) fn exists(name: &'static CStr) -> bool {
    find(name).is_ok()
}

/// What libthread_db is told of a field: its size in bits, how many of them, and the offset in bytes.
fn field(name: &'static CStr, bits: u32) -> Result<isize, Unsupported> {
    // SAFETY: the symbols of this family are three u32.
    let [size, _, offset] = unsafe { find(name)?.cast::<[u32; 3]>().read() };
    if size == bits && offset < 8192 {
        Ok(offset as isize)
    } else {
        Err(Unsupported::Trial("a field of `struct pthread` has another size"))
    }
}

/// The size and the alignment of a block, libc's record included.
pub(crate) fn static_storage() -> Option<(usize, usize)> {
    let function = find(c"_dl_get_tls_static_info").ok()?;
    let (mut bytes, mut align) = (0_usize, 0_usize);
    // SAFETY: a function of the loader's with this signature, which sanitizers use as well.
    unsafe {
        let function =
            core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut usize, *mut usize)>(function);
        function(&raw mut bytes, &raw mut align);
    }
    Some((bytes, align))
}

impl Glibc {
    pub(crate) fn look_up() -> Result<Self, Unsupported> {
        let version = Self::version()?;
        if version < (2, 35) {
            return Err(Unsupported::OldGlibc(version.0, version.1));
        }
        // SAFETY: has no preconditions.
        let thread = unsafe { libc::pthread_self() } as usize;
        let thread = thread.wrapping_sub(thread_pointer().address()).cast_signed();
        let table = 32 * usize::BITS;
        let rseq_bytes = find(c"__rseq_size")?.cast::<u32>();
        let rseq_offset = find(c"__rseq_offset")?.cast::<isize>();
        // SAFETY: what libthread_db is told of the size of `struct pthread`: a u32.
        let record_bytes = unsafe { find(c"_thread_db_sizeof_pthread")?.cast::<u32>().read() } as usize;
        // SAFETY: public variables of glibc, of these types, constant once the process runs.
        let rseq = unsafe { (rseq_bytes.read() > 0).then(|| rseq_offset.read()) };
        // SAFETY: the symbols are of functions and of a table with these types: those of libc's public and private headers, which
        // are the same in all versions since 2.35. `trial.rs` tries each.
        unsafe {
            Ok(Self {
                version,
                thread,
                record_bytes,
                tid: thread + field(c"_thread_db_pthread_tid", 32)?,
                cancelling: thread + field(c"_thread_db_pthread_cancelhandling", 32)?,
                specific: thread + field(c"_thread_db_pthread_specific", table)?,
                list: field(c"_thread_db_pthread_list", 2 * usize::BITS).ok().map(|offset| thread + offset),
                lowest: Self::lowest(thread, record_bytes),
                rseq,
                keys: find(c"__pthread_keys")?.cast(),
                call_destructors: core::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(find(
                    c"__call_tls_dtors",
                )?),
                at_thread_exit: core::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> i32,
                >(find(c"__cxa_thread_atexit_impl")?),
                resolver_state: core::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn() -> *mut ResolverState,
                >(find(c"__res_state")?),
                close_resolver: core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut ResolverState)>(
                    find(c"__res_nclose")?,
                ),
            })
        }
    }

    /// The mark of `setuid` and its kind in the word at this offset; 0 if it is in another one.
    pub(crate) fn setxid_mark(&self, offset: isize) -> usize {
        let mut bytes = [0; size_of::<usize>()];
        match usize::try_from(self.cancelling - offset).ok().and_then(|at| bytes.get_mut(at..at + 4)) {
            Some(place) => place.copy_from_slice(&SETXID_BIT.to_ne_bytes()),
            None => return 0,
        }
        usize::from_ne_bytes(bytes)
    }

    /// Whether the address is in libc itself: its code or its static variables.
    pub(crate) fn holds(&self, address: usize) -> bool {
        let base = |address: usize| {
            let mut info = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
            // SAFETY: the loader looks the address up, and does not follow it. All zeroes are a valid value.
            unsafe {
                let found = libc::dladdr(core::ptr::without_provenance(address), info.as_mut_ptr());
                (found != 0).then(|| info.assume_init().dli_fbase)
            }
        };
        base(address).is_some_and(|found| Some(found) == base(self.at_thread_exit as *const () as usize))
    }

    /// Where the block begins: with libc's record, or with the variables below that, for which libc has reserved so much.
    fn lowest(thread: isize, record_bytes: usize) -> Option<isize> {
        if !cfg!(target_arch = "x86_64") {
            return Some(thread);
        }
        let (bytes, _) = static_storage()?;
        // The size is that of all, the record included.
        Some(thread + record_bytes.cast_signed() - bytes.cast_signed())
    }

    fn version() -> Result<(u32, u32), Unsupported> {
        let function = find(c"gnu_get_libc_version").map_err(|_| Unsupported::NotGlibc)?;
        // SAFETY: a public function of glibc with this signature; it returns a C string that stays.
        let text = unsafe {
            let function =
                core::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(function);
            CStr::from_ptr(function())
        };
        let text = text.to_str().unwrap_or("");
        let mut numbers = text.split('.').map_while(|part| part.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => Err(Unsupported::NotGlibc),
        }
    }
}
