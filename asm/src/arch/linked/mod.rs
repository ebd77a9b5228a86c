//! The switches of `linking.rs`, once per architecture that has them by hand.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as backend;
#[cfg(target_arch = "riscv64")]
use riscv64 as backend;
#[cfg(target_arch = "x86_64")]
use x86_64 as backend;

pub(crate) use backend::{REFUSAL, bury, finish, prepare_linked, resume, suspend};
