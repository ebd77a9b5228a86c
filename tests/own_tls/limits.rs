//! What the machine refuses: a thread or memory for a block, a thread for a spare; and how many fibers there may be.

#![expect(unsafe_code, reason = "limits the child processes in which this runs, and asks libc")]

use std::cell::Cell;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;

use crate::libraries::compile;
use crate::{command, is_child, own, passes, runtime};

/// What libc tells of the calling fiber's stack, as collectors of garbage ask it.
fn told_stack() -> std::ops::Range<usize> {
    unsafe extern "C" {
        fn pthread_getattr_np(thread: libc::pthread_t, attributes: *mut libc::pthread_attr_t) -> i32;
    }
    // SAFETY: all zeroes are a valid value, which the first call overwrites, whatever it returns; the last frees what it has.
    unsafe {
        let mut attributes = std::mem::zeroed();
        pthread_getattr_np(libc::pthread_self(), &raw mut attributes);
        let (mut lowest, mut bytes) = (std::ptr::null_mut(), 0);
        assert_eq!(libc::pthread_attr_getstack(&raw const attributes, &raw mut lowest, &raw mut bytes), 0);
        libc::pthread_attr_destroy(&raw mut attributes);
        lowest.addr()..lowest.addr() + bytes
    }
}

#[test]
fn libc_knows_the_stack_of_each_fiber_however_small() {
    runtime(2).run(|| {
        for stack_bytes in [1, 4096, 16 * 1024, 64 * 1024, 1 << 20] {
            let builder = abaca::Builder::new().stack_size(stack_bytes);
            let told =
                builder.spawn(|| (told_stack(), std::ptr::from_ref(&std::hint::black_box(0_u8)).addr()));
            let (told, here) = told.unwrap().join().unwrap();
            assert!(told.contains(&here));
            assert!(told.len() > stack_bytes);
            // All of it is there, and is a stack's.
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let is_there = maps.lines().any(|line| {
                let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
                let address = |text| usize::from_str_radix(text, 16).unwrap();
                line.contains(" rw") && address(start) <= told.start && told.end <= address(end)
            });
            assert!(is_there, "{told:x?} in {maps}");
        }
    });
}

/// How many fibers live at once: some thousand, or as many as this variable of the environment says. 100,000 take a gigabyte.
fn many() -> usize {
    std::env::var("ABACA_OWN_FIBERS").map_or(3_000, |number| number.parse().expect("a number"))
}

#[test]
fn thousands_of_fibers_with_own_storage_live_at_once() {
    thread_local!(static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) });
    struct Ends(Arc<AtomicUsize>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    thread_local!(static ENDS: Cell<Option<Ends>> = const { Cell::new(None) });
    let ended = Arc::new(AtomicUsize::new(0));
    let alive = Arc::new(AtomicUsize::new(0));
    runtime(2).run(|| {
        for round in 1..=2 {
            let (sender, receiver) = abaca::channel::bounded::<()>(0);
            let fibers: Vec<_> = (0..many())
                .map(|number| {
                    let (receiver, alive, ended) = (receiver.clone(), Arc::clone(&alive), Arc::clone(&ended));
                    abaca::spawn(move || {
                        assert_eq!(NUMBER.replace(number), usize::MAX);
                        ENDS.set(Some(Ends(ended)));
                        alive.fetch_add(1, SeqCst);
                        receiver.recv().unwrap_err();
                        assert_eq!(NUMBER.get(), number);
                    })
                })
                .collect();
            while alive.load(SeqCst) < round * many() {
                abaca::yield_now();
            }
            drop(sender);
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
            assert_eq!(ended.load(SeqCst), round * many());
        }
    });
}

/// Makes the process one of a user for whom the limit of threads counts. It does not for root.
fn be_nobody() {
    // SAFETY: system calls without preconditions. `/proc/self` stays the process's own by the last.
    unsafe {
        if libc::getuid() == 0 {
            let somebody = 54_321;
            assert_eq!(libc::setresgid(somebody, somebody, somebody), 0);
            assert_eq!(libc::setresuid(somebody, somebody, somebody), 0);
            assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
        }
    }
}

