//! Libraries with thread-local variables that are loaded while blocks are alive. The libraries are compiled by the tests.
#![expect(unsafe_code, reason = "loads libraries and calls their functions")]

mod fiber;

use std::ffi::{CString, c_int, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca_tls::Carrier;
use fiber::{Fiber, has_blocks, in_child, in_fiber, is_child, suspend};

/// Compiles a library that has `variable`, and functions that read and write it.
fn compile(name: &str, variable: &str, options: &[&str]) -> CString {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("lib{name}.so")));
    let code = format!(
        "{variable}
        int {name}_get(void) {{ return value; }}
        void {name}_set(int to) {{ value = to; }}
        void *{name}_at(void) {{ return (void *)&value; }}"
    );
    std::fs::write(&source, code).expect("a file");
    let arguments = ["-O2", "-fPIC", "-shared", "-o"];
    let compiler = Command::new("cc").args(arguments).args([&library, &source]).args(options).status();
    assert!(compiler.expect("the compiler that Rust links with").success());
    CString::new(library.into_os_string().into_encoded_bytes()).expect("a path")
}

#[derive(Clone, Copy)]
struct Library {
    handle: *mut c_void,
    get: unsafe extern "C" fn() -> c_int,
    set: unsafe extern "C" fn(c_int),
    at: unsafe extern "C" fn() -> *mut c_void,
}

// SAFETY: functions of a library.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    fn load(name: &str, path: &CString) -> Self {
        // SAFETY: a library of ours, without initialisers, with functions of these types.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null(), "{:?}", std::ffi::CStr::from_ptr(libc::dlerror()));
            let find = |what: &str| {
                let symbol = CString::new(format!("{name}_{what}")).expect("a name");
                let address = libc::dlsym(handle, symbol.as_ptr());
                assert!(!address.is_null());
                address
            };
            Self {
                handle,
                get: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(find("get")),
                set: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int)>(find("set")),
                at: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *mut c_void>(find("at")),
            }
        }
    }

    fn get(self) -> c_int {
        // SAFETY: the library is loaded.
        unsafe { (self.get)() }
    }

    fn set(self, value: c_int) {
        // SAFETY: as above.
        unsafe { (self.set)(value) };
    }

    fn unload(self) {
        // SAFETY: nothing of it is used any more.
        assert_eq!(unsafe { libc::dlclose(self.handle) }, 0);
    }
}

/// Runs the test named `name` in a process of its own, since what is loaded slows down all resets that follow.
fn alone(name: &str, body: fn()) {
    if !has_blocks() {
        return;
    }
    if is_child(name) { body() } else { assert!(in_child(name).success()) }
}

#[test]
fn variables_of_fixed_places_have_their_first_values_in_fibers_old_and_new() {
    alone("variables_of_fixed_places_have_their_first_values_in_fibers_old_and_new", || {
        let path = compile("fixed", "static __thread int value = 42;", &["-ftls-model=initial-exec"]);
        reads_and_is_reset("fixed", &path);
    });
}

#[test]
fn variables_that_are_allocated_at_first_use_have_their_first_values() {
    alone("variables_that_are_allocated_at_first_use_have_their_first_values", || {
        let path = compile("dynamic", "static __thread int value = 42; __thread char more[3000];", &[]);
        reads_and_is_reset("dynamic", &path);
    });
}

fn reads_and_is_reset(name: &'static str, path: &CString) {
    static LIBRARY: std::sync::OnceLock<Library> = std::sync::OnceLock::new();
    let carrier = Carrier::of_this_thread().expect("blocks");
    let use_it = || {
        let library = LIBRARY.get().expect("it is loaded");
        assert_eq!(library.get(), 42);
        library.set(5);
        suspend();
        assert_eq!(library.get(), 5);
    };
    let mut old = Fiber::new(move || {
        suspend();
        use_it();
    });
    old.resume(&carrier);
    LIBRARY.get_or_init(|| Library::load(name, path));
    let mut new = Fiber::new(use_it);
    for _ in 0..3 {
        old.run(&carrier);
        new.run(&carrier);
        old.restart(use_it);
        new.restart(use_it);
    }
    old.run(&carrier);
    new.run(&carrier);
}

#[test]
fn another_library_in_the_place_of_one_that_is_gone_has_its_own_values() {
    alone("another_library_in_the_place_of_one_that_is_gone_has_its_own_values", || {
        let carrier = Carrier::of_this_thread().expect("blocks");
        let paths = [("one", 1), ("two", 2)].map(|(name, value)| {
            let variable = format!("static __thread int value = {value};");
            (name, value, compile(name, &variable, &["-ftls-model=initial-exec"]))
        });
        let mut fiber = Fiber::new(|| ());
        fiber.run(&carrier);
        for round in 0..6 {
            let (name, value, path) = &paths[round % 2];
            let (library, value) = (Library::load(name, path), *value);
            for _ in 0..3 {
                fiber.restart(move || {
                    assert_eq!(library.get(), value);
                    library.set(100);
                });
                fiber.run(&carrier);
            }
            library.unload();
        }
    });
}

