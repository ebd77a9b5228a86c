//! Stacks of sizes of their own: given back at once, and refused without harm when there is no room for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::Builder;
use abaca::fiber::{Scope, ScopedJoinHandle};

use super::{in_child, in_child_with_kib, is_child, stdout};

const MIB: usize = 1 << 20;

/// The address space of this process, in MiB.
fn address_space() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[test]
fn stacks_of_their_own_size_are_used_again() {
    if is_child() {
        let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| {
            let round = || {
                let parked = Arc::new(AtomicUsize::new(0));
                let park = |parked: Arc<AtomicUsize>| {
                    parked.fetch_add(1, SeqCst);
                    abaca::park();
                };
                let deep = |_| {
                    let parked = Arc::clone(&parked);
                    Builder::new().stack_size(64 * MIB).spawn(move || park(parked)).unwrap()
                };
                let handles: Vec<_> = (0..20).map(deep).collect();
                while parked.load(SeqCst) < 20 {
                    abaca::yield_now();
                }
                // They end one after the other, each with the next one ready.
                handles.iter().for_each(|handle| handle.fiber().unpark());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            };
            round();
            let before = address_space();
            (0..20).for_each(|_| round());
            // It may have shrunk: how many stacks are kept for the next fibers differs from round to round.
            println!("grew by {} MiB", address_space().saturating_sub(before));
        });
        return;
    }
    let output = in_child("stacks::stacks_of_their_own_size_are_used_again");
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let grown = text.split("grew by ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a figure");
    // A leak of one stack in two would be 12 GiB.
    assert!(grown.parse::<usize>().unwrap() < 3_000, "{text}");
}

#[test]
fn no_memory_for_a_stack_fails_the_join_with_an_error() {
    if is_child() {
        abaca::run(|| {
            // The limit has room for a few of these, not for a hundred.
            let spawn = |_| Builder::new().stack_size(1 << 31).spawn(abaca::park).unwrap();
            let handles: Vec<_> = (0..100).map(spawn).collect();
            let mut errors = 0;
            for handle in handles {
                handle.fiber().unpark();
                if let Err(payload) = handle.join() {
                    let error = payload.downcast::<std::io::Error>().expect("an io::Error");
                    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
                    errors += 1;
                }
            }
            println!("refused {errors} of them");
            assert_eq!(abaca::spawn(|| "goes on").join().unwrap(), "goes on");
        });
        return;
    }
    let output = in_child_with_kib("stacks::no_memory_for_a_stack_fails_the_join_with_an_error", 20_000_000);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let refused = text.split("refused ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a count");
    assert!(refused.parse::<u32>().unwrap() > 0, "{text}");
}

#[test]
fn a_scope_does_not_pass_over_a_fiber_that_could_not_start() {
    if is_child() {
        abaca::run(|| {
            fn spawn<'scope>(scope: &'scope Scope<'scope, '_>) -> ScopedJoinHandle<'scope, i32> {
                Builder::new().stack_size(u32::MAX as usize).spawn_scoped(scope, || 1).unwrap()
            }
            // The one whose handle is joined is its owner's business.
            abaca::scope(|scope| {
                let payload = spawn(scope).join().unwrap_err();
                assert!(payload.is::<std::io::Error>());
            });
            let payload = std::panic::catch_unwind(|| abaca::scope(|scope| drop(spawn(scope)))).unwrap_err();
            let text = payload.downcast_ref::<&str>().expect("a panic with a message");
            assert!(text.contains("could not be started"), "{text}");
        });
        return;
    }
    let output =
        in_child_with_kib("stacks::a_scope_does_not_pass_over_a_fiber_that_could_not_start", 3_000_000);
    assert!(output.status.success(), "{output:?}");
}
