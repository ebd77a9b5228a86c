//! Why a process cannot have blocks.

/// Why this process cannot have [blocks](crate::Block). See [`support`](crate::support()).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// There is no code for this architecture.
    Architecture,
    /// User code may not write the thread pointer: an x86_64 processor without FSGSBASE, or Linux before 5.9.
    Register,
    /// The libc is not glibc, or it is linked statically.
    NotGlibc,
    /// The glibc is older than 2.35. These are its two numbers.
    OldGlibc(u32, u32),
    /// AddressSanitizer, ThreadSanitizer or one of their kind is in the process. It keeps its own state in thread-local storage.
    Sanitizer,
    /// The process runs under valgrind, which does not know the instruction that writes the thread pointer.
    Valgrind,
    /// This crate is part of a library that was loaded by `dlopen`, so its thread-local variables are not at the same place in
    /// each thread's storage.
    LoadedLater,
    /// glibc has no symbol of this name.
    Symbol(&'static str),
    /// A thread could not be made to look at, or memory for it. This is the error number.
    Thread(i32),
    /// glibc works otherwise than this crate expects. The text says in what.
    Trial(&'static str),
}

impl core::fmt::Display for Unsupported {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("fibers cannot have thread-local storage of their own here: ")?;
        match self {
            Self::Architecture => out.write_str("there is no code for this architecture"),
            Self::Register => out.write_str(
                "the processor or the kernel does not let user code write the thread pointer (x86_64 needs FSGSBASE and Linux 5.9)",
            ),
            Self::NotGlibc => out.write_str("the libc is not glibc, or is linked statically"),
            Self::OldGlibc(major, minor) => write!(out, "glibc {major}.{minor} is older than 2.35"),
            Self::Sanitizer => out.write_str("a sanitizer keeps its own state in thread-local storage"),
            Self::Valgrind => out.write_str("valgrind does not know the instruction that writes the thread pointer"),
            Self::LoadedLater => {
                out.write_str("the library that asks was loaded by dlopen, so its own thread-local variables have no fixed place")
            }
            Self::Symbol(name) => write!(out, "glibc has no symbol `{name}`"),
            Self::Thread(errno) => {
                write!(out, "no thread to look at: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Trial(what) => write!(out, "glibc works otherwise than expected: {what}"),
        }
    }
}

impl core::error::Error for Unsupported {}

impl From<Unsupported> for std::io::Error {
    /// The kind is [`Unsupported`](std::io::ErrorKind::Unsupported).
    fn from(why: Unsupported) -> Self {
        Self::new(std::io::ErrorKind::Unsupported, why)
    }
}
