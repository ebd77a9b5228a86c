//! What each fiber's block of thread-local storage has of abaca's.

#![expect(unsafe_code, reason = "asks the loader")]

use libc::{PT_TLS, c_int, c_void, dl_iterate_phdr, dl_phdr_info, size_t};

/// Writes how many bytes the program's own thread-locals take: it comes first, before its libraries.
extern "C" fn first(program: *mut dl_phdr_info, _: size_t, bytes: *mut c_void) -> c_int {
    // SAFETY: the loader's headers, and the caller's number.
    unsafe {
        let headers = std::slice::from_raw_parts((*program).dlpi_phdr, (*program).dlpi_phnum.into());
        let storage = headers.iter().find(|header| header.p_type == PT_TLS);
        bytes.cast::<u64>().write(storage.map_or(0, |header| header.p_memsz));
    }
    1
}

/// The block lies above the fiber's first frames, and each thread-local makes it longer. With 960 bytes instead of 768, half of the connections that
/// wait for a request had their last frame on a page more (`benches/BARS.md`). What only a worker needs, or a fiber rarely, belongs in a box.
/// Here are two lines more, since the workspace's tests have the feature `tracing`, whose default subscriber is a thread-local.
#[test]
fn a_fibers_block_has_twelve_lines_of_the_programs_and_two_of_tracing() {
    let mut bytes = 0_u64;
    // SAFETY: the function takes this number.
    unsafe { dl_iterate_phdr(Some(first), (&raw mut bytes).cast()) };
    assert!((1..=768 + 2 * 64).contains(&bytes), "{bytes} bytes of thread-locals");
}
