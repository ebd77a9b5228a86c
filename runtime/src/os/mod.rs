//! Every system call of the runtime, by rustix or else by libc, behind safe functions that return `io::Result`.
//!
//! Nothing here knows fibers. Each function reads `errno` right after its call, before a switch is possible.

mod about;
#[cfg_attr(loom, path = "model_alarm.rs")]
pub(crate) mod alarm;
pub(crate) mod arrivals;
#[cfg_attr(loom, path = "model_barrier.rs")]
pub(crate) mod barrier;
pub(crate) mod clock;
pub(crate) mod copy;
pub(crate) mod descriptor_name;
mod dwarf;
pub(crate) mod epoch;
pub(crate) mod epoll;
#[cfg(feature = "own-tls")]
pub(crate) mod float_control;
mod foreign_lock;
pub(crate) mod fork;
#[cfg(feature = "backtrace")]
pub(crate) mod frames;
pub(crate) mod futex;
pub(crate) mod handler;
pub(crate) mod headroom;
pub(crate) mod heap;
pub(crate) mod heap_block;
pub(crate) mod hidden;
pub(crate) mod identity;
mod last_call;
pub(crate) mod lookup;
pub(crate) mod mask;
pub(crate) mod memory;
pub(crate) mod message;
#[cfg(feature = "backtrace")]
pub(crate) mod names;
pub(crate) mod nowait;
pub(crate) mod objects;
pub(crate) mod page;
pub(crate) mod page_faults;
mod pagemap;
pub(crate) mod peek;
pub(crate) mod plain;
pub(crate) mod private_socket;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod reopen;
pub(crate) mod service;
pub(crate) mod signal;
pub(crate) mod slack;
pub(crate) mod socket;
pub(crate) mod stderr;
#[cfg(feature = "own-tls")]
pub(crate) mod storage;
pub(crate) mod thread;
#[cfg_attr(loom, path = "model_thread_key.rs")]
pub(crate) mod thread_key;
pub(crate) mod thread_state;
#[cfg(any(feature = "own-tls", feature = "backtrace"))]
pub(crate) mod thread_time;
pub(crate) mod ticks;
#[cfg(feature = "own-tls")]
pub(crate) mod time_slice;
#[cfg(feature = "backtrace")]
pub(crate) mod trace_signal;
pub(crate) mod unwind;
pub(crate) mod whole_file;
