//! Runtimes with the hooks.

/// Runs `f` as the main fiber of a runtime with one worker. The caller may be a fiber: once threads are, those of the tests are.
pub(crate) fn on_one_worker<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    on_workers(1, f)
}

/// The same, of a runtime with so many workers.
pub(crate) fn on_workers<T: Send>(workers: usize, f: impl FnOnce() -> T + Send) -> T {
    abaca_transparent::install().expect("fibers can have storage of their own here");
    let run = || abaca::Runtime::builder().workers(workers).build().expect("a runtime starts").run(f);
    std::thread::scope(|scope| abaca_transparent::as_kernel_threads(|| scope.spawn(run)).join()).unwrap()
}

#[test]
fn the_hooks_are_the_process_s_functions() {
    on_one_worker(|| assert!(abaca::hook::on_fiber()));
    assert!(!abaca::hook::on_fiber());
}
