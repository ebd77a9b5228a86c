//! Libraries with thread-local variables, which the tests compile: loaded while fibers live, or with megabytes of them.

#![expect(unsafe_code, reason = "loads libraries, and calls their functions")]

use std::ffi::{CString, c_int, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use abaca::Builder;

use crate::{command, is_child, passes, runtime};

/// A library, whose file is removed at the end.
pub(crate) struct Compiled(pub(crate) PathBuf);

impl Drop for Compiled {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

impl Compiled {
    /// Loads the library. Returns its handle.
    pub(crate) fn load(&self) -> *mut c_void {
        let path = CString::new(self.0.as_os_str().as_encoded_bytes()).expect("a path");
        // SAFETY: a library of ours, without initialisers.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null(), "{:?}", std::ffi::CStr::from_ptr(libc::dlerror()));
            handle
        }
    }
}

/// Compiles a library of C.
pub(crate) fn compile(name: &str, code: &str, options: &[&str]) -> Compiled {
    compile_by("cc", "c", name, code, options)
}

/// Compiles a library by this compiler, for which the file of the code ends in `suffix`.
pub(crate) fn compile_by(compiler: &str, suffix: &str, name: &str, code: &str, options: &[&str]) -> Compiled {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Several runs of these tests may be under way.
    let id = std::process::id();
    let (source, library) =
        (folder.join(format!("{name}-{id}.{suffix}")), folder.join(format!("lib{name}-{id}.so")));
    std::fs::write(&source, code).expect("a file");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-fPIC", "-shared", "-o"]).args([&library, &source]).args(options);
    assert!(command.status().expect("the compiler is there").success());
    std::fs::remove_file(source).expect("a file");
    Compiled(library)
}

/// A library with this variable, called `value`.
fn with_variable(name: &str, variable: &str, options: &[&str]) -> Compiled {
    let code = format!("{variable} int get(void) {{ return value; }} void set(int to) {{ value = to; }}");
    compile(name, &code, options)
}

/// The functions of a library [with a variable](with_variable).
#[derive(Clone, Copy)]
struct Library {
    get: unsafe extern "C" fn() -> c_int,
    set: unsafe extern "C" fn(c_int),
}

impl Library {
    /// # Safety
    ///
    /// `handle` is that of such a library, or of a process that was started with one; it stays loaded.
    unsafe fn find(handle: *mut c_void) -> Self {
        // SAFETY: the caller's promise; the functions have these types.
        unsafe {
            let [get, set] = [c"get", c"set"].map(|name| libc::dlsym(handle, name.as_ptr()));
            assert!(!get.is_null() && !set.is_null());
            Self {
                get: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(get),
                set: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int)>(set),
            }
        }
    }

    fn load(file: &Compiled) -> Self {
        let handle = file.load();
        // SAFETY: the library stays loaded.
        unsafe { Self::find(handle) }
    }

    fn get(self) -> c_int {
        // SAFETY: the library is loaded.
        unsafe { (self.get)() }
    }

    fn set(self, value: c_int) {
        // SAFETY: as above.
        unsafe { (self.set)(value) };
    }

    /// What a fiber finds, and keeps over its moves.
    fn is_the_fibers(self, number: c_int) {
        assert_eq!(self.get(), 42);
        for round in 0..5 {
            self.set(number + round);
            abaca::yield_now();
            assert_eq!(self.get(), number + round);
        }
    }
}

/// Loads a library while fibers live, in one of them, and uses it in those and in later ones.
fn load_while_fibers_live(file: Compiled) {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    runtime(2).run(|| {
        let (sender, receiver) = abaca::channel::bounded::<()>(0);
        let mut fibers: Vec<_> = (0..20)
            .map(|number| {
                let receiver = receiver.clone();
                let body = move || {
                    receiver.recv().unwrap_err();
                    LIBRARY.wait().is_the_fibers(number);
                };
                Builder::new().spawn_roaming(body).unwrap()
            })
            .collect();
        (0..100).for_each(|_| abaca::yield_now());
        abaca::spawn(move || LIBRARY.get_or_init(|| Library::load(&file)).is_the_fibers(100)).join().unwrap();
        drop(sender);
        fibers.extend((0..100).map(|number| {
            Builder::new().spawn_roaming(move || LIBRARY.wait().is_the_fibers(number)).unwrap()
        }));
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn a_library_with_variables_of_fixed_places_is_loaded_while_fibers_live() {
    if !is_child() {
        passes(command("libraries::a_library_with_variables_of_fixed_places_is_loaded_while_fibers_live"));
        return;
    }
    let options = ["-ftls-model=initial-exec"];
    load_while_fibers_live(with_variable("runtime_fixed", "static __thread int value = 42;", &options));
}

#[test]
fn a_library_with_megabytes_of_variables_is_loaded_while_fibers_live() {
    if !is_child() {
        passes(command("libraries::a_library_with_megabytes_of_variables_is_loaded_while_fibers_live"));
        return;
    }
    let variable = "static __thread int value = 42; __thread char more[4 << 20] = {1};";
    load_while_fibers_live(with_variable("runtime_dynamic", variable, &[]));
}

#[test]
fn a_program_with_megabytes_of_variables_has_larger_stacks() {
    const NAME: &str = "libraries::a_program_with_megabytes_of_variables_has_larger_stacks";
    if !is_child() {
        let variable = "static __thread int value = 42; __thread char more[3 << 20] = {1};";
        let library = with_variable("runtime_static", variable, &[]);
        let mut command = command(NAME);
        // The variables take room on each thread's stack.
        command.env("LD_PRELOAD", &library.0).env("RUST_MIN_STACK", (16 << 20).to_string());
        passes(command);
        return;
    }
    // SAFETY: the process was started with it.
    let library = unsafe { Library::find(libc::RTLD_DEFAULT) };
    runtime(2).run(|| {
        for stack_bytes in [None, Some(16 * 1024), Some(1 << 20)] {
            let fibers: Vec<_> = (0..20)
                .map(|number| {
                    let builder = Builder::new();
                    let builder = match stack_bytes {
                        Some(bytes) => builder.stack_size(bytes),
                        None => builder,
                    };
                    builder.spawn(move || library.is_the_fibers(number)).unwrap()
                })
                .collect();
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        }
    });
}
