//! Functions with arguments of any number, which Rust cannot define: each makes a list of its arguments, as C's `va_start` does, and calls the
//! hook of the function that takes one.

#![expect(unsafe_code, reason = "takes the place of functions of libc, in assembly")]

use std::arch::naked_asm;
use std::ffi::c_void;

use super::{formats, programs, scans, told, wide};
use crate::table::Hook;

/// C's `va_list` as an argument.
pub(super) type List = *mut c_void;

/// A copy of a list, since who uses one uses it up.
pub(super) struct Copied {
    /// What the list is where it is an array, or a structure that is passed by its address.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    words: [u64; WORDS],
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    list: List,
}

/// How many words such a list has.
#[cfg(target_arch = "x86_64")]
const WORDS: usize = 3;
#[cfg(target_arch = "aarch64")]
const WORDS: usize = 4;

impl Copied {
    /// # Safety
    ///
    /// The list is one that was not used.
    pub(super) unsafe fn of(list: List) -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        // SAFETY: the caller's promise: the list is there.
        return Self { words: unsafe { list.cast::<[u64; WORDS]>().read() } };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Self { list }
    }

    pub(super) fn list(&mut self) -> List {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        return self.words.as_mut_ptr().cast();
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        self.list
    }
}

impl Copied {
    /// The next argument, which is a number or an address.
    ///
    /// # Safety
    ///
    /// There is one.
    #[cfg(target_arch = "x86_64")]
    pub(super) unsafe fn next(&mut self) -> usize {
        // How far the registers are used up, of which there are six words; the next on the stack; where the registers are.
        let [used, stack, registers] = &mut self.words;
        let in_registers = *used as u32;
        let address = if in_registers < 48 {
            *used += 8;
            *registers + u64::from(in_registers)
        } else {
            *stack += 8;
            *stack - 8
        };
        // SAFETY: the caller's promise.
        unsafe { std::ptr::with_exposed_provenance::<usize>(address as usize).read() }
    }

    /// As above.
    #[cfg(target_arch = "aarch64")]
    pub(super) unsafe fn next(&mut self) -> usize {
        // The next on the stack; the ends of the registers; how far before them the next of each is, in one word.
        let [stack, registers, _, left] = &mut self.words;
        let before = *left as u32 as i32;
        let address = if before < 0 {
            *left = *left & !0xffff_ffff | u64::from((before + 8) as u32);
            registers.wrapping_add_signed(before.into())
        } else {
            *stack += 8;
            *stack - 8
        };
        // SAFETY: the caller's promise.
        unsafe { std::ptr::with_exposed_provenance::<usize>(address as usize).read() }
    }

    /// As above.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) unsafe fn next(&mut self) -> usize {
        let address = self.list.cast::<usize>();
        self.list = address.wrapping_add(1).cast();
        // SAFETY: the caller's promise.
        unsafe { address.read() }
    }
}

/// The registers of arguments, of which a function has so many before those of any number: the list is the next argument.
#[cfg(target_arch = "x86_64")]
macro_rules! stub {
    (1, $to:path) => { stub!("rsi", 8, $to) };
    (2, $to:path) => { stub!("rdx", 16, $to) };
    (3, $to:path) => { stub!("rcx", 24, $to) };
    ($list:literal, $used:literal, $to:path) => {
        naked_asm!(
            ".cfi_startproc",
            // The list, of 24 bytes; from 32 on the registers of arguments: six words, and eight of 16 bytes.
            "sub rsp, 216",
            ".cfi_adjust_cfa_offset 216",
            "mov [rsp + 32], rdi",
            "mov [rsp + 40], rsi",
            "mov [rsp + 48], rdx",
            "mov [rsp + 56], rcx",
            "mov [rsp + 64], r8",
            "mov [rsp + 72], r9",
            // How many of the latter are used, at most.
            "test al, al",
            "je 2f",
            "movaps [rsp + 80], xmm0",
            "movaps [rsp + 96], xmm1",
            "movaps [rsp + 112], xmm2",
            "movaps [rsp + 128], xmm3",
            "movaps [rsp + 144], xmm4",
            "movaps [rsp + 160], xmm5",
            "movaps [rsp + 176], xmm6",
            "movaps [rsp + 192], xmm7",
            "2:",
            // Where the next of each is, where those on the stack are, and where these are.
            "mov dword ptr [rsp], {used}",
            "mov dword ptr [rsp + 4], 48",
            "lea rax, [rsp + 224]",
            "mov [rsp + 8], rax",
            "lea rax, [rsp + 32]",
            "mov [rsp + 16], rax",
            concat!("mov ", $list, ", rsp"),
            "call {to}",
            "add rsp, 216",
            ".cfi_adjust_cfa_offset -216",
            "ret",
            ".cfi_endproc",
            used = const $used,
            to = sym $to,
        )
    };
}

