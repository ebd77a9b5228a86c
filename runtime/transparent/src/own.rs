//! libc's own functions, whose names are ours: found by `dlsym(RTLD_NEXT)`.
//!
//! The look-up takes the loader's lock, which may be another thread's, who waits for the caller: in the constructor of a library that is being loaded. So
//! [`find_all`] makes all of them before there is a hook in use.

#![expect(unsafe_code, reason = "looks symbols up")]

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function that the next library in the order of look-up defines under a name of ours.
pub(crate) struct Own {
    name: &'static CStr,
    /// Null before the first look-up.
    address: AtomicPtr<()>,
}

impl Own {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The function's address.
    #[inline(always)]
    pub(crate) fn address(&self) -> *mut () {
        // Relaxed: the function is no memory of ours.
        let known = self.address.load(Ordering::Relaxed);
        if known.is_null() { self.find() } else { known }
    }

    /// Looks the function up. A program that calls what its libc does not have could not be linked without this crate, so it ends.
    #[cold]
    fn find(&self) -> *mut () {
        match self.peek() {
            Some(address) => address,
            None => {
                eprintln!("abaca-transparent: libc has no function {}", self.name.to_string_lossy());
                std::process::abort();
            }
        }
    }

    /// The function's address; `None` if no library after this one defines it, as in a static binary.
    pub(crate) fn peek(&self) -> Option<*mut ()> {
        // SAFETY: the name ends in a zero byte.
        let address: *mut () = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) }.cast();
        self.address.store(address, Ordering::Relaxed);
        (!address.is_null()).then_some(address)
    }
}

unsafe extern "C" {
    // The linker's names for the ends of the section in which the macro below puts what it looks up.
    #[link_name = "__start_abaca_own"]
    static FIRST: u8;
    #[link_name = "__stop_abaca_own"]
    static END: u8;
}

/// Looks up the functions that hooks call. What libc does not have is looked for again by who calls it.
pub(crate) fn find_all() {
    let (first, end) = ((&raw const FIRST).cast::<Own>(), (&raw const END).cast::<Own>());
    // SAFETY: the section consists of such values, one after the other.
    let all = unsafe { std::slice::from_raw_parts(first, end.offset_from_unsigned(first)) };
    for own in all {
        own.peek();
    }
}

/// libc's own function of this name and type: `own!(fn close(c_int) -> c_int)`. `own!(point fn ..)` is a cancellation point, which may unwind
/// a caller that is no tail call of it, and has nothing to drop.
macro_rules! own {
    (fn $($function:tt)*) => { $crate::own::own!(@ "C" $($function)*) };
    (point fn $($function:tt)*) => { $crate::own::own!(@ "C-unwind" $($function)*) };
    (@ $abi:literal $name:ident($($t:ty),* $(,)?) -> $r:ty) => {{
        #[unsafe(link_section = "abaca_own")]
        static OWN: $crate::own::Own = $crate::own::Own::new(
            const { match ::std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            } },
        );
        #[inline(always)]
        fn of_type(address: *mut ()) -> unsafe extern $abi fn($($t),*) -> $r {
            // SAFETY: libc's documentation gives the function this type.
            unsafe { ::std::mem::transmute(address) }
        }
        of_type(OWN.address())
    }};
}
pub(crate) use own;
