//! A program written against `std::thread` runs on fibers after only its `use` has changed.

use abaca::fiber as thread;

#[test]
fn a_thread_program_runs_on_fibers() {
    abaca::run(|| {
        let builder = thread::Builder::new().name("fiber".into()).stack_size(256 * 1024);
        let handle: thread::JoinHandle<u32> = builder
            .spawn(|| {
                let me: thread::Thread = thread::current();
                let id: thread::ThreadId = me.id();
                assert_eq!(id, thread::current().id());
                thread::yield_now();
                thread::sleep(std::time::Duration::from_micros(1));
                thread::park_timeout(std::time::Duration::from_micros(1));
                7
            })
            .unwrap();
        handle.thread().unpark();
        let result: thread::Result<u32> = handle.join();
        assert_eq!(result.unwrap(), 7);
        assert!(!thread::panicking());
        assert!(thread::available_parallelism().is_ok());
        let total = thread::scope(|scope| {
            let handles: Vec<thread::ScopedJoinHandle<'_, u32>> =
                (0..4).map(|n| scope.spawn(move || n)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>()
        });
        assert_eq!(total, 6);
    });
}
