#!/usr/bin/env bash
# signal-hook-registry: its handlers run on the stack that was interrupted, with all other signals let in.
#
# One would expect that a library which installs handlers into every kind of program sets SA_ONSTACK (harmless
# where no alternate stack is set up, and Go's runtime demands it of C code) and blocks other signals meanwhile.
# The action has SA_RESTART and SA_SIGINFO, no SA_ONSTACK and an empty mask: the alternate stack that std gives
# each thread is not used, and a second signal runs its handler on top of the first.
# It matters to programs with small stacks (fibers, threads with little more than the minimum): tokio's signals
# are built on it; each signal needs room for the frame that the kernel pushes (AVX-512: over 2.5 KiB), and
# several at once for several.
# Seen with signal-hook-registry 1.4.8.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "see"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
libc = "=0.2.191"
signal-hook-registry = "=1.4.8"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static NESTED: AtomicBool = AtomicBool::new(false);
static IN_FIRST: AtomicBool = AtomicBool::new(false);

fn raise(signal: i32) {
    // SAFETY: a system call without memory.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

fn main() {
    println!("signal-hook-registry 1.4.8");
    // SAFETY: the handlers store to atomics and raise a signal, which may be done in a handler.
    unsafe {
        signal_hook_registry::register(libc::SIGUSR1, || {
            let local = 0u8;
            ADDRESS.store(&raw const local as usize, SeqCst);
            IN_FIRST.store(true, SeqCst);
            raise(libc::SIGUSR2);
            IN_FIRST.store(false, SeqCst);
        })
        .unwrap();
        signal_hook_registry::register(libc::SIGUSR2, || {
            NESTED.store(IN_FIRST.load(SeqCst), SeqCst)
        })
        .unwrap();
    }
    // SAFETY: an all-zero sigaction and stack_t are valid, and the calls only read back.
    let (action, alternate) = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut alternate: libc::stack_t = std::mem::zeroed();
        libc::sigaction(libc::SIGUSR1, std::ptr::null(), &mut action);
        libc::sigaltstack(std::ptr::null(), &mut alternate);
        (action, alternate)
    };
    see(
        "SA_RESTART is set",
        action.sa_flags & libc::SA_RESTART != 0,
        "true",
    );
    see(
        "SA_ONSTACK is set",
        action.sa_flags & libc::SA_ONSTACK != 0,
        "false",
    );
    // SAFETY: the set was filled in by the kernel.
    let blocked = (1..32)
        .filter(|&s| unsafe { libc::sigismember(&action.sa_mask, s) } == 1)
        .count();
    see("signals blocked meanwhile", blocked, "0");
    see(
        "this thread has an alternate stack",
        alternate.ss_flags & libc::SS_DISABLE == 0,
        "true",
    );
    raise(libc::SIGUSR1);
    let bottom = alternate.ss_sp as usize;
    let used = (bottom..bottom + alternate.ss_size).contains(&ADDRESS.load(SeqCst));
    see("the handler ran on it", used, "false");
    see(
        "another signal's handler ran inside of it",
        NESTED.load(SeqCst),
        "true",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
