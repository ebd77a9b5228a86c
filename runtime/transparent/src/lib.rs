//! libc's blocking functions, which park the calling fiber: unmodified std, blocking crates and C libraries run on abaca's fibers.
//!
//! A program that calls [`install()`] has, in place of libc's `recv`, `poll`, `sleep` and their like, the functions of this crate: the
//! linker takes them for the program, for std, and for the C libraries that the program loads. On a fiber such a function parks the
//! fiber where libc's would block the thread. On a plain thread it calls libc's.
//!
//! ```no_run
//! use std::io::Read;
//! use std::net::TcpListener;
//!
//! abaca_transparent::install().unwrap();
//! abaca::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // std's
//!     for stream in listener.incoming().map_while(Result::ok) { // parks the fiber
//!         abaca::spawn(move || (&stream).read(&mut [0; 512])); // so does this
//!     }
//! });
//! ```
//!
//! `#[abaca::main(transparent)]` is `install` and a runtime. With [`threads_are_fibers`], each `std::thread::spawn` and `pthread_create`
//! makes a fiber as well. [`report()`] names the calls that have blocked an OS thread all the same.
//!
//! # A leaf
//!
//! Only *binaries* depend on this crate: a library that pulled it in would change the libc of all who use that library. The fibers need
//! thread-local storage of their own ([`Builder::own_tls`](abaca::runtime::Builder::own_tls)), which `install` makes the default.
//!
//! # What parks
//!
//! | functions of libc | how |
//! |---|---|
//! | `read` `readv` `recv` `recvfrom` `recvmsg` `recvmmsg`, `write` `writev` `send` `sendto` `sendmsg` `sendmmsg` | an attempt that does not wait; then the fiber waits for an event. A write takes all bytes, and so does MSG_WAITALL. SO_RCVLOWAT counts, as does what MSG_FASTOPEN connects to, and shutdown(2) ends who waits for a datagram. To a device that is no terminal it is one call, on a thread of the runtime's pool if the device does not tell that there is room |
//! | `accept` `accept4` `connect` | the same; `accept` one caller of the process at a time, `connect` in non-blocking mode for the time of each system call |
//! | `poll` `ppoll` `select` `pselect` `epoll_wait` `epoll_pwait` `epoll_pwait2` | a look; then the fiber waits for any of the descriptors. A signal mask is the fiber's meanwhile |
//! | `sendfile` `splice` `tee` `vmsplice` | as reads and writes; a socket is in non-blocking mode for the time of each system call |
//! | `mq_receive` `mq_send` and those with a time, `eventfd_read` `eventfd_write` | as reads and writes |
//! | `flock`; `sendto` of Unix datagrams and `connect` of Unix sockets to a full queue; `wait` of any child | are tried again after pauses, of up to 32 ms in the first second and up to a quarter of one later: no event tells |
//! | `waitpid` and `waitid` of one child | a pidfd tells |
//! | `system` | a thread of the pool starts the command, and a pidfd tells its end |
//! | `getaddrinfo` and `getnameinfo` but for addresses in figures, `gethost*` `getpw*` `getgr*` `getserv*` `getproto*` `getnet*` `getsp*` `res_*`, `popen` `pclose` `wordexp`, `fsync` `fdatasync` `sync` `syncfs` `sync_file_range` `msync` `copy_file_range`, `lockf`, `fcntl(F_SETLKW)`, `msgrcv` `msgsnd` `semop` `semtimedop` that would wait, reads and writes (`pread` and `pwrite` as well) of files that are not in memory, `close` of a socket that lingers, `tcdrain` and its kin, `syslog` | run on a thread of the runtime's pool |
//! | `aio_suspend` `lio_listio`; `gai_suspend` `getaddrinfo_a` | wait for what libc's own threads do, on a thread of the pool; with pauses |
//! | `open` `creat` `fopen` of a FIFO | the fiber waits until there is another end, on a thread of the pool |
//! | `fgets` `fread` `fgetc` `getc` `getchar` `getline` `getdelim`, and those without a lock; `scanf` and its kin | the fiber waits until there is something to read, before each part of a line or of what is to be read |
//! | `fwrite` `fputs` `puts` `fputc` `putc` `putchar`, and those without a lock; `printf` `dprintf` and their kin; `perror` `psignal`; `fflush`, also of all files, `fclose` `freopen` `fseek` `rewind` `setvbuf` | what does not fit into the file's buffer is written as by `write`; the file's lock is held meanwhile, as libc holds it, and other fibers wait for it |
//! | `fputwc` `fputws` `wprintf` and their kin, `fgetwc` `fgetws` | libc's own functions, before which the fiber waits for room, or for something to read. What a pipe has room for is moved at once; to fill a smaller room, or for the rest of a character, they wait in the kernel |
//! | `flockfile` | is tried again after pauses |
//! | `dlopen` `dlclose` | do not park: what they run is called with a lock of libc's |
//! | `syscall(SYS_futex, ..)`, by which std, parking_lot and crossbeam wait | in a table of sleepers by address; plain threads sleep in the kernel, and each wakes the other. Words that processes share are the kernel's |
//! | `pthread_mutex_*` `pthread_rwlock_*` `sem_*` `pthread_spin_lock` `pthread_spin_unlock`, `mtx_*` | libc's word says who holds it; a fiber that finds it held sleeps in the table. Robust ones, those with a ceiling of priorities, and those that processes share are libc's alone; a semaphore that processes share, as one with a name is, is waited for on a thread of the pool. One whose owner inherits priorities (PTHREAD_PRIO_INHERIT) is a usual one: a fiber has none to inherit |
//! | `pthread_cond_*` `pthread_barrier_*` `pthread_once`, `cnd_*` `call_once` | in the table, plain threads as well |
//! | `nanosleep` `clock_nanosleep` `usleep` `sleep` `thrd_sleep` `sched_yield` | a timer; the next fiber. A sleep of a cancelled fiber ends early, as if interrupted, with nothing left of it |
//! | `pthread_join` and its kin | of a fiber: as `JoinHandle::join`; of a thread: is tried again after pauses |
//! | `sigwait` `sigwaitinfo` `sigtimedwait` | on a thread of the pool, where the signals are blocked meanwhile |
//! | `pause` `sigsuspend` `sigpause` | until a handler has run for the fiber, the latter with their mask |
//!
//! and the names that `_FORTIFY_SOURCE` and large files give to these functions. Everything else that waits, such as raw system calls
//! and what libc calls within, costs its own fiber only: the worker leaves the thread, and goes on on another.
//!
//! # What stays as it is
//!
//! * **The user's wishes.** O_NONBLOCK counts, whoever has set it. That a user waits is asked of the kernel once, or is known from the accept, until the mode
//!   of any file is changed by a function of libc (`fcntl`, `ioctl(FIONBIO)`, `syscall`). Of a file that another process may have, it is asked
//!   in each call that would wait. A call that waits already goes on, by whatever number of the file, or in whatever process, its mode is changed. A change by a system call that is no function of libc's is noticed within a second: a call that has begun to
//!   wait by then ends in EAGAIN. SO_RCVTIMEO and SO_SNDTIMEO limit a wait. No hook leaves a trace in the mode of an open file.
//! * **`errno`.** A call that succeeds leaves it alone.
//! * **Descriptors.** A call that waits goes on with its file if the number is closed meanwhile, as a thread's does. Numbers that are closed
//!   and used again behind the hooks' back, by a system call, are noticed when they are made or after a second or two.
//! * **Signals.** A handler that runs for the process interrupts the call of the main fiber, or, if that does not wait in one, of the fiber that
//!   has waited the longest: it ends in EINTR, or goes on if the handler restarts calls (SA_RESTART) and the call is one that can be restarted.
//!   `pthread_kill` runs the handler on the fiber that it is for, whatever that does: it computes, waits in a call or for a lock (which goes on
//!   afterwards), or is in another handler. Only calls on a thread of the pool that use what is the caller's, those that the table below has waited for, come to their end before. So collectors of garbage
//!   stop all threads by signals; a fiber that stays in its handler, in `sigsuspend`, has an OS thread for itself meanwhile. A
//!   handler may post a semaphore, and write to a pipe. It may leave by `siglongjmp` or `setcontext`, also out of a call in which its fiber waits; such a
//!   call gives back what it has, but for some memory, and a descriptor if it waits for a child. The functions of older systems (`sigset`, `sighold`, `sigblock`, the `signal` of System V) are made
//!   of the same.
//! * **Masks of signals.** `pthread_sigmask` and `sigprocmask` change the calling fiber's mask, and no other's. What is sent to a fiber that
//!   blocks it waits for that fiber. What is sent to the process waits if the main fiber blocks it (with `threads_are_fibers`, the main
//!   thread), until a fiber waits that does not, or unblocks it, or takes it by `sigwait`; also what would end the process. `sigsuspend`,
//!   `ppoll`, `pselect` and `epoll_pwait` use their mask; `sigsetjmp`, `siglongjmp`, `getcontext` and its kin keep the fiber's, and restore it; `sigpending` tells of all. A real-time signal waits
//!   as often as it was sent, with its values and in its order; of what another process sends, two that two OS threads take at the same moment may
//!   change places. No more than 4,096 wait: to send one more is EAGAIN, and what comes from another process then is lost. A signal that
//!   the process sends to itself waits when `kill` returns; from elsewhere it may be some
//!   microseconds on its way. A child by `vfork` changes its own handlers and masks. A thread of the kernel's, or a child by `posix_spawn` or `system`, has the mask of the fiber that starts it; a copy
//!   by `fork`, and a program that the fiber begins by `exec`, has the fiber's mask as well. What is blocked where the
//!   runtime is built is blocked for its OS threads: only the kernel knows of it then, and `ppoll` and its kin wait there. A signal that does nothing, by default or
//!   since it is ignored, ends no call, and waits for those who block it only. A plain thread
//!   in `sigwait`, `sigsuspend` or one of their kin takes what waits for the process as well, and before any fiber.
//! * **`signalfd`** tells a fiber's program of what its fibers block, to reads, `poll` and `epoll`. The descriptor is one of a pair of sockets: a
//!   signal is taken when it comes rather than when it is read, so that one that is sent twice is told twice, some 200 wait at most, there are 32 such descriptors at once, and a copy by `fork`
//!   reads its original's. Signals that are blocked where the runtime is built are read from the kernel's descriptor.
//! * **One real-time signal**, the highest that libc has left, is taken by `install`, and SIGRTMAX is one less: it ends calls on the pool.
//!   A program that sets up a handler for its number all the same has those calls waited for.
//!
//! # Cancellation, deadlines, shutdown
//!
//! A C function must not be unwound, and neither must std's calls of it, which are compiled for functions that do not unwind. So a wait
//! of a hook that a cancellation ends, or the deadline of [`time::timeout`](abaca::time::timeout()), or the end of the runtime, returns
//! the error **ECANCELED**, and so does each later one that would wait; what need not wait goes on. (It is not EINTR: std, and most C
//! programs, repeat the call then.) `std::io` passes the error on, so what std's caller does with errors ends it:
//!
//! ```
//! use std::io::Read;
//! use std::time::Duration;
//!
//! # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
//! abaca_transparent::install().unwrap();
//! abaca::run(|| {
//!     let (mut reader, _writer) = std::io::pipe().unwrap();
//!     let late = abaca::time::timeout(Duration::from_millis(1), || reader.read(&mut [0; 8]));
//!     assert!(late.is_err());
//! });
//! ```
//!
//! An event loop on the fiber, such as that of tokio within a blocking client, does not expect that its wait fails. So `epoll_wait` returns the
//! events that it waits for, and the calls on those descriptors, which would have nothing to do, return ECANCELED instead of EAGAIN.
//! Eventfds, by which threads of a process wake each other, are not among them: a read of one that would have to wait is EAGAIN, and a wait
//! for eventfds alone, also by `poll` or `select`, ends in EINTR, since C libraries such as libzmq end the process at any other error there. `poll` and `select` for an
//! eventfd and other descriptors tell as `epoll_wait` does. A wait for no descriptor ends as a sleep does.
//!
//! A timeout's result is [`Elapsed`](abaca::time::Elapsed) then, whatever the code has made of the error, be it a panic. A write that has
//! moved a part returns the part. Waits for locks and condition variables go on: std would only look, and wait again. Calls that run on a
//! thread of the pool:
//!
//! | call | of a fiber that is cancelled, or whose time is up |
//! |---|---|
//! | `fcntl(F_SETLKW)` `fcntl(F_OFD_SETLKW)` `lockf`, `msgrcv` `msgsnd` `semop` `semtimedop`, `open` of a FIFO, `sigwait` `sigwaitinfo` `sigtimedwait` | the wait in the kernel ends. What was got at the last moment is the caller's, and the call succeeds; else nobody has it. A handler of a signal ends these calls as it does on a thread (`sigwait` by none), and a deadlock is EDEADLK |
//! | `close` of a socket that lingers | the socket is closed, the kernel sends the rest, and the call succeeds |
//! | `getaddrinfo` `getnameinfo` `getpwnam` `getpwuid` `getgrnam` `getgrgid` `getspnam` `gethostby*` `getservby*` `getprotoby*` `getnetby*`, and those with `_r`, `res_query` `res_search` `res_querydomain`, `initgroups` | are left behind with what they were given, a copy; nothing of the caller's is written to. `h_errno` is NETDB_INTERNAL, the result EAI_SYSTEM, where there is one |
//! | `fsync` `fdatasync` `sync` `syncfs` | are left behind. If such a call fails, the next one on that file does, with its error |
//! | `system` | the command is killed, and waited for, as by libc if its thread is cancelled |
//! | `pclose` | is left behind: the file is closed, and the child waited for |
//! | `copy_file_range` | ends after at most 4 MiB more, and returns what it has moved |
//! | `popen`, reads and writes of files on disks, `sync_file_range` `msync` | are waited for to the end, which does not depend on others: `popen` only starts the command |
//! | `aio_suspend` `lio_listio` `gai_suspend` `getaddrinfo_a`, `tcdrain` `tcsendbreak` `tcsetattr` | the wait ends; what libc's threads do goes on |
//! | `syslog` `vsyslog` | the line is written, without the caller |
//! | `getpwent` `getgrent` `getspent` `gethostent` `getnetent` `getprotoent` `getservent`, and those with `_r` | are left behind. The next call waits for their end, and has the entry that nobody has had. `setpwent` `endpwent` and their kin are made before it, and forget such entries |
//! | `fgetpwent` `fgetgrent` | are waited for: they read from a file of the caller's |
//! | `getgrouplist` | is waited for: it can only say that its list is too short |
//! | `res_nquery` `res_nsearch` `res_nsend` | are waited for: they use a state of the caller's, with times of its own |
//! | `getrpcbyname` `getrpcbynumber` `getnetgrent` `setnetgrent` `innetgr` `ether_hostton` `ether_ntohost` `getlogin` `wordexp` | are waited for: hardly anybody calls them |
//! | `dlopen` `dlclose` | are waited for: they hold a lock of libc's |
//! | `pthread_join` of a thread of the kernel's | is waited for, as that of a fiber |
//!
//! What stdio reads is lost with a call that ends so in the middle of a line, and what is in the buffer of a file with a write that ends so, as
//! with libc's own functions, and `ferror` tells. `fclose` closes the file all the same.
//!
//! A thread that `pthread_cancel` ends waits in its clean-up handlers for what these wait for. It ends from each call that waits, functions of stdio and
//! `pthread_join` among them. What need not wait (`open` and `close` of other files than FIFOs, `printf` that fits into the buffer, files on
//! disks) is no point where it ends, although libc has it so for some.
//!
//! A loop that ignores errors, such as `for stream in listener.incoming().flatten()`, does not end when its fiber is cancelled. It is slowed
//! down, and the end of the runtime leaves it behind after its time (`Builder::shutdown_timeout`).
//!
//! # What still waits in the kernel
//!
//! On an OS thread that the worker has left: it costs its own fiber only, and no deadline ends it. [`report()`] names it. With [`threads_are_fibers`]
//! there are as many such threads as wait or compute, and as many of the pool, unless the runtime's builder says otherwise
//! ([`max_spare_threads`](abaca::runtime::Builder::max_spare_threads), [`max_blocking_threads`](abaca::runtime::Builder::max_blocking_threads)): they may wait for each other.
//!
//! | what | why |
//! |---|---|
//! | system calls that are no functions of libc's, and what functions of libc call within | no hook sees them |
//! | the end of the process, which writes the buffers of all files; files with functions of the user's (`fopencookie`) | libc holds locks over it |
//! | `warn` `err` `error` and their kin | these names are anybody's: a library may have a function of its own under one of them, whose place a hook would take |
//! | `wscanf` and its kin; `freopen` of a FIFO; `psiginfo` `fmtmsg` `putpwent`; `gets` `getw` `putw` | libc reads or writes within, and nobody has asked for more |
//! | `opendir` `readdir` `stat` `rename` `fallocate` `truncate` and other calls for names and sizes of files | they wait for a disk, not for others |
//! | `getrandom` `getentropy`, before the kernel has enough at its start; faults of mapped memory; `mlock` | there is no attempt that does not wait |
//! | `ioctl` but for FIONBIO | each device has its own |
//! | `lckpwdf`, `getutent` and their kin | they set an alarm for the process, or lock a file of the system's for a moment |
//! | `rcmd` `rexec` and Sun's RPC | nobody links them any more |
//! | `pthread_mutex_setprioceiling`, and locks that are robust, with a ceiling, or of several processes, and conditions and barriers of these | the kernel keeps their owners, and another process ends the wait. Handlers run meanwhile, and `pthread_cancel` ends the wait for a condition: it wakes all who wait there, as POSIX allows |
//! | `vfork` | until the child has begun another program |
//!
//! # What C may ask
//!
//! `int abaca_thread_waits(pthread_t)` tells whether a thread waits: 1 if whatever it is to wait for finds it, 0 if it runs or has ended, -1 if it is the
//! kernel's, of which `/proc/self/task` tells. The caller is who may join it. `unsigned abaca_looks_at_waits(void)` counts how often long waits were
//! looked at, for what happens behind the hooks' back: a number that became another file's, a mode that a bare system call has set. A wait that goes on is
//! looked at after 2 seconds, and then after twice the time, up to a minute; one to write every two seconds. Both are for tests: declared weak, they are null where no hooks are.
//!
//! # What is not as on threads
//!
//! | what | how it is |
//! |---|---|
//! | a jump (`longjmp`) out of a handler that was run where it has interrupted the runtime's own code | ends the process, with a line that says so. It is one for the process, while the main thread blocks it or is a runtime's: what is sent to a fiber is run outside of that |
//! | `pthread_cancel` of a thread that is in a handler | ends it when the handler has returned: calls of the handler that wait do so in the kernel |
//! | a handler that leaves by `swapcontext`, and is to be gone on with | is a handler as long: calls wait in the kernel until it has returned |
//! | `uc_link` of a context | the fiber's mask stays that of the context that ends |
//! | `CLOCK_THREAD_CPUTIME_ID`, `RUSAGE_THREAD`, `setfsuid` `setfsgid` and what bare system calls set of a thread's credentials, `unshare` `setns`, `capset`, filters of seccomp, `landlock_restrict_self`, memory policies, `prctl` but for the name; `ptrace`, whose tracer is the thread that began it; on x86 the base of GS (`arch_prctl`) and the rights of protection keys (`pkey_set`) | are the worker's thread's. `pthread_getcpuclockid` is ENOTSUP |
//! | a ring of io_uring for one issuer (IORING_SETUP_SINGLE_ISSUER) | is the OS thread's on which its fiber was when it began: from another one, such as after a wait in `io_uring_enter`, its calls end in EEXIST. [`fiber::pin`](abaca::fiber::pin) keeps the fiber there |
//! | the flags of floating point (`fetestexcept`) that long doubles raise on x86-64, and all of them on aarch64 | are the worker's thread's: what other fibers compute sets them as well. All others, the rounding mode, what traps, and how denormals are taken are the fiber's, as a thread's are, but for the precision of x87 if nothing but that is changed |
//! | how nice a thread is (`setpriority` `nice` `sched_setattr`), and its class at disks (`ioprio_set`) | are noted and told, to the threads that it creates as well, and change nothing |
//! | a timer (`timer_create` with SIGEV_THREAD_ID) for a fiber that is no thread, such as the main fiber; a file whose signals are for a thread (F_SETOWN_EX with F_OWNER_TID) | sends its signal to the OS thread on which the fiber is at that time. The handler runs there, and ends no call of the fiber's |
//! | PR_SET_PDEATHSIG of a child | is sent when the process ends, not with the thread that has forked: an OS thread on which a fiber forks stays |
//! | a robust mutex that processes share | a fiber that ends with it is told of as a thread is (EOWNERDEAD), but a process that is ended with it is not, since the kernel does not know the owner: who locks it next waits |
//! | `gettid` | is a number of the fiber's own, beyond the kernel's. `tgkill`, `rt_tgsigqueueinfo`, `timer_create`, `sched_setaffinity` and their kin know it; `/proc/self/task`, and system calls that are no functions of libc's, do not |
//! | `pthread_self` | is not the thread pointer, and is no more above it than that of another thread: libgomp's `omp_pause_resource` reckons so from the thread-locals of its threads, and ends the process by SIGSEGV or hangs |
//! | a library that wants code executed on stacks (`-z execstack`), and is loaded after `install` by `dlopen` | finds threads whose stacks are not. What the program has begun with counts |
//! | policies besides SCHED_OTHER | are ENOTSUP: a fiber has none |
//! | processors, by `pthread_setaffinity_np` and `sched_setaffinity` | are noted and told, to the threads that it creates as well, and change nothing: `sched_getcpu` tells where the worker is |
//! | a stack that overflows | ends the process by SIGSEGV, where std ends it by SIGABRT, with abaca's report, which tells the thread's name, and not where it was started |
//! | `pthread_getattr_np` | tells of the stack and the guard that were asked for: the stack that there is may be larger, and the guard is a page at least |
//! | `accept` that waits | looks whether there is a number for its connection, and does not take it, as the kernel's does: where others have the last one when somebody connects, it ends in EMFILE, and the connection waits for the next call. Before Linux 5.15 it does not look |
//! | the number of the next descriptor | need not be the lowest that the program has free: the runtime opens some of its own, also for a moment |
//! | `pthread_create` without room for a stack | is EAGAIN where the address space is limited (RLIMIT_AS), as on threads. Where memory is refused for another reason when the thread begins, the process ends, with a line that says so. So it does where there is no such limit, a queue must grow, for which 16 KiB are kept until then, and another thread takes them that moment |
//! | a lock that is taken again as soon as it is released, by one who waits for something else while it has it | lets others in after half a millisecond, and a turn: who releases it waits for a fiber that has found it taken again and again for as long. On threads they get it by luck, and so does a plain thread that wants it of a fiber, or a fiber of a plain thread |
//! | PTHREAD_KEYS_MAX | a few of the keys are the runtime's |
//! | PTHREAD_CANCEL_ASYNCHRONOUS | a thread ends where it sets the type, enables its cancellation, or cancels itself, from a wait for a lock, and in its next call that is a cancellation point; not while it computes |
//! | `pthread_cancel` of a thread that is in a handler of a signal | it ends when it has left the handler: what that calls are libc's own functions |
//! | a signal for the process that the main thread blocks, and of all others only those let through that wait for locks | waits until one of them waits for something else, or none |
//! | a signal that a fiber sends to its own process (`kill`, `sigqueue`), or that the kernel has given to a worker's thread, while the main thread blocks it and a plain thread beside that does not | waits for a fiber, or until a plain thread calls `sigwait` or its kin, or lets it through anew, be it by a change of its mask or for the time of a call (`sigsuspend`, `ppoll`). The kernel would have run the handler on that thread at once |
//! | a signal that does nothing by default (SIGCHLD, SIGURG, SIGWINCH, SIGCONT), while the main thread blocks it | ends a call of a plain thread besides the main one, if that does not block it, in EINTR, as a handler would |
//! | `signalfd` of a plain thread | is the kernel's: it tells nothing of such a signal |
//! | a condition's wait | ends by itself, as POSIX allows, where a handler has run in it; glibc's goes on |
//! | an address that is none, of a message (`sendmsg`), a list of buffers (`readv`), a set (`select`), a time, a mask or a name | ends the process by SIGSEGV where the kernel would say EFAULT: the hook reads it first, as functions of libc may |
//! | numbers of descriptors that the program has not opened | some are the runtime's. A program that closes them while it has threads (`close_range` from 3 on) ends by an abort |
//! | a wait for a place in the queue of a Unix socket that is connected elsewhere meanwhile, or whose peer is shut down | ends as a new call would. The kernel's goes on waiting for the former peer |
//! | a read of a terminal whose settings (VMIN, VTIME) another thread changes | goes by the new ones; a thread's by those that there were |
//! | `connect` to AF_UNSPEC, of a socket on which another thread waits | ends that call in the socket's error, such as ECONNRESET; newer kernels say EPIPE |
//! | `splice` from a Unix socket with SO_RCVLOWAT | moves what there is |
//! | `mq_notify` | tells of a message although a fiber waits for one in `mq_receive`: the kernel does not see that it waits |
//! | the thread of a copy by fork(2) that a fiber has become | is a plain one. `pthread_cancel` ends it in waits for conditions, joins and `pthread_testcancel` only |
//! | SO_RCVTIMEO and SO_SNDTIMEO below zero | are none: the kernel tells of them as of none, though it does not wait then |
//! | `signalfd` | is one of a pair of sockets: it is writable, socket calls work on it, and a read of less than one `signalfd_siginfo` waits where the kernel says EINVAL |
//! | `sigaltstack` | is noted and told, each fiber's for itself. Handlers with SA_ONSTACK run on a stack that the OS thread has for them, of 64 KiB at least, and are told that the fiber's own is not in use |

mod answer;
mod calls;
mod descriptors;
mod enter;
mod executable;
mod hooks;
mod install;
mod kernel;
mod own;
mod refused;
mod report;
mod table;
mod threads;

pub use install::install;
pub use report::{BlockingCall, report};
#[doc(hidden)]
pub use table::hook_names;
pub use threads::{as_kernel_threads, threads_are_fibers};

/// The README's programs: this is the crate that has all of what they use.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
