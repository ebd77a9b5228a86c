//! `libabaca_preload.so`: makes the threads of a program that was built without abaca its fibers.
//!
//! ```sh
//! LD_PRELOAD=target/release/libabaca_preload.so ABACA_WORKERS=2 ./server
//! ```
//!
//! The dynamic linker puts this library before libc, so its functions take the place of libc's in the program and in all of its
//! libraries. Before `main` it calls [`threads_are_fibers`](abaca_transparent::threads_are_fibers), whose page says what is as with
//! threads, and what is not. If fibers cannot have storage of their own here, it says why on the standard error stream, and the
//! program runs on threads.
//!
//! | variable | meaning |
//! |---|---|
//! | `ABACA_WORKERS` | how many OS threads run fibers; else one for each processor |
//! | `ABACA_PRELOAD=0` | the library does nothing: for the children of a program, which inherit `LD_PRELOAD` |
//!
//! # What works
//!
//! `examples/preload/run` (`bash .ci/run preload`) starts these as Debian 12 has them, plain and preloaded with two workers, lets their
//! clients check each answer, and counts the kernel's threads while all clients are connected:
//!
//! | server | clients | threads | on fibers |
//! |---|---|---|---|
//! | `mariadbd` 10.11, one thread a connection, loaded by its `mariadb-slap` | 2,000 | 2,015 | 13 |
//! | a server in Java, with a thread for each connection (OpenJDK 17) | 2,000 | 2,020 | 14 |
//! | `microsocks` 1.0 | 2,000 | 2,001 | 27 |
//! | `stunnel4` 5.68 | 300 | 302 | 16 |
//! | `civetweb` 1.15 | 300 | 302 | 31 |
//! | Python 3.11's `ThreadingHTTPServer` | 300 | 301 | 16 |
//! | Ruby 3.1's WEBrick | 300 | 302 | 28 |
//! | `atftpd` 0.8, a thread for each file | 100 | 101 | 6 |
//! | `tinyproxy` 1.11 | 300 | 301 | 11 |
//! | `apache2` 2.4 with `mpm_worker`, in three processes that it forks | 300 | 907 | 29 |
//! | `nginx` 1.22, which reads files in pools of threads, in two processes | 300 | 35 | 11 |
//!
//! Tried by hand: `nbdkit` 1.32 with twelve clients, whose copies are equal (205 threads; 12 on fibers), and `iperf` 2.1 with twenty connections;
//! `memcached` 1.6 with eight threads and fifty clients, `unbound` 1.17 with four; `pigz`, `pbzip2`, `xz`, `zstd`, `sort`, `git repack` and `git grep`
//! with four threads, `aria2c`, `curl --parallel`, `mosquitto` and `rsync`, `ripgrep`, `fd`, `hyperfine`, `bindfs` (files by FUSE), `cargo` and `rustc`, whose
//! results are those of threads.
//!
//! The tests of Rust's standard library, and those of blocking crates and of small async runtimes, were run as their authors have them, on threads and on
//! fibers of one worker and of two. What differs is what depends on the kernel's threads: `ptrace`, fanotify's FAN_REPORT_TID.
//!
//! Programs of threads, descriptors, signals, timers, processes and terminals in C, of C++'s library (`jthread`, `async`, latches, barriers, semaphores,
//! `atomic::wait`, parallel algorithms by TBB), OpenMP (libgomp), GLib, libuv, libevent, and of Python's, Perl's and Ruby's threads were compared
//! with what they do on threads, on one worker and on two.
//!
//! So were programs of threads, sockets, processes, signals and garbage in Java (OpenJDK 25, with five collectors and virtual threads), C# (Mono, and
//! .NET Core 3.1), D, Ada, OCaml, Haskell, Common Lisp (SBCL, ECL), Scheme (Guile, Chez), Racket, Erlang, Go with C, Prolog, Tcl, Lua, PHP, R, Pascal
//! and JavaScript (node, bun, deno), and 57 modules of CPython 3.11's own tests, those of threads, sockets and processes
//! among them.
//!
//! The tests of libuv 1.44 (381) and libevent 2.1 (372), glibc 2.36's of its threads (369, with those of `rt`) and the Linux Test Project's of 130 system calls
//! (649) were run unmodified with `main` on a fiber, and CPython's `asyncio` beside them. What differs is on the page of `abaca-transparent`, or depends
//! on `/proc/self/task`, but for five tests whose cause is not known.
//!
//! So were libstdc++ 12's tests of threads and of atomic waits (188, all as on threads), libgomp's (431), memcached's (69, all as on threads, with its own
//! threads), and of Debian's installed tests those of systemd (99), dbus and libsoup 3. What differs is on that page: the numbers of descriptors, signals told twice by
//! `signalfd`, `omp_pause_resource`.
//! Redis' tests in seven files (119), twenty of MariaDB's, boost.interprocess' and boost.asio's (37), abseil's of synchronization (10), sqlite's of threads, locks
//! and its log (35) and eight modules of CPython 3.13's end as on threads.
//!
//! A child by `fork` may have threads of its own, whichever thread has forked: Python's `multiprocessing` and `ProcessPoolExecutor`, used by
//! threads, answer as they do there.
//!
//! # What does not work
//!
//! * Programs that are linked statically, and those with more rights than their user: the dynamic linker preloads nothing there.
//! * Threads that are made by other means than `pthread_create` and `thrd_create`: by bare `clone`, as Go does, or by a library that
//!   looks libc's function up, as jemalloc does for its own. They stay the kernel's, and wait in the kernel.
//! * Threads that spin for each other without a call, as Redis' `io-threads` do: they are right and slow, since they take turns.
//! * What becomes of signals, and of their masks, is on the page of `abaca-transparent`. Collectors of garbage that stop all threads by
//!   signals work; each thread that they have stopped has an OS thread for itself until it goes on.
//! * A library whose constructor or destructor waits for threads that are the first of the process, or for the end of the first since a library was
//!   loaded: what these do takes the loader's lock, which is held meanwhile. So does a collector that stops a thread which has that lock, if the runtime needs
//!   another OS thread just then.
//! * In a child by `fork` what another thread had locked just then stays locked, as ever.

#![expect(unsafe_code, reason = "runs before main")]

/// Called by the dynamic linker, when the libraries that this one needs are initialised.
extern "C" fn begin() {
    if std::env::var_os("ABACA_PRELOAD").is_some_and(|value| value == "0") {
        return;
    }
    if let Err(error) = abaca_transparent::threads_are_fibers() {
        eprintln!("abaca-preload: the threads stay threads: {error}");
    }
}

// SAFETY: the section is an array of functions without arguments that are needed, which the dynamic linker calls.
#[unsafe(link_section = ".init_array")]
#[used]
static BEGIN: extern "C" fn() = begin;