/// As above.
#[cfg(target_arch = "aarch64")]
macro_rules! stub {
    (1, $to:path) => { stub!("x1", -56, $to) };
    (2, $to:path) => { stub!("x2", -48, $to) };
    (3, $to:path) => { stub!("x3", -40, $to) };
    ($list:literal, $left:literal, $to:path) => {
        naked_asm!(
            ".cfi_startproc",
            // The frame's record; the list, of 32 bytes; from 48 on the registers of arguments: eight words, and eight of 16 bytes.
            "stp x29, x30, [sp, #-240]!",
            ".cfi_def_cfa_offset 240",
            ".cfi_offset 29, -240",
            ".cfi_offset 30, -232",
            "mov x29, sp",
            "stp x0, x1, [sp, #48]",
            "stp x2, x3, [sp, #64]",
            "stp x4, x5, [sp, #80]",
            "stp x6, x7, [sp, #96]",
            "stp q0, q1, [sp, #112]",
            "stp q2, q3, [sp, #144]",
            "stp q4, q5, [sp, #176]",
            "stp q6, q7, [sp, #208]",
            // Where those on the stack are, the ends of these, and how far before those ends the next of each is.
            "add x9, sp, #240",
            "str x9, [sp, #16]",
            "add x10, sp, #112",
            "str x10, [sp, #24]",
            "str x9, [sp, #32]",
            "mov w9, #{left}",
            "str w9, [sp, #40]",
            "mov w9, #-128",
            "str w9, [sp, #44]",
            concat!("add ", $list, ", sp, #16"),
            "bl {to}",
            "ldp x29, x30, [sp], #240",
            ".cfi_restore 29",
            ".cfi_restore 30",
            ".cfi_def_cfa_offset 0",
            "ret",
            ".cfi_endproc",
            left = const $left,
            to = sym $to,
        )
    };
}

/// As above. The list is the address of the next argument; those on the stack come after the registers.
#[cfg(target_arch = "riscv64")]
macro_rules! stub {
    (1, $to:path) => { stub!("a1", 24, $to) };
    (2, $to:path) => { stub!("a2", 32, $to) };
    (3, $to:path) => { stub!("a3", 40, $to) };
    ($list:literal, $next:literal, $to:path) => {
        naked_asm!(
            ".cfi_startproc",
            "addi sp, sp, -80",
            ".cfi_def_cfa_offset 80",
            "sd ra, 8(sp)",
            ".cfi_offset 1, -72",
            "sd a0, 16(sp)",
            "sd a1, 24(sp)",
            "sd a2, 32(sp)",
            "sd a3, 40(sp)",
            "sd a4, 48(sp)",
            "sd a5, 56(sp)",
            "sd a6, 64(sp)",
            "sd a7, 72(sp)",
            concat!("addi ", $list, ", sp, {next}"),
            "call {to}",
            "ld ra, 8(sp)",
            ".cfi_restore 1",
            "addi sp, sp, 80",
            ".cfi_def_cfa_offset 0",
            "ret",
            ".cfi_endproc",
            next = const $next,
            to = sym $to,
        )
    };
}

/// `fn printf = 1, formats::vprintf;`: so many arguments come before those of any number.
macro_rules! variadic {
    ($(fn $name:ident = $fixed:tt, $to:path;)*) => {
        $(
            /// See the module's documentation.
            ///
            /// # Safety
            ///
            /// As libc's function of this name.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C-unwind" fn $name() {
                stub!($fixed, $to)
            }
        )*

        /// The hooks of this file.
        pub(crate) const HOOKS: &[Hook] = &[$(Hook($name as *const (), stringify!($name))),*];
    };
}

variadic! {
    fn printf = 1, formats::vprintf;
    fn _IO_printf = 1, formats::vprintf;
    fn fprintf = 2, formats::vfprintf;
    fn _IO_fprintf = 2, formats::vfprintf;
    fn dprintf = 2, formats::vdprintf;
    fn __printf_chk = 2, formats::__vprintf_chk;
    fn __fprintf_chk = 3, formats::__vfprintf_chk;
    fn __dprintf_chk = 3, formats::__vdprintf_chk;
    fn wprintf = 1, wide::vwprintf;
    fn fwprintf = 2, wide::vfwprintf;
    fn __wprintf_chk = 2, wide::__vwprintf_chk;
    fn __fwprintf_chk = 3, wide::__vfwprintf_chk;
    fn syslog = 2, told::vsyslog;
    fn __syslog_chk = 3, told::__vsyslog_chk;
    fn scanf = 1, scans::vscanf;
    fn fscanf = 2, scans::vfscanf;
    fn __isoc99_scanf = 1, scans::__isoc99_vscanf;
    fn __isoc99_fscanf = 2, scans::__isoc99_vfscanf;
    fn __isoc23_scanf = 1, scans::__isoc23_vscanf;
    fn __isoc23_fscanf = 2, scans::__isoc23_vfscanf;
    fn execl = 2, programs::execl;
    fn execlp = 2, programs::execlp;
    fn execle = 2, programs::execle;
}