/// Whether the process may have more threads than it has.
fn allow_threads(allowed: bool) {
    // SAFETY: the limit is read and written.
    unsafe {
        let mut limit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit), 0);
        limit.rlim_cur = if allowed { limit.rlim_max } else { 0 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit), 0);
    }
    assert_eq!(std::thread::Builder::new().spawn(|| ()).is_ok(), allowed);
}

/// Spawns fibers while `allow` forbids to make blocks, which ends those that have none as libc's own call for a new thread would; and others afterwards.
fn some_are_refused_and_nothing_is_lost(allow: impl Fn(bool) + Sync) {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let runtime = runtime(1);
    runtime.run(|| {
        let (dropped, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // One has its block already, and goes on.
        let (sender, receiver) = abaca::channel::unbounded();
        let before = abaca::spawn(move || receiver.iter().sum::<usize>());
        abaca::yield_now();
        allow(false);
        let fibers: Vec<_> = (0..50)
            .map(|number| {
                let (on_drop, sender) = (OnDrop(Arc::clone(&dropped)), sender.clone());
                let started = Arc::clone(&started);
                // Small ones have stacks of another pool.
                let builder = abaca::Builder::new();
                let builder = if number % 2 == 0 { builder.stack_size(16 * 1024) } else { builder };
                let fiber = builder.spawn(move || {
                    let _on_drop = on_drop;
                    started.fetch_add(1, SeqCst);
                    abaca::park();
                    sender.send(number).unwrap();
                    number
                });
                fiber.unwrap()
            })
            .collect();
        while started.load(SeqCst) + dropped.load(SeqCst) < 50 {
            abaca::sleep(Duration::from_micros(100));
        }
        fibers.iter().for_each(|fiber| fiber.fiber().unpark());
        let (mut ran, mut refused) = (Vec::new(), 0);
        for fiber in fibers {
            match fiber.join() {
                Ok(number) => ran.push(number),
                Err(payload) => {
                    let error = payload.downcast::<io::Error>().expect("it had no stack");
                    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused >= 40, "{refused}");
        assert_eq!(dropped.load(SeqCst), 50);
        drop(sender);
        assert_eq!(before.join().unwrap(), ran.into_iter().sum::<usize>());
        // A spawn that tells at once.
        let told = abaca::Builder::new().stack_size(1 << 20).spawn(|| ()).unwrap().join();
        assert!(told.unwrap_err().is::<io::Error>());

        allow(true);
        let fibers: Vec<_> = (0..50).map(|number| abaca::spawn(move || number)).collect();
        assert_eq!(fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum::<i32>(), 49 * 50 / 2);
        // Blocks also end without what it takes to make one.
        allow(false);
    });
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    allow(true);
}

#[test]
fn a_fiber_for_whose_block_there_is_no_thread_is_refused_and_nothing_is_lost() {
    if !is_child() {
        let mut child =
            command("limits::a_fiber_for_whose_block_there_is_no_thread_is_refused_and_nothing_is_lost");
        // Where the layout of a block is known, none needs a thread.
        child.env("ABACA_BLOCKS", "thread");
        passes(child);
        return;
    }
    be_nobody();
    some_are_refused_and_nothing_is_lost(allow_threads);
}

/// libc's own function that allocates a block's variables is told to refuse.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_fiber_for_whose_block_there_is_no_memory_is_refused_and_nothing_is_lost() {
    if !is_child() {
        let code = "
            #include <dlfcn.h>
            #include <errno.h>
            int has_memory = 1;
            void *_dl_allocate_tls(void *block) {
                void *(*next)(void *) = dlsym(RTLD_NEXT, \"_dl_allocate_tls\");
                return __atomic_load_n(&has_memory, __ATOMIC_SEQ_CST) ? next(block) : (errno = ENOMEM, (void *)0);
            }";
        let library = compile("no_memory", code, &["-D_GNU_SOURCE"]);
        let mut child =
            command("limits::a_fiber_for_whose_block_there_is_no_memory_is_refused_and_nothing_is_lost");
        child.env("LD_PRELOAD", &library.0).env_remove("ABACA_BLOCKS");
        passes(child);
        return;
    }
    assert_eq!(abaca_tls::support().expect("it is supported").by_thread(), None);
    // SAFETY: the process was started with the library above.
    let has_memory = unsafe {
        let word = libc::dlsym(libc::RTLD_DEFAULT, c"has_memory".as_ptr());
        word.cast::<std::sync::atomic::AtomicI32>().as_ref().expect("the library is there")
    };
    some_are_refused_and_nothing_is_lost(|allowed| has_memory.store(allowed.into(), SeqCst));
}

/// Counts up, twenty times, with a sleep before each step.
fn ticker(count: &Arc<AtomicUsize>) -> abaca::JoinHandle<()> {
    let count = Arc::clone(count);
    abaca::spawn(move || {
        for _ in 0..20 {
            abaca::sleep(Duration::from_micros(50));
            count.fetch_add(1, SeqCst);
        }
    })
}

/// A runtime with one worker and no spare thread, in a process that may have no more threads.
fn without_spares() -> Runtime {
    loop {
        allow_threads(true);
        let runtime = runtime(1);
        let count = Arc::default();
        // Its stacks are there.
        runtime.run(|| ticker(&count).join().unwrap());
        allow_threads(false);
        // On a busy machine it may have been helped already.
        if runtime.spare_threads() == 0 {
            return runtime;
        }
    }
}

#[test]
fn a_worker_for_which_there_is_no_spare_goes_on_where_it_is_and_says_so_once() {
    const SAID: &str = "OWN_TLS_SAID";
    if !is_child() {
        let name = "limits::a_worker_for_which_there_is_no_spare_goes_on_where_it_is_and_says_so_once";
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("said-{}", std::process::id()));
        let mut command = command(name);
        command.stderr(std::fs::File::create(&path).unwrap()).env(SAID, &path);
        let output = command.output().expect("the child starts");
        let said = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(output.status.success(), "{output:?} {said}");
        // On a busy machine the fiber that computes may be told of as well.
        let told = said.matches("abaca: no thread for a worker whose own is stuck").count();
        assert_eq!(told, 1, "{said}");
        return;
    }
    let mut said = std::fs::File::open(std::env::var_os(SAID).expect("a path")).unwrap();
    be_nobody();
    let runtime = without_spares();
    runtime.run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let mut report = String::new();
        for _ in 0..2 {
            let ticking = ticker(&count);
            let before = count.load(SeqCst);
            // Computes until there was an attempt to help the other fiber; the second time, until there must have been.
            let began = std::time::Instant::now();
            while report.is_empty() || began.elapsed() < Duration::from_millis(20) {
                said.read_to_string(&mut report).unwrap();
            }
            assert_eq!(count.load(SeqCst), before, "nobody else has run");
            ticking.join().unwrap();
        }
        assert_eq!(runtime.spare_threads(), 0);
        allow_threads(true);
        let ticking = ticker(&count);
        // As soon as there is a thread, the worker leaves.
        while count.load(SeqCst) < 60 {
            std::hint::spin_loop();
        }
        ticking.join().unwrap();
        assert!(runtime.spare_threads() > 0);
    });
}

#[test]
fn a_stall_says_that_there_are_no_more_threads() {
    let (sender, reports) = std::sync::mpsc::channel();
    let builder = own().workers(1).max_spare_threads(1);
    let builder = builder.stall_threshold(Duration::from_millis(20)).on_stall(move |stall| {
        sender.send(stall.to_string()).unwrap();
    });
    let runtime = builder.build().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let ended = Arc::clone(&ended);
        runtime.spawn(move || {
            while !ended.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
    }
    // Who waits for both.
    let waiting = runtime.spawn(|| ());
    let (mut seen, long) = (Vec::new(), Duration::from_secs(300));
    // On a busy machine the first of the two may be reported before its worker has left it.
    while !seen
        .last()
        .is_some_and(|report: &String| report.contains("Builder::max_spare_threads allows are taken (1)"))
    {
        seen.push(reports.recv_timeout(long).unwrap_or_else(|_| panic!("{seen:?}")));
    }
    ended.store(true, SeqCst);
    waiting.join().unwrap();
}
