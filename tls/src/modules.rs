//! The thread-local storage of the program and its libraries, as the dynamic loader tells of it.
#![expect(unsafe_code, reason = "reads what the dynamic loader tells")]

use core::ffi::{c_int, c_void};

use crate::pointer::{ThreadPointer, thread_pointer};

/// Where a module's variables are in the calling thread's block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// From the thread pointer, in bytes.
    pub(crate) offset: isize,
    pub(crate) bytes: usize,
    /// Of the library that has the function that was asked for.
    pub(crate) is_wanted: bool,
}

/// A module's variables in the calling thread, and what a new thread has in their place.
pub(crate) struct Storage {
    pub(crate) start: *mut u8,
    pub(crate) bytes: usize,
    /// The first bytes of a new thread's; the rest are zeroes.
    pub(crate) image: *const u8,
    pub(crate) image_bytes: usize,
    /// Whether the module holds the address that was asked for.
    is_wanted: bool,
}

/// Calls `visit` for each module that has storage in the calling thread, with the loader's list locked.
pub(crate) fn for_each(wanted: usize, visit: &mut dyn FnMut(Storage)) {
    struct Data<'a> {
        wanted: usize,
        visit: &'a mut dyn FnMut(Storage),
    }
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader passes what it was given, and its own record, for the time of the call.
        let (info, data) = unsafe { (&*info, &mut *data.cast::<Data<'_>>()) };
        if info.dlpi_tls_data.is_null() {
            return 0;
        }
        // SAFETY: the loader's table of so many entries.
        let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let address =
            |header: &libc::Elf64_Phdr| (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        let is_wanted = headers.iter().any(|header| {
            header.p_type == libc::PT_LOAD
                && data.wanted.wrapping_sub(address(header)) < header.p_memsz as usize
        });
        if let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_TLS) {
            (data.visit)(Storage {
                start: info.dlpi_tls_data.cast(),
                bytes: header.p_memsz as usize,
                image: core::ptr::with_exposed_provenance(address(header)),
                image_bytes: header.p_filesz as usize,
                is_wanted,
            });
        }
        0
    }
    let mut data = Data { wanted, visit };
    // SAFETY: the function is as above, and gets the data that it expects. It does not unwind: the visitors do not panic.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut data).cast()) };
}

/// The segments of the calling thread; in a new thread, all that are in its block, and no others. Needs no memory if `into` has
/// room; what has none is left out, and the answer is false.
pub(crate) fn segments(wanted: usize, into: &mut Vec<Segment>) -> bool {
    let own = thread_pointer().address();
    let mut all = true;
    for_each(wanted, &mut |storage| {
        if into.len() == into.capacity() {
            all = false;
            return;
        }
        let offset = storage.start.addr().wrapping_sub(own).cast_signed();
        into.push(Segment { offset, bytes: storage.bytes, is_wanted: storage.is_wanted });
    });
    all
}

/// How many libraries were ever loaded. The number changes before anything of a new library can be used.
pub(crate) fn loads() -> u64 {
    unsafe extern "C" fn first(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader passes its own record, and the pointer to a u64 that it was given.
        unsafe { *data.cast::<u64>() = (*info).dlpi_adds };
        1
    }
    let mut loads = 0_u64;
    // SAFETY: the function is as above.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut loads).cast()) };
    loads
}

impl Segment {
    pub(crate) fn end(&self) -> isize {
        self.offset + self.bytes.cast_signed()
    }

    /// The words of the segment in the block of `pointer`: those that lie in it as a whole.
    pub(crate) fn words(&self) -> impl Iterator<Item = isize> + use<> {
        let first = self.offset.next_multiple_of_word();
        let count = (self.end() - first).max(0) / WORD;
        (0..count).map(move |index| first + index * WORD)
    }
}

pub(crate) const WORD: isize = size_of::<usize>().cast_signed();

trait NextMultiple {
    fn next_multiple_of_word(self) -> Self;
}

impl NextMultiple for isize {
    fn next_multiple_of_word(self) -> Self {
        (self + WORD - 1) & !(WORD - 1)
    }
}

/// A word of a block.
///
/// # Safety
///
/// `offset` is that of a word within the block that `pointer` points to.
pub(crate) unsafe fn word(pointer: ThreadPointer, offset: isize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { pointer.at::<usize>(offset).read_volatile() }
}