#[test]
fn resets_go_on_while_libraries_are_loaded() {
    alone("resets_go_on_while_libraries_are_loaded", || {
        let path = compile("busy", "static __thread int value = 42;", &["-ftls-model=initial-exec"]);
        let stop = &std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..300 {
                    let library = Library::load("busy", &path);
                    assert_eq!(library.get(), 42);
                    in_fiber(move || {
                        assert_eq!(library.get(), 42);
                        library.set(7);
                    });
                    in_fiber(move || assert_eq!(library.get(), 42));
                    library.unload();
                }
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            scope.spawn(move || {
                let carrier = Carrier::of_this_thread().expect("blocks");
                let mut fiber = Fiber::new(|| ());
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    fiber.run(&carrier);
                    fiber.restart(|| ());
                }
                fiber.run(&carrier);
            });
        });
    });
}

#[test]
fn a_library_with_megabytes_of_variables_is_the_fibers() {
    alone("a_library_with_megabytes_of_variables_is_the_fibers", || {
        let variable = "static __thread int value = 42; __thread char more[4 << 20] = {1};";
        let path = compile("large", variable, &[]);
        let library = Library::load("large", &path);
        let carrier = Carrier::of_this_thread().expect("blocks");
        let body = move || {
            assert_eq!(library.get(), 42);
            library.set(1);
            // On its stack there would be no room: libc allocates it.
            // SAFETY: the library is loaded.
            assert_ne!(unsafe { (library.at)() }, std::ptr::null_mut());
        };
        let mut fiber = Fiber::new(body);
        fiber.run(&carrier);
        fiber.restart(body);
        fiber.run(&carrier);
    });
}

#[test]
fn a_child_of_fork_makes_blocks_that_its_libraries_reach() {
    alone("a_child_of_fork_makes_blocks_that_its_libraries_reach", || {
        static LIBRARY: std::sync::OnceLock<Library> = std::sync::OnceLock::new();
        const NAME: &str = "forked";
        let path = compile(NAME, "static __thread int value = 42;", &["-ftls-model=initial-exec"]);
        in_fiber(|| ());
        let in_child = || {
            let carrier = Carrier::of_this_thread().expect("blocks");
            let mut fiber = Fiber::new(|| {
                suspend();
                assert_eq!(LIBRARY.get().expect("it is loaded").get(), 42);
            });
            fiber.resume(&carrier);
            assert!(LIBRARY.set(Library::load(NAME, &path)).is_ok());
            fiber.run(&carrier);
        };
        // SAFETY: nobody else holds a lock: the process runs this test alone. The child ends by `_exit`.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(in_child));
                libc::_exit(if result.is_ok() { 0 } else { 1 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:x}");
        }
    });
}

/// Makes threads on stacks of their own, whose entries on libc's list are beside those of blocks, until `is_over`.
fn make_threads(is_over: &AtomicBool) {
    extern "C" fn nothing(_: *mut c_void) -> *mut c_void {
        std::ptr::null_mut()
    }
    let mut stack = vec![0_u128; 8 * 1024];
    while !is_over.load(Ordering::Relaxed) {
        // SAFETY: the attributes are initialised, and the thread is over before its stack is used again.
        unsafe {
            let mut attributes = std::mem::zeroed();
            let mut thread = std::mem::zeroed();
            assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
            let bytes = stack.len() * size_of::<u128>();
            assert_eq!(libc::pthread_attr_setstack(&raw mut attributes, stack.as_mut_ptr().cast(), bytes), 0);
            let made =
                libc::pthread_create(&raw mut thread, &raw const attributes, nothing, std::ptr::null_mut());
            assert_eq!(made, 0);
            assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
            libc::pthread_attr_destroy(&raw mut attributes);
        }
    }
}

#[test]
fn blocks_come_and_go_while_libc_walks_its_list_of_threads() {
    alone("blocks_come_and_go_while_libc_walks_its_list_of_threads", || {
        const NAME: &str = "walked";
        let path = compile(NAME, "static __thread int value = 42;", &["-ftls-model=initial-exec"]);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for seed in 1..3 {
                let is_over = &is_over;
                scope.spawn(move || {
                    let carrier = Carrier::of_this_thread().expect("blocks");
                    let mut fibers = std::collections::VecDeque::new();
                    for round in 0_usize.. {
                        if is_over.load(Ordering::Relaxed) && round > 500 {
                            break;
                        }
                        fibers.push_back(Fiber::new(|| {
                            let own = std::thread::current().id();
                            suspend();
                            assert_eq!(std::thread::current().id(), own);
                        }));
                        fibers.back_mut().expect("just made").resume(&carrier);
                        // They end in another order than they were made in.
                        if fibers.len() > 20 {
                            let mut fiber = fibers.swap_remove_back(round * seed % 20).expect("so many");
                            fiber.run(&carrier);
                        }
                    }
                    fibers.iter_mut().for_each(|fiber| fiber.run(&carrier));
                });
            }
            scope.spawn(|| make_threads(&is_over));
            for _ in 0..200 {
                // `dlopen` writes to each block, and `dlclose` and `setgid` look at each.
                let library = Library::load(NAME, &path);
                let (seen, carrier) = (std::sync::mpsc::channel(), Carrier::of_this_thread());
                let sender = seen.0;
                let mut fiber = Fiber::new(move || sender.send(library.get()).expect("it is received"));
                fiber.run(&carrier.expect("blocks"));
                assert_eq!(seen.1.recv(), Ok(42));
                library.unload();
                // SAFETY: has no preconditions.
                assert_eq!(unsafe { libc::setgid(libc::getgid()) }, 0);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}
