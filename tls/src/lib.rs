//! Thread-local storage of its own for every fiber, on a stock libc.
//!
//! To all code but the kernel, a thread *is* its thread-local storage: the block of memory that the thread pointer points to. It
//! has errno, the variables of `thread_local!`, the id that a mutex keeps of its owner, and the values of pthread keys. This
//! crate makes such blocks, one at the top of each stack. A scheduler that exchanges the thread pointer together with the stack
//! makes a thread of each fiber: its thread-local variables stay its own on whichever OS thread it runs.
//!
//! * [`support()`] says whether this process can have blocks, and why not.
//! * [`Block`] is a block: to libc, a thread that runs.
//! * [`thread_pointer`] and [`set_thread_pointer`] are the register.
//! * [`Carrier`] is the OS thread that runs fibers. It lends them what stays its own: malloc's cache, and what
//!   [`keep_with_carrier`] adds.
//! * [`finish()`] runs the destructors of the calling block's thread-local variables, and [`reset()`] makes the block a new thread's.
//! * [`on_carrier`] runs a closure with the storage of the OS thread, for calls that mean the kernel's thread.
//! * [`adopt_thread`] makes the OS thread the fiber's own, in a child of `fork`.
//!
//! The README tells how a block is made, why that is sound, and what stays with the OS thread.
//!
//! # Example
//!
//! The blocks are of use to schedulers, which exchange the stack as well. This exchanges the storage alone.
//!
//! ```
//! use abaca_tls::{Block, Carrier, finish, reset, set_thread_pointer, thread_pointer};
//! use std::cell::Cell;
//!
//! thread_local!(static NUMBER: Cell<u32> = const { Cell::new(1) });
//!
//! /// Runs `f` with the storage of `block`. Not inlined: an address of a thread-local variable must not be kept over the exchange.
//! #[inline(never)]
//! fn within(block: &Block, carrier: &Carrier, f: fn()) {
//!     let own = thread_pointer();
//!     // SAFETY: the block is used by nobody else, and the thread pointer is restored.
//!     unsafe {
//!         carrier.lend(block.pointer());
//!         set_thread_pointer(block.pointer());
//!         f();
//!         set_thread_pointer(own);
//!         carrier.take_back(block.pointer());
//!     }
//! }
//!
//! if let Err(why) = abaca_tls::support() {
//!     println!("no blocks here: {why}");
//!     return Ok(());
//! }
//! let carrier = Carrier::of_this_thread()?;
//! let mut memory = vec![0_u128; 256 * 1024 / 16];
//! // SAFETY: the memory is used by nobody else, and outlives the block.
//! let block = unsafe { Block::new(memory.as_mut_ptr().cast(), 256 * 1024) }?;
//! NUMBER.set(2);
//! within(&block, &carrier, || {
//!     assert_eq!(NUMBER.get(), 1);
//!     NUMBER.set(3);
//! });
//! assert_eq!(NUMBER.get(), 2);
//! within(&block, &carrier, || {
//!     assert_eq!(NUMBER.get(), 3);
//!     // SAFETY: this is the block, and nothing uses its variables any more.
//!     unsafe { finish() };
//!     // SAFETY: as above.
//!     unsafe { reset() };
//! });
//! within(&block, &carrier, || assert_eq!(NUMBER.get(), 1));
//! drop(block);
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("abaca-tls rests on how Linux ends a thread; no other system is supported");

mod adopt;
mod announce;
mod arch;
mod birth;
mod block;
mod carrier;
mod finish;
mod glibc;
mod keep;
mod keys;
mod links;
mod loaded;
mod loader;
mod modules;
mod mould;
mod observe;
mod per_process;
mod plan;
mod pointer;
mod replica;
mod reset;
mod robust;
mod roster;
mod setxid;
mod support;
mod tid;
mod trial;
mod unsupported;
mod valgrind;

pub use adopt::adopt_thread;
pub use block::Block;
pub use carrier::{Carrier, on_carrier};
pub use finish::finish;
pub use keep::{KeepError, keep_with_carrier};
pub use pointer::{ThreadPointer, set_thread_pointer, thread_pointer};
pub use reset::reset;
pub use support::{Support, support};
pub use unsupported::Unsupported;
