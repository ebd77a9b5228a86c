//! Stacks by the million: guarded, committed page by page, reused last in first out.
//!
//! # Their layout in memory
//!
//! A pool maps *slabs* of up to 1024 stacks. A slab whose stacks have a 64 KiB guard and 12 KiB to use, at
//! 0x7f00_0000:
//!
//! ```text
//! 0x7f03_9000 +----------------+ <- end of the slab (of three stacks)
//!             | stack 2        |
//! 0x7f02_6000 +----------------+
//!             | stack 1        |
//! 0x7f01_3000 +----------------+ <- end of stack 0; its `top` is up to 448 bytes below (see `slab.rs`)
//!             | usable, 12 KiB |
//! 0x7f01_0000 +----------------+ <- bottom of stack 0
//!             | guard, 64 KiB  |
//! 0x7f00_0000 +----------------+ <- base of the slab
//! ```
//!
//! The distance between two stacks is an odd number of pages. With a power of two, the tops of all stacks
//! would share the same few cache and TLB sets, and the hot end of each stack would push out that of
//! another.
//!
//! # Guards
//!
//! No stack is ever handed out without a guard. Linux 6.13 and newer guard a page by a marker in the page
//! table ([`Guard::Madvise`]): a million stacks are then one mapping. Older kernels need a mapping for each
//! guard and one for each stack ([`Guard::Mprotect`]), so the limit `vm.max_map_count` ends the supply near
//! 32,700 stacks unless it is raised; [`StackError`] says so when it happens.
//!
//! A guard has 64 KiB, since a frame that is larger than the guard steps over it into the neighbour, and C code may
//! have frames of many pages that it does not touch in order. [`overrun_at`] tells a fault in a guard from any other.
//!
//! # What a stack costs
//!
//! Address space, one page once it is touched, and 8 bytes of page table for each page of its distance to the next one,
//! touched or not: with 256 KiB to use 81 pages, 648 bytes. With a guard of one page it would be 520. A million such
//! stacks take 0.3 of the 128 TiB of address space that a process has.
//!
//! # When memory goes back
//!
//! The pool keeps the stacks that were given back, with their pages, for the next taker. [`StackPool::end_period`] and
//! [`StackPool::release_surplus`] release the memory of stacks that were not needed of late. A [`Release`] does so for the part
//! of a stack below the frames of a suspended computation. Nothing happens by itself: there is no thread here. (abaca's workers
//! call these when they are idle.)

mod error;
mod fixture;
mod guard;
mod memory;
mod pool;
mod populate;
mod registry;
mod release;
mod slab;
mod surplus;
mod usage;

pub use error::StackError;
pub use fixture::Fixture;
pub use guard::Guard;
pub use pool::StackPool;
#[cfg(abaca_asan)]
pub(crate) use registry::bytes_below;
pub use registry::{Overrun, Place, bounds_at, overrun_at, places};
pub use release::Release;
pub use slab::Stack;
pub use surplus::Surplus;
pub use usage::Usage;

/// Lets code be executed on the stacks that are mapped from now on: C compilers put some there for nested functions of which somebody takes
/// the address, and mark such a program.
#[doc(hidden)]
pub fn make_executable() {
    crate::os::make_executable();
}

/// The usable bytes of a stack by default: of a fiber's in abaca, and of a [coroutine's](crate::coroutine).
///
/// 256 KiB in a release build; 2 MiB, as much as a thread of std has, in a build with debug assertions, whose frames
/// are several times as large. Only touched pages cost memory.
pub const DEFAULT_STACK_BYTES: usize = if cfg!(debug_assertions) { 2 * 1024 * 1024 } else { 256 * 1024 };
