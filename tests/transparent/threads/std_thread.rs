//! std::thread, unmodified: each thread is a fiber.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use abaca::observe::FiberDump;

use super::{as_on_threads, spawn, until};

#[test]
fn results_and_panics_come_through_the_join() {
    let _same = as_on_threads(|| {
        let seven = spawn(|| 7).join().unwrap();
        let payload = spawn(|| panic!("no luck")).join().unwrap_err();
        let id = thread::current().id();
        let other = spawn(|| thread::current().id()).join().unwrap();
        (seven, payload.downcast_ref::<&str>().copied(), id == other, thread::panicking())
    });
}

#[test]
fn a_name_is_std_s_and_pthread_s() {
    let _same = as_on_threads(|| {
        let builder = Builder::new().name("worker bee".into());
        let body = || {
            let mut name = [0_u8; 16];
            #[expect(unsafe_code, reason = "calls libc")]
            // SAFETY: the buffer is large enough.
            let error =
                unsafe { libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr().cast(), 16) };
            if abaca::hook::on_fiber() {
                // Others that it makes have its name, as in the kernel, until they set their own.
                let mine = abaca::current().labels();
                assert_eq!(mine, [("thread".to_owned(), "worker bee".to_owned())], "for a dump");
                let child = Builder::new().spawn(|| abaca::current().labels()).unwrap();
                assert_eq!(child.join().unwrap(), mine);
                let bear = Builder::new().name("bear".into()).spawn(|| abaca::current().labels());
                assert_eq!(bear.unwrap().join().unwrap(), [("thread".to_owned(), "bear".to_owned())]);
            }
            (thread::current().name().map(str::to_owned), error, name)
        };
        let thread = if abaca::hook::on_fiber() {
            builder.spawn(body)
        } else {
            abaca_transparent::as_kernel_threads(|| builder.spawn(body))
        };
        thread.unwrap().join().unwrap()
    });
}

