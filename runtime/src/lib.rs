//! abaca: green threads for Rust on Linux.
//!
//! You write plain blocking code. Each green thread, a *fiber*, has a stack of its own. A call that would block, on a socket, a
//! lock, a channel or the time, parks the fiber and not the OS thread. A work-stealing scheduler runs millions of fibers on a
//! few OS threads, the *workers*; a switch between two fibers is a few hand-written instructions.
//!
//! ```
//! use std::io::{Read, Write};
//! use abaca::net::{TcpListener, TcpStream};
//!
//! fn main() -> std::io::Result<()> {
//!     abaca::run(|| {
//!         let listener = TcpListener::bind("127.0.0.1:0")?;
//!         let address = listener.local_addr()?;
//!         // A fiber for the server, and one for each connection.
//!         abaca::spawn(move || {
//!             for stream in listener.incoming().map_while(Result::ok) {
//!                 abaca::spawn(move || std::io::copy(&mut &stream, &mut &stream));
//!             }
//!         });
//!
//!         let mut client = TcpStream::connect(address)?;
//!         client.write_all(b"hello")?;
//!         let mut answer = [0; 5];
//!         client.read_exact(&mut answer)?; // parks this fiber until the bytes are there
//!         assert_eq!(&answer, b"hello");
//!         Ok(())
//!     })
//! }
//! ```
//!
//! The API is that of std, tokio and crossbeam with the `use` lines changed. Everything works on plain threads as well, where
//! it blocks the thread: threads and fibers can share locks, channels and sockets.
//!
//! The [`guide`] has a [tutorial](guide::tutorial), pages for those who come from [threads](guide::from_std), from
//! [tokio](guide::from_tokio) and from [Go](guide::from_go), and a [cookbook](guide::cookbook).
//!
//! # A tour
//!
//! ```
//! use std::time::Duration;
//! use abaca::channel::bounded;
//! use abaca::sync::Mutex;
//! use abaca::time::timeout;
//!
//! // Starts a runtime, runs the closure as its main fiber, and ends the runtime.
//! abaca::run(|| {
//!     // Spawn and join, as with threads. A panic of the fiber would be the `Err` of the join.
//!     let fiber = abaca::spawn(|| 6 * 7);
//!     assert_eq!(fiber.join().unwrap(), 42);
//!
//!     // Fibers of a scope may borrow. The scope joins them.
//!     let total = Mutex::new(0);
//!     abaca::scope(|scope| {
//!         for n in 1..=100 {
//!             let total = &total;
//!             scope.spawn(move || *total.lock().unwrap() += n);
//!         }
//!     });
//!     assert_eq!(total.into_inner().unwrap(), 5050);
//!
//!     // Channels, as crossbeam's: a full channel makes its senders wait.
//!     let (sender, receiver) = bounded(4);
//!     abaca::spawn(move || (0..10).try_for_each(|n| sender.send(n)));
//!     assert_eq!(receiver.iter().sum::<i32>(), 45);
//!
//!     // A deadline around any blocking code.
//!     let late = timeout(Duration::from_millis(1), || abaca::sleep(Duration::from_secs(3600)));
//!     assert!(late.is_err());
//!
//!     // Cancellation from outside: the fiber unwinds from its blocking call, destructors run.
//!     let fiber = abaca::spawn(abaca::park);
//!     fiber.cancel();
//!     assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
//! });
//! ```
//!
//! # I want to ...
//!
//! | I want to ... | use |
//! |---|---|
//! | start a runtime | [`run`](fn@run), [`#[abaca::main]`](macro@main), [`#[abaca::test]`](macro@test); [`Runtime::builder`] for settings and several runtimes |
//! | run `std::thread`, blocking crates and C libraries as they are, on fibers | the crate `abaca-transparent`: [its page](guide::transparent) |
//! | start a fiber | [`spawn`](fn@spawn); with a name or stack size [`Builder`]; from a thread outside [`Runtime::spawn`] |
//! | start fibers that borrow | [`scope`](fn@scope) |
//! | start a fiber with an `Rc` in it | [`spawn_local`] |
//! | run many and take results as they come | [`JoinSet`] |
//! | run many and stop all when one fails | [`try_scope`](fn@try_scope) |
//! | run at most so many at once | [`sync::Semaphore`] |
//! | end a fiber from outside | [`JoinHandle::cancel`]; many at once [`cancel::CancellationToken`] |
//! | protect code from being cancelled | [`cancel::shield`] |
//! | limit the time of any blocking code | [`time::timeout`](fn@time::timeout); of one read or write `set_read_timeout` and its like |
//! | sleep, tick, do something at a time | [`sleep`](fn@sleep), [`time::interval`](fn@time::interval), [`channel::after`], [`channel::tick`] |
//! | share state | [`sync::Mutex`], [`sync::RwLock`], [`sync::OnceLock`], as std's; [when std's own are fine](#when-is-stdsync-fine) |
//! | wait for a condition | [`sync::Condvar`], [`sync::Notify`], [`sync::Barrier`], [`sync::WaitGroup`] |
//! | send messages | [`channel::bounded`], [`channel::unbounded`]; to all [`channel::broadcast`]; the latest value [`channel::watch`]; one answer [`channel::oneshot`] |
//! | wait for several channels at once | [`channel::select!`] |
//! | keep a value per fiber | [`fiber_local!`] |
//! | serve connections, with a limit and a graceful stop | [`net::TcpListener::serve`] |
//! | talk over TCP, UDP, Unix sockets | [`net`] |
//! | serve HTTP | `net::hyper`, feature `hyper` |
//! | read and write files | [`fs`] |
//! | run a child process, with a time limit | [`process::Command`], [`process::Child::wait_timeout`] |
//! | wait for Ctrl-C or another signal | [`signal`] |
//! | wait for a descriptor of my own | [`io::Pollable`] |
//! | let others run in a long computation | [`yield_now`]; [`cancel::checkpoint`] if it may be cancelled there |
//! | print, or read lines of the standard input | [`print!`](crate::print), [`io::stdout`], [`io::stdin`] |
//! | retry, limit a rate, pool connections, fan out with a deadline | the [cookbook](guide::cookbook) |
//! | call a C library, SQLite, or compute for long | [`blocking::run`](fn@blocking::run) |
//! | await a future on a fiber | [`future::block_on`]; of tokio's [`future::within`](fn@future::within) |
//! | await a fiber or a channel in async code | `handle.await` ([`future::JoinFuture`]), [`channel::Receiver::recv_async`] |
//! | write a generator | [`coroutine`] |
//! | have mailboxes, links and supervisors | [`actor`] |
//! | chain callbacks on values that arrive later | [`promise`] |
//! | see what every fiber does and waits for | [`dump`](dump()); [`observe::check`], [`observe::leaks`] |
//! | find what blocks my workers | [`runtime::Builder::stall_threshold`], [what blocks what](guide::what_blocks) |
//!
//! # The modules
//!
//! | module | shape of | what is in it |
//! |---|---|---|
//! | [`fiber`] | `std::thread` | spawning, joining, scopes, parking, fiber-locals; most of it is re-exported here |
//! | [`runtime`] | tokio's `runtime` | the runtime, its settings, its shutdown, reports of stalls |
//! | [`sync`] | `std::sync`, and tokio's | locks, condition variables, `Once` and its kin, semaphores, `mpsc` |
//! | [`channel`] | crossbeam-channel, and tokio's | channels, clocks, `select!` |
//! | [`time`] | tokio's `time` | sleep, timeout, interval |
//! | [`cancel`] | tokio-util's tokens | cancellation of fibers and of code |
//! | [`io`] | `std::io` | standard streams, pipes, copies between descriptors, waiting for any descriptor |
//! | [`net`] | `std::net` | sockets, name look-up, servers |
//! | [`fs`] | `std::fs` | files and directories, on a pool of threads |
//! | [`process`] | `std::process` | children |
//! | [`signal`] | tokio's `signal` | signals as blocking calls |
//! | [`blocking`] | tokio's `spawn_blocking` | a pool of threads for calls that block |
//! | [`future`] | | futures on fibers, fibers as futures |
//! | [`observe`] | | what each fiber does and waits for, seen from outside |
//! | [`promise`] | OCaml's Lwt | values that arrive later |
//! | [`actor`] | Erlang/OTP | processes with mailboxes, links, monitors, supervisors |
//! | `park` | parking_lot_core | the one blocking primitive, for primitives of your own; unstable |
//! | [`coroutine`] | corosensei | coroutines and generators, with or without a runtime |
//! | [`guide`] | | how to write programs with abaca |
//!
//! ## Two builders
//!
//! As in std and tokio, a *fiber* and a *runtime* each have a builder. At the root is that of fibers, because
//! `abaca::Builder` is what `std::thread::Builder` is:
//!
//! | type | settings of | made by | ends in |
//! |---|---|---|---|
//! | [`abaca::Builder`](Builder) (also [`fiber::Builder`]) | one fiber: name, stack size | [`Builder::new`] | [`spawn`](Builder::spawn), a [`JoinHandle`] |
//! | [`runtime::Builder`] | a runtime: workers, limits, hooks, reports | [`Runtime::builder`] | [`build`](runtime::Builder::build), a [`Runtime`] |
//!
//! ## The macros
//!
//! [`#[abaca::main]`](macro@main) runs the body of `main` as the main fiber of a runtime,
//! [`#[abaca::test]`](macro@test) that of a test. Both take setters of [`runtime::Builder`] as options:
//!
//! | option | value | default |
//! |---|---|---|
//! | `workers` | OS threads that run fibers, 1 to 1024 | `ABACA_WORKERS`, else one for each CPU |
//! | `stack_size` | usable bytes of a fiber's stack | 256 KiB; 2 MiB with debug assertions |
//! | `max_fibers` | how many fibers may be alive at once | no limit |
//! | `poller` | a [`runtime::Poller`] | `ABACA_POLLER`, else `Poller::Workers` |
//! | `name` | prefix of the threads' names | `"abaca"` |
//! | `shutdown_timeout` | a `Duration`: how long the end waits for cancelled fibers | 10 s |
//!
//! ```
//! #[abaca::main(workers = 2, stack_size = 64 * 1024, name = "bees")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let answer: u8 = abaca::spawn(|| "42".parse()).join().unwrap()?;
//!     assert_eq!(answer, 42);
//!     Ok(())
//! }
//! ```
//!
//! # Who gets a turn
//!
//! Fibers are not preempted: a fiber that only computes keeps its worker. But **every call of abaca's may let others run**,
//! even if it need not wait. A fiber that has made some two thousand calls in one turn gives way to the fibers that are ready,
//! sooner if the calls are long; timers and sockets are looked at every 200 us. A call that never waits (`try_recv`, a `send`
//! without a bound, `notify_one`, a look such as `is_closed`) gives way only after two thousand calls in one turn. So a loop over
//! calls that are always ready starves nobody, and a loop that looks with `try_recv` or `is_closed` until a neighbour has sent or left
//! comes to an end. Giving way is no place to be cancelled: a call that does not wait does not unwind. Calls whose answer no neighbour
//! can change give way to nobody: a `Once` or a `LazyLock` that is done, a socket's settings, the fiber's own locals.
//!
//! ## When is `std::sync` fine?
//!
//! A lock of std's, or of parking_lot, blocks the worker while it waits. It is fine if nobody holds it across a call that may
//! wait, nor throughout a loop of thousands of calls: then the wait is as short as the critical section. Typical are a counter
//! or a map that is locked for a few lines. `Arc` and atomics are always fine.
//!
//! It is a **deadlock** if a fiber parks while it holds the lock: a neighbour that wants the lock blocks the very worker on
//! which the holder would have to run. Use the locks of [`sync`] there. The same holds for a `RefCell` in a thread-local, which
//! panics. `std::sync::mpsc`, `Condvar` and `Barrier` wait for others by their nature: use those of [`channel`] and [`sync`].
//!
//! # The soundness contract
//!
//! Rust cannot check that what lives on a fiber's stack across a blocking call is `Send`. If a fiber moved between threads
//! while it holds an `Rc` from a thread-local, or the address of a thread-local, safe code would have undefined behaviour.
//! abaca's answer:
//!
//! 1. [`spawn`](fn@spawn) is safe. Until a fiber starts, any worker may take it. **Once started, a fiber stays on its home
//!    worker for life**, so thread-locals, `Rc`, thread ids and everything else that is bound to a thread behave as on any
//!    thread.
//! 2. [`spawn_local`] takes a closure that is not `Send`: the fiber starts and stays on the current worker.
//! 3. Roaming is opt-in and unsafe: [`Builder::spawn_roaming_unchecked`], whose contract says what may not be held across a blocking call.
//! 4. [`scope`](fn@scope) takes a closure and joins before it returns, also when it unwinds.
//! 5. What is left is no undefined behaviour: a `RefCell` or lock in a thread-local that is borrowed across a blocking call can
//!    be seen borrowed by another fiber of the same worker (a panic, or a deadlock). [`std::thread::panicking`] speaks of the
//!    fiber that asks: a fiber that parks while it unwinds takes its panics with it. A fiber is never cancelled while it
//!    unwinds, but for what a destructor has set up for itself.
//! 6. In a child of `fork` the fiber that has forked is a plain thread, the only one: it waits as threads do, the runtime is not there
//!    ([`SpawnError::Forked`]), and at its end the child ends, with status 0, or 101 if a main fiber panics. What other threads had locked
//!    stays locked, as ever.
//! 7. One hole is std's, and cannot be closed here: the initialiser of a `thread_local!` must not block. A neighbour would make
//!    the value meanwhile and keep a reference to it, and std replaces the value when the first initialiser returns. A `const`
//!    initialiser, a [`fiber_local!`] and a [`sync::LazyLock`] have no such rule.
//!
//! A runtime may give each fiber thread-local storage of its own (`runtime::Builder::own_tls`, feature `own-tls`; it is young). Then the
//! contract is another one. What is bound to a thread is bound to the fiber, so 1, 5 and 7 become those of threads, and a fiber may
//! move:
//!
//! * `Builder::spawn_roaming` is safe there. A worker whose thread is stuck in a fiber goes on on another thread, so `std`'s locks and
//!   channels keep only those waiting who want them.
//! * Fibers that share what is not `Send`, by [`spawn_local`], never run in parallel.
//! * What is the kernel thread's (its id, its signal mask, its name) is not the fiber's: `fiber::pin` keeps a fiber on its thread.
//! * A coroutine belongs to the fiber that made it, as to a thread: no other may resume it once that has ended.
//!
//! Each stack has a guard below it. An overflow ends the process by SIGSEGV, after a report that names the fiber and says what
//! to raise.
//!
//! # Platforms
//!
//! Linux on x86_64, aarch64 and riscv64; on other architectures the switch is that of the crate corosensei. With
//! `panic = "abort"` nothing can be cancelled; everything else works.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `actor` | yes | `abaca::actor`: fibers with a mailbox, links, monitors and supervisors |
//! | `macros` | yes | `#[abaca::main]` and `#[abaca::test]` |
//! | `promise` | yes | `abaca::promise`: values that arrive later, with callbacks and combinators |
//! | `backtrace` | yes | the frames in a [`dump`](dump()), and `runtime::Builder::stall_backtrace`: where a fiber that stalls is in its code |
//! | `hyper` | no | `abaca::net::hyper`: hyper on abaca's sockets, timers and fibers |
//! | `metrics` | no | `observe::Metrics::publish`: metrics for the crate `metrics` |
//! | `tracing` | no | `runtime::Builder::carry_spans`: spans of the crate `tracing` belong to the fiber that has entered them |
//! | `own-tls` | no | `runtime::Builder::own_tls`: thread-local storage for each fiber, moves between threads, workers that leave a stuck thread |

