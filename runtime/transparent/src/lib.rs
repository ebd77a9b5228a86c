//! libc's blocking functions, which park the calling fiber: unmodified std, blocking crates and C libraries run on abaca's fibers.
//!
//! A program that calls [`install`] has, in place of libc's `recv`, `poll`, `sleep` and their like, the functions of this crate: the
//! linker takes them for the program, for std, and for the C libraries that the program loads. On a fiber such a function parks the
//! fiber where libc's would block the thread. On a plain thread it calls libc's.
//!
//! ```no_run
//! use std::io::Read;
//! use std::net::TcpListener;
//!
//! abaca_transparent::install().unwrap();
//! abaca::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // std's
//!     for stream in listener.incoming().map_while(Result::ok) { // parks the fiber
//!         abaca::spawn(move || (&stream).read(&mut [0; 512])); // so does this
//!     }
//! });
//! ```
//!
//! # A leaf
//!
//! Only *binaries* may depend on this crate: a library that pulled it in would change the libc of all who use that library.

#![allow(dead_code, unused_macros, unused_imports, reason = "the hooks to come use it")]

mod answer;
mod calls;
mod descriptors;
mod enter;
mod hooks;
mod install;
mod kernel;
mod own;
mod table;
mod threads;

pub use install::install;
pub use threads::{as_kernel_threads, threads_are_fibers};