/// A dump shows by which name a thread goes, and the user's own objects that it waits for.
#[test]
fn a_dump_tells_the_lock_and_the_descriptor_that_a_thread_waits_for() {
    as_on_threads(|| {
        if !abaca::hook::on_fiber() {
            return;
        }
        let (mine, mut theirs) = UnixStream::pair().unwrap();
        let number = mine.as_raw_fd();
        let reader =
            Builder::new().name("reads".into()).spawn(move || (&mine).read(&mut [0]).unwrap()).unwrap();
        let lock: &Mutex<()> = Box::leak(Box::new(Mutex::new(())));
        let held = lock.lock().unwrap();
        let locker = Builder::new().name("locks".into()).spawn(|| drop(lock.lock().unwrap())).unwrap();
        let place = std::ptr::from_ref(lock).addr();
        let wait_of = |name: &str| {
            let dump = abaca::dump();
            let is_it = |fiber: &&FiberDump| fiber.labels().iter().any(|(_, value)| value == name);
            let wait = dump.fibers().iter().find(is_it).and_then(FiberDump::wait);
            wait.map(|wait| (wait.object().map(str::to_owned), wait.address()))
        };
        until(|| wait_of("reads").is_some() && wait_of("locks").is_some());
        let (read, _) = wait_of("reads").unwrap();
        assert!(read.as_ref().is_some_and(|read| read.contains(&format!("descriptor {number}"))), "{read:?}");
        let (_, address) = wait_of("locks").unwrap();
        assert!(address.is_some_and(|address| (place..place + size_of_val(lock)).contains(&address)));
        drop(held);
        theirs.write_all(b"x").unwrap();
        locker.join().unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn threads_park_and_are_unparked() {
    let _same = as_on_threads(|| {
        let (sender, receiver) = mpsc::channel();
        let parked = spawn(move || {
            sender.send(thread::current()).unwrap();
            thread::park();
            thread::park_timeout(Duration::from_secs(100));
            thread::park_timeout(Duration::from_millis(1));
            "unparked"
        });
        let thread = receiver.recv().unwrap();
        thread.unpark();
        let again = spawn(move || {
            thread::sleep(Duration::from_millis(2));
            thread.unpark();
        });
        // The first token may be taken for both.
        let result = loop {
            if parked.is_finished() {
                break parked.join().unwrap();
            }
            parked.thread().unpark();
            thread::yield_now();
        };
        again.join().unwrap();
        result
    });
}

#[test]
fn scoped_threads_borrow() {
    let _same = as_on_threads(|| {
        let mut numbers = vec![1, 2, 3];
        let total = AtomicU32::new(0);
        let mut run = || {
            thread::scope(|scope| {
                for number in &mut numbers {
                    let total = &total;
                    scope.spawn(move || {
                        thread::sleep(Duration::from_millis(1));
                        *number *= 2;
                        total.fetch_add(*number, Ordering::Relaxed);
                    });
                }
            });
        };
        if abaca::hook::on_fiber() {
            run()
        } else {
            abaca_transparent::as_kernel_threads(&mut run)
        }
        (numbers, total.into_inner())
    });
}

#[test]
fn thread_locals_are_a_threads_own_and_dropped_before_the_join_returns() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Counts(u32);
    impl Drop for Counts {
        fn drop(&mut self) {
            // A destructor may block.
            thread::sleep(Duration::from_micros(50));
            DROPPED.fetch_add(self.0, Ordering::Relaxed);
        }
    }
    thread_local! {
        static PLAIN: Cell<u32> = const { Cell::new(5) };
        static LIST: RefCell<Vec<Counts>> = const { RefCell::new(Vec::new()) };
    }
    let _same = as_on_threads(|| {
        DROPPED.store(0, Ordering::Relaxed);
        let threads: Vec<_> = (0..50)
            .map(|n| {
                spawn(move || {
                    let before = PLAIN.replace(n);
                    LIST.with_borrow_mut(|list| list.push(Counts(1)));
                    thread::yield_now();
                    LIST.with_borrow_mut(|list| list.push(Counts(1)));
                    (before, PLAIN.get() == n)
                })
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (results, DROPPED.load(Ordering::Relaxed))
    });
}

#[test]
fn sleeps_last_and_are_made_side_by_side() {
    /// How many have begun to sleep.
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    let _same = as_on_threads(|| {
        BEGUN.store(0, Ordering::Relaxed);
        let all = Arc::new(Barrier::new(200));
        let sleeper = || {
            let all = all.clone();
            spawn(move || {
                all.wait();
                let mine = BEGUN.fetch_add(1, Ordering::Relaxed) + 1;
                let begin = Instant::now();
                thread::sleep(Duration::from_millis(20));
                assert!(begin.elapsed() >= Duration::from_millis(20));
                BEGUN.load(Ordering::Relaxed) > mine
            })
        };
        let threads: Vec<_> = (0..200).map(|_| sleeper()).collect();
        // One after the other, none would have seen another begin meanwhile.
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(false, |one, sees| one | sees)
    });
}

#[test]
fn detached_threads_go_on() {
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let _same = as_on_threads(|| {
        ENDED.store(0, Ordering::Relaxed);
        for _ in 0..20 {
            drop(spawn(|| {
                thread::sleep(Duration::from_millis(1));
                ENDED.fetch_add(1, Ordering::Relaxed);
            }));
        }
        until(|| ENDED.load(Ordering::Relaxed) == 20);
        thread::available_parallelism().unwrap()
    });
}

#[test]
fn plain_threads_make_fibers_on_the_processs_runtime() {
    abaca_transparent::threads_are_fibers().unwrap();
    let threads: Vec<_> = (0..100)
        .map(|n| {
            thread::spawn(move || {
                assert!(abaca::hook::on_fiber());
                thread::spawn(move || n).join().unwrap()
            })
        })
        .collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 4950);
}

#[test]
fn the_stack_is_as_large_as_asked_for() {
    fn depth(n: u32) -> u32 {
        let page = std::hint::black_box([n; 1024]);
        if n == 0 { page[5] } else { depth(n - 1) + page[6] / page[7] }
    }
    let _same = as_on_threads(|| {
        let builder = Builder::new().stack_size(16 * 1024 * 1024);
        let body = || depth(2000);
        let thread = if abaca::hook::on_fiber() {
            builder.spawn(body)
        } else {
            abaca_transparent::as_kernel_threads(|| builder.spawn(body))
        };
        thread.unwrap().join().unwrap()
    });
}

#[test]
fn a_stack_that_is_larger_than_memory_is_refused() {
    let same = as_on_threads(|| {
        #[expect(unsafe_code, reason = "calls libc")]
        // SAFETY: attributes that are initialised, and a routine that is not called.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_attr_init(&mut attributes);
            let set = libc::pthread_attr_setstacksize(&mut attributes, usize::MAX - 0x2fff);
            let mut thread = 0;
            let mut create = || libc::pthread_create(&mut thread, &attributes, never, std::ptr::null_mut());
            let created =
                if abaca::hook::on_fiber() { create() } else { abaca_transparent::as_kernel_threads(create) };
            (set, created)
        }
    });
    assert_eq!(same, (0, libc::EAGAIN));
    extern "C" fn never(_: *mut std::ffi::c_void) -> *mut std::ffi::c_void {
        unreachable!("it was refused")
    }
}

#[test]
fn threads_end_after_a_library_was_loaded() {
    abaca_transparent::threads_are_fibers().unwrap();
    // A part of glibc that nothing of the tests is linked with. What it brings is given its first values at each end of a fiber.
    #[expect(unsafe_code, reason = "calls libc")]
    // SAFETY: the name ends in a zero byte.
    let library = unsafe { libc::dlopen(c"libanl.so.1".as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    for _ in 0..3 {
        let threads: Vec<_> = (0..20).map(|n| thread::spawn(move || n)).collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 190);
    }
}