#[cfg(feature = "actor")]
pub mod actor;
mod atomic;
pub mod blocking;
pub mod cancel;
mod cell;
pub mod channel;
pub mod fiber;
pub mod fs;
pub mod future;
#[cfg(all(any(doc, doctest), feature = "actor", feature = "macros"))]
pub mod guide;
#[cfg(feature = "own-tls")]
#[doc(hidden)]
pub mod hook;
pub mod io;
pub mod net;
pub mod observe;
mod os;
pub mod park;
mod poller;
mod pool;
pub mod process;
#[cfg(feature = "promise")]
pub mod promise;
mod queue;
pub mod runtime;
mod scheduler;
pub mod signal;
pub mod sync;
pub mod time;
mod timer;

pub use abaca_asm::coroutine;
#[cfg(feature = "macros")]
pub use abaca_macros::{main, test};
pub use cell::{Cancelled, Fiber};
pub use fiber::join_set::JoinSet;
pub use fiber::try_scope::{TryScope, try_scope};
pub use fiber::{Builder, JoinHandle, Scope, ScopedJoinHandle, SpawnError};
pub use fiber::{current, park, park_timeout, scope, spawn, spawn_local, yield_now};
pub use observe::{dump, stack};
pub use runtime::{Runtime, run};
pub use time::sleep;
