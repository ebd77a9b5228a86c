//! The structures that libc's look-ups fill in, with addresses into a buffer, which move with it.

#![expect(unsafe_code, reason = "follows the addresses in structures of libc's")]

use std::ffi::{c_char, c_int};

use libc::{group, hostent, passwd, protoent, servent, spwd};

/// Where the bytes of a buffer have moved.
pub(super) struct Moved {
    pub(super) from: usize,
    pub(super) bytes: usize,
    pub(super) to: *mut c_char,
}

impl Moved {
    /// Corrects an address; false if it leads elsewhere.
    fn address<T>(&self, address: &mut *mut T) -> bool {
        let offset = address.addr().wrapping_sub(self.from);
        let is_inside = offset < self.bytes;
        if is_inside {
            *address = self.to.wrapping_add(offset).cast();
        }
        is_inside
    }

    /// Corrects a list of addresses that ends in a null.
    ///
    /// # Safety
    ///
    /// The list is in the buffer that has moved, or elsewhere.
    unsafe fn list(&self, list: &mut *mut *mut c_char) {
        if !self.address(list) {
            return;
        }
        let mut entry = *list;
        // SAFETY: the caller's promise: libc ends it with a null.
        unsafe {
            while !(*entry).is_null() {
                self.address(&mut *entry);
                entry = entry.add(1);
            }
        }
    }
}

/// A structure of libc's with addresses into a buffer.
///
/// # Safety
///
/// `follow` corrects all addresses.
pub(super) unsafe trait Entry: 'static {
    /// # Safety
    ///
    /// libc has filled the entry in, and the bytes of its buffer have moved there.
    unsafe fn follow(&mut self, moved: &Moved);
}

// SAFETY: these are its addresses.
unsafe impl Entry for passwd {
    unsafe fn follow(&mut self, moved: &Moved) {
        for address in
            [&mut self.pw_name, &mut self.pw_passwd, &mut self.pw_gecos, &mut self.pw_dir, &mut self.pw_shell]
        {
            moved.address(address);
        }
    }
}

// SAFETY: these are its addresses.
unsafe impl Entry for group {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.gr_name);
        moved.address(&mut self.gr_passwd);
        // SAFETY: the caller's promise.
        unsafe { moved.list(&mut self.gr_mem) };
    }
}

// SAFETY: these are its addresses.
unsafe impl Entry for hostent {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.h_name);
        // SAFETY: the caller's promise. The addresses of a host end in a null as well.
        unsafe {
            moved.list(&mut self.h_aliases);
            moved.list(&mut self.h_addr_list);
        }
    }
}

// SAFETY: these are its addresses.
unsafe impl Entry for servent {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.s_name);
        moved.address(&mut self.s_proto);
        // SAFETY: the caller's promise.
        unsafe { moved.list(&mut self.s_aliases) };
    }
}

// SAFETY: these are its addresses.
unsafe impl Entry for protoent {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.p_name);
        // SAFETY: the caller's promise.
        unsafe { moved.list(&mut self.p_aliases) };
    }
}

// SAFETY: these are its addresses.
unsafe impl Entry for spwd {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.sp_namp);
        moved.address(&mut self.sp_pwdp);
    }
}

/// `struct netent`.
#[repr(C)]
pub(super) struct Network {
    name: *mut c_char,
    aliases: *mut *mut c_char,
    family: c_int,
    number: u32,
}

// SAFETY: these are its addresses.
unsafe impl Entry for Network {
    unsafe fn follow(&mut self, moved: &Moved) {
        moved.address(&mut self.name);
        // SAFETY: the caller's promise.
        unsafe { moved.list(&mut self.aliases) };
    }
}
