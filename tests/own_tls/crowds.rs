//! Many fibers that compute at once: all of them begin, whoever waits beside them goes on, and the threads that a hand-off waits for get a
//! processor before them, but nothing that the fibers run or start has another time slice than the process.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::hogs::{hog_until, tick};
use crate::{own, runtime};

/// More than there are processors, and than time slices in the patience of a test.
const MANY: usize = 60;

#[test]
fn all_that_compute_begin_before_one_ends_and_a_ticker_goes_on() {
    for workers in [1, 2] {
        runtime(workers).run(|| {
            let [begun, ticks] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
            let theirs = Arc::clone(&ticks);
            let ticker = abaca::spawn(move || tick(&theirs, 20));
            let fibers: Vec<_> = (0..MANY)
                .map(|_| {
                    let (begun, ticks) = (Arc::clone(&begun), Arc::clone(&ticks));
                    abaca::spawn(move || {
                        begun.fetch_add(1, SeqCst);
                        hog_until(&begun, MANY);
                        hog_until(&ticks, 20);
                    })
                })
                .collect();
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
            ticker.join().unwrap();
        });
    }
}

/// The time slice of the thread of this process with this id, in nanoseconds, and 0 for the calling one. `None` if the kernel does not tell: those before Linux 6.12.
fn slice_of(thread: i32) -> Option<u64> {
    // Its size, the policy, flags, the niceness, a priority, and three times, of which the slice is the first.
    let mut attributes = [0_u64; 6];
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel writes as many bytes as it is told there are.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_getattr, thread, attributes.as_mut_ptr(), size_of_val(&attributes), 0)
    };
    (result == 0 && attributes[3] != 0).then_some(attributes[3])
}

/// The slices of the threads of this process that have this name.
fn slices_of(name: &str) -> Vec<u64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    // One that has ended meanwhile has no name.
    let named =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|found| found.trim() == name));
    let number = |task: std::path::PathBuf| task.file_name()?.to_str()?.parse().ok();
    named.filter_map(number).filter_map(slice_of).collect()
}

#[test]
fn who_is_waited_for_has_a_short_time_slice_and_what_fibers_run_and_start_the_usual_one() {
    if std::env::var_os("PRINT_SLICE").is_some() {
        println!("slice {}", slice_of(0).unwrap());
        return;
    }
    let Some(usual) = slice_of(0) else { return };
    let started = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&started);
    // Names of threads have 15 bytes at most.
    let runtime = own()
        .workers(1)
        .name("crowd")
        .on_thread_start(move || {
            assert_eq!(slice_of(0), Some(usual));
            theirs.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    runtime.run(move || {
        let [begun, checked] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let fibers: Vec<_> = (0..4)
            .map(|_| {
                let (begun, checked) = (Arc::clone(&begun), Arc::clone(&checked));
                abaca::spawn(move || {
                    begun.fetch_add(1, SeqCst);
                    // Its worker has left it, and that of another one is on a spare.
                    hog_until(&begun, 4);
                    assert_eq!(slice_of(0), Some(usual));
                    assert_eq!(std::thread::spawn(|| slice_of(0)).join().unwrap(), Some(usual));
                    checked.fetch_add(1, SeqCst);
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        let this = std::env::current_exe().unwrap();
        let name =
            "crowds::who_is_waited_for_has_a_short_time_slice_and_what_fibers_run_and_start_the_usual_one";
        let output = Command::new(this)
            .args([name, "--exact", "--nocapture"])
            .env("PRINT_SLICE", "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(&format!("slice {usual}\n")), "{output}");
    });
    assert!(started.load(SeqCst) > 1, "there were spares");
    // The monitor, and in the end all spares but the one that may be the worker's thread.
    let usual_ones = |name| slices_of(name).iter().filter(|slice| **slice == usual).count();
    while usual_ones("crowd-monitor") > 0 || usual_ones("crowd-spare") > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_worker_that_sleeps_beside_one_that_computes_comes_before_it_when_it_wakes_up() {
    let Some(usual) = slice_of(0) else { return };
    let runtime = own().workers(1).name("nap").build().unwrap();
    let is_seen = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&is_seen);
    let watcher = std::thread::spawn(move || {
        // One of them waits for a worker, and one sleeps with the worker.
        while slices_of("nap-spare").iter().filter(|slice| **slice < usual).count() < 2 {
            std::thread::yield_now();
        }
        theirs.store(1, SeqCst);
    });
    runtime.run(move || {
        let theirs = Arc::clone(&is_seen);
        let hog = abaca::spawn(move || hog_until(&theirs, 1));
        while is_seen.load(SeqCst) == 0 {
            abaca::time::sleep(std::time::Duration::from_millis(1));
            assert_eq!(slice_of(0), Some(usual));
        }
        hog.join().unwrap();
    });
    watcher.join().unwrap();
}
