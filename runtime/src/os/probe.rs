//! A probe for tracers of the kernel (USDT): a `nop` that they can replace by a breakpoint, and a note in the program's file that says
//! where it is, and in which registers its arguments are. Without a tracer it costs the `nop`.
//!
//! The note has the form that SystemTap defined (`.note.stapsdt`), which bpftrace, perf and bcc read.

#![expect(unsafe_code, reason = "a nop, and notes about it")]

/// The probe `abaca:event`, with three numbers.
#[inline(always)]
pub(crate) fn event(first: u64, second: u64, third: u64) {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(loom)))]
    // SAFETY: the only instruction is a nop; the rest goes into sections that the program does not use.
    unsafe {
        macro_rules! probe {
            ($arguments:literal, $($options:ident),*) => {
                std::arch::asm!(
                    // Each place where this is inlined has a name of its own, made of a number that is counted up.
                    ".ifndef .Labaca_probes",
                    ".set .Labaca_probes, 0",
                    ".endif",
                    ".set .Labaca_probes, .Labaca_probes + 1",
                    ".altmacro",
                    ".macro abaca_probe number",
                    ".Labaca_probe\\number: nop",
                    // The linker keeps the note if it keeps this code, and only then.
                    ".pushsection .note.stapsdt, \"o\", \"note\", .Labaca_probe\\number",
                    ".balign 4",
                    ".4byte 992f - 991f, 994f - 993f, 3",
                    "991: .asciz \"stapsdt\"",
                    "992: .balign 4",
                    "993: .8byte .Labaca_probe\\number, _.stapsdt.base, 0",
                    ".asciz \"abaca\"",
                    ".asciz \"event\"",
                    concat!(".asciz \"", $arguments, "\""),
                    "994: .balign 4",
                    ".popsection",
                    ".endm",
                    "abaca_probe %.Labaca_probes",
                    ".purgem abaca_probe",
                    ".noaltmacro",
                    ".ifndef _.stapsdt.base",
                    ".pushsection .stapsdt.base, \"aGR\", \"progbits\", .stapsdt.base, comdat",
                    ".weak _.stapsdt.base",
                    ".hidden _.stapsdt.base",
                    "_.stapsdt.base: .space 1",
                    ".size _.stapsdt.base, 1",
                    ".popsection",
                    ".endif",
                    in(reg) first,
                    in(reg) second,
                    in(reg) third,
                    options(nomem, nostack, preserves_flags $(, $options)*),
                )
            };
        }
        #[cfg(target_arch = "x86_64")]
        probe!("8@{0} 8@{1} 8@{2}", att_syntax);
        #[cfg(target_arch = "aarch64")]
        probe!("8@{0} 8@{1} 8@{2}",);
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(loom))))]
    let _ = (first, second, third);
}