/// Not only where fibers have storage of their own: elsewhere as well these are the process's functions, which call libc's.
#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char, c_int};

    use libc::FILE;

    // SAFETY: as glibc defines them.
    unsafe extern "C" {
        fn fprintf(file: *mut FILE, format: *const c_char, ...) -> c_int;
        fn __fprintf_chk(file: *mut FILE, flag: c_int, format: *const c_char, ...) -> c_int;
        fn dprintf(fd: c_int, format: *const c_char, ...) -> c_int;
        fn fwprintf(file: *mut FILE, format: *const libc::wchar_t, ...) -> c_int;
        fn __isoc99_fscanf(file: *mut FILE, format: *const c_char, ...) -> c_int;
    }

    /// What a call writes to a file: its result, and the bytes.
    fn written(write: impl FnOnce(*mut FILE) -> c_int) -> (c_int, String) {
        let mut buffer = [0_u8; 512];
        // SAFETY: a file of this function's, and a buffer of so many bytes.
        unsafe {
            let file = libc::tmpfile();
            let result = write(file);
            libc::fflush(file);
            let count = libc::pread(libc::fileno(file), buffer.as_mut_ptr().cast(), buffer.len(), 0);
            libc::fclose(file);
            (result, String::from_utf8_lossy(&buffer[..count as usize]).into_owned())
        }
    }

    /// Numbers, reals and addresses, more of each than registers take.
    const FORMAT: &CStr =
        c"%d %.1f %s %d %.1f %d %.1f %d %.1f %d %.1f %d %.1f %ld %.1f %d %.1f %d %.1f %.1f %s";

    #[test]
    fn arguments_of_any_number_and_kind_arrive() {
        macro_rules! call {
            ($function:ident($($first:expr),*)) => {
                $function(
                    $($first,)* 1, 1.5_f64, c"two".as_ptr(), 3, 2.5_f64, 4, 3.5_f64, 5, 4.5_f64, 6, 5.5_f64, 7, 6.5_f64, 1_i64 << 40, 7.5_f64,
                    9, 8.5_f64, 10, 9.5_f64, 10.5_f64, c"last".as_ptr()
                )
            };
        }
        const TEXT: &str = "1 1.5 two 3 2.5 4 3.5 5 4.5 6 5.5 7 6.5 1099511627776 7.5 9 8.5 10 9.5 10.5 last";
        let expected = (TEXT.len() as c_int, TEXT.to_owned());
        let format = FORMAT.as_ptr();
        // SAFETY: the arguments are those of the format, here and below.
        unsafe {
            assert_eq!(written(|file| call!(fprintf(file, format))), expected);
            assert_eq!(written(|file| call!(__fprintf_chk(file, 1, format))), expected);
            assert_eq!(written(|file| call!(dprintf(libc::fileno(file), format))), expected);
            let wide: Vec<libc::wchar_t> =
                FORMAT.to_bytes_with_nul().iter().map(|byte| libc::wchar_t::from(*byte)).collect();
            assert_eq!(written(|file| call!(fwprintf(file, wide.as_ptr()))), expected);
        }
        let (mut numbers, mut reals) = ([0; 8], [0.0_f64; 2]);
        let [a, b, c, d, e, f, g, h] = numbers.each_mut().map(|number| &raw mut *number);
        let [x, y] = reals.each_mut().map(|real| &raw mut *real);
        // SAFETY: a file of this function's, and as many numbers as the format has.
        unsafe {
            let file = libc::tmpfile();
            libc::fputs(c"1 2 3 4 5 6 7 8 9.5 10.5".as_ptr(), file);
            libc::rewind(file);
            let format = c"%d %d %d %d %d %d %d %d %lf %lf".as_ptr();
            assert_eq!(__isoc99_fscanf(file, format, a, b, c, d, e, f, g, h, x, y), 10);
            libc::fclose(file);
        }
        assert_eq!((numbers, reals), ([1, 2, 3, 4, 5, 6, 7, 8], [9.5, 10.5]));
    }
}
