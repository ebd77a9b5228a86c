//! The heap of the calling thread, grown in one piece for what many new fibers are about to allocate.
//!
//! An arena of glibc's that is not the process's first grows by as many pages as one allocation needs: a system call for nearly each page, and
//! a fault when that is touched. Neither is due for memory that the arena had before.

#![expect(unsafe_code, reason = "allocates, and gives advice about memory")]

use super::page::page_bytes;

/// Less than what malloc asks of the kernel apart (128 KiB), and less than what makes an arena shrink when it is freed.
pub(crate) const BYTES: usize = 64 * 1024;

/// Sees to it that the next 64 KiB need nothing of the kernel, if the allocator is glibc's. Elsewhere it does no harm.
pub(crate) fn grow() {
    // SAFETY: what is allocated is used by nobody else, and freed. The advice is about whole pages of it.
    unsafe {
        let memory = libc::malloc(BYTES);
        if memory.is_null() {
            return;
        }
        let page = page_bytes();
        let skipped = memory.addr().next_multiple_of(page) - memory.addr();
        let bytes = (BYTES - skipped) & !(page - 1);
        // Without them, pages come when they are touched.
        libc::madvise(memory.byte_add(skipped), bytes, libc::MADV_POPULATE_WRITE);
        libc::free(memory);
    }
}

#[cfg(all(test, not(any(loom, abaca_asan, abaca_tsan, abaca_valgrind))))]
mod tests {
    use super::*;

    /// How many pages the calling thread has touched for the first time.
    fn faults() -> i64 {
        // SAFETY: all zeros are valid, and the kernel writes a local.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
            usage.ru_minflt
        }
    }

    /// So many pieces of half a kilobyte.
    fn pieces(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| std::hint::black_box(vec![1; 496])).collect()
    }

    #[test]
    fn what_is_allocated_after_a_growth_needs_no_fault() {
        let faults = std::thread::spawn(|| {
            // Beyond what an ended thread has left of the arena.
            let _others = pieces(4096);
            grow();
            let before = faults();
            let _these = pieces(BYTES / 2 / 512);
            faults() - before
        });
        // Eight pages without; one may be that of the code.
        assert!(faults.join().unwrap() <= 2);
    }
}
