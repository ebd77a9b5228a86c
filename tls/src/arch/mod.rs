//! What differs between architectures: the register that holds the thread pointer, and how a thread leaves its stack to the
//! block that is left on it, and comes back to end. Each file has the same items.
//!
//! | item | what it does |
//! |---|---|
//! | `thread_pointer`, `set_thread_pointer` | read and write the register, one instruction |
//! | `leave` | saves where the calling thread is, and ends it behind libc's back |
//! | `revive` | makes a kernel thread that returns from such a `leave`, with the block as its storage |

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
use aarch64 as backend;

#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "riscv64")]
use riscv64 as backend;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as backend;

#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")))]
mod other;
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")))]
use other as backend;

pub(crate) use backend::{CODE, leave, may_write, revive, set_thread_pointer, thread_id, thread_pointer};

/// What libc itself asks for when it makes a thread: a revived thread differs from one of libc's in nothing.
#[cfg_attr(
    not(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")),
    expect(dead_code, reason = "nothing is revived there")
)]
const CLONE_FLAGS: usize = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as usize;
