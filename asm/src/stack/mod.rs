//! Stacks by the million: guarded, committed page by page, reused last in first out.
//!
//! # How they lie in memory
//!
//! A pool maps *slabs* of up to 1024 stacks. A slab whose stacks have a 4 KiB guard and 8 KiB to use, at
//! 0x7f00_0000:
//!
//! ```text
//! 0x7f00_9000 +---------------+ <- end of the slab (of three stacks)
//!             | stack 2       |
//! 0x7f00_6000 +---------------+
//!             | stack 1       |
//! 0x7f00_3000 +---------------+ <- end of stack 0; its `top` is up to 448 bytes below (see `slab.rs`)
//!             | usable, 8 KiB |
//! 0x7f00_1000 +---------------+ <- bottom of stack 0
//!             | guard, 4 KiB  |
//! 0x7f00_0000 +---------------+ <- base of the slab
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

mod error;
mod guard;
mod pool;
mod slab;

pub use error::StackError;
pub use guard::Guard;
pub use pool::StackPool;
pub use slab::Stack;
