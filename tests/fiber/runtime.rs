//! Runtimes: several in one process, started and stopped again and again, their builder and hooks.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::runtime::Poller;
use abaca_tests::{kernel_thread_name, with_workers_on_their_threads};

#[test]
fn runtimes_start_and_stop_again_and_again() {
    for round in 0..50 {
        let runtime = Runtime::builder().workers(1 + round % 3).build().unwrap();
        assert_eq!(runtime.run(|| abaca::spawn(move || round).join().unwrap()), round);
    }
}

#[test]
fn two_runtimes_wake_each_others_fibers() {
    let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (to_two, at_two) = abaca::channel::bounded(1);
    let (to_one, at_one) = abaca::channel::bounded(1);
    let echo = two.spawn(move || at_two.iter().for_each(|n: u32| to_one.send(n + 1).unwrap()));
    let sum: u32 = one.run(move || {
        (0..2_000)
            .map(|n| {
                to_two.send(n).unwrap();
                at_one.recv().unwrap()
            })
            .sum()
    });
    assert_eq!(sum, (1..=2_000).sum());
    echo.join().unwrap();
}

#[test]
fn run_borrows_from_its_caller_and_passes_panics_on() {
    let runtime = Runtime::new().unwrap();
    let mut text = String::from("borrowed");
    runtime.run(|| text.push('!'));
    assert_eq!(text, "borrowed!");
    let result = std::panic::catch_unwind(|| abaca::run(|| panic!("from the main fiber")));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"from the main fiber"));
}

#[test]
fn spawn_from_outside_runs_inside() {
    let runtime = with_workers_on_their_threads().workers(2).name("hive").build().unwrap();
    let handles: Vec<_> =
        (0..100).map(|_| runtime.spawn(|| kernel_thread_name().starts_with("hive-worker-"))).collect();
    assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
    assert_eq!(runtime.workers(), 2);
}

#[test]
fn hooks_run_on_each_worker() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (start, stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let runtime = with_workers_on_their_threads()
        .workers(3)
        .on_thread_start(move || count(&start))
        .on_thread_stop(move || count(&stop))
        .build()
        .unwrap();
    runtime.run(|| ());
    drop(runtime);
    assert_eq!((started.load(SeqCst), stopped.load(SeqCst)), (3, 3));
}

#[test]
fn a_thread_hook_that_panics_ends_no_worker() {
    for poller in [Poller::Workers, Poller::Thread] {
        let runtime = Runtime::builder()
            .workers(2)
            .poller(poller)
            .on_thread_start(|| panic!("no such CPU"))
            .on_thread_stop(|| panic!("nor now"))
            .build()
            .unwrap();
        assert_eq!(runtime.run(|| abaca::spawn(|| 6 * 7).join().unwrap()), 42);
        runtime.shutdown(Duration::MAX).unwrap();
    }
}

#[test]
fn the_least_stack_has_room_for_a_call() {
    for bytes in [0, 1, 4096, 16 * 1024] {
        let runtime = Runtime::builder().workers(1).stack_size(bytes).build().unwrap();
        assert_eq!(
            runtime.run(|| abaca::spawn(move || format!("{bytes}")).join().unwrap()),
            bytes.to_string()
        );
    }
}

#[test]
fn bad_settings_are_errors() {
    for builder in [
        Runtime::builder().workers(0),
        Runtime::builder().workers(100_000),
        Runtime::builder().stack_size(1 << 33),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn running_a_runtime_in_one_of_its_fibers_panics() {
    let runtime = Arc::new(Runtime::new().unwrap());
    let inner = Arc::clone(&runtime);
    let result = runtime.spawn(move || inner.run(|| ())).join();
    assert!(result.unwrap_err().downcast_ref::<&str>().unwrap().contains("abaca::spawn"));
}

#[test]
fn both_pollers_run() {
    for poller in [Poller::Workers, Poller::Thread] {
        let runtime = Runtime::builder().workers(2).poller(poller).build().unwrap();
        runtime.run(|| abaca::sleep(std::time::Duration::from_millis(1)));
    }
}

#[abaca::test(workers = 3, stack_size = 64 * 1024, name = "macro")]
fn the_macro_passes_its_options_on() {
    assert!(kernel_thread_name().starts_with("macro-"));
}

mod program {
    #[abaca::main(workers = 1)]
    pub(super) fn main() -> Result<(), Box<dyn std::error::Error>> {
        let number: u32 = "twelve".parse()?;
        unreachable!("{number}");
    }
}

#[test]
fn main_may_return_an_error_that_is_not_send() {
    assert_eq!(program::main(), std::process::ExitCode::FAILURE);
}

#[abaca::test]
fn a_test_may_return_an_error_that_is_not_send() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!("12".parse::<u32>()?, 12);
    Ok(())
}

#[abaca::main(workers = 1)]
fn answer() -> u32 {
    abaca::spawn(|| 6 * 7).join().unwrap()
}

#[test]
fn a_function_of_another_name_returns_its_value() {
    assert_eq!(answer(), 42);
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, SeqCst);
}

#[test]
fn a_panic_with_an_error_of_the_system_is_that_of_the_closure() {
    let own = || std::panic::panic_any(std::io::Error::other("the closure's own"));
    for run in [|own: fn()| abaca::run(own), |own| Runtime::new().unwrap().run(own)] {
        let payload = std::panic::catch_unwind(|| run(own)).unwrap_err();
        let error = payload.downcast::<std::io::Error>().expect("the payload is handed on");
        assert_eq!(error.to_string(), "the closure's own");
    }
}
