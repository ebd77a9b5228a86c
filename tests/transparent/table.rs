//! Which test holds each hook against libc's own, for each way in which a call can end. A hook that is in no row fails the test.
//!
//! | way | |
//! |---|---|
//! | blocking | it waits, and then there is something |
//! | non-blocking | it need not wait, or its user wants an error instead |
//! | timed | its time is up |
//! | interrupted | a handler of a signal has run |
//! | cancelled | its fiber is cancelled, or a deadline around it has passed |
//! | closed | its descriptor is closed under it |
//!
//! `file::test` is a test function of that file below this folder; `file.c` a program that the tests run with and without the hooks;
//! `signals` the program in `signals/`; `walks` a file of the crate itself. What begins with `-` is a reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    hooks: &'static str,
    /// Blocking, non-blocking, timed, interrupted, cancelled, closed.
    ways: [&'static str; 6],
}

const NO_TIME: &str = "- it takes no time";
const NEVER: &str = "- it never waits";
const NO_DESCRIPTOR: &str = "- it has no descriptor";
const GOES_ON: &str = "- a handler does not end it";
const SHIELDED: &str = "- it is waited for to its end: the next call goes on where it ends, or it uses what cannot be copied, or holds a lock of libc's";
const LOOKS: &str = "- std's and pthread's loops only look again: the wait goes on";

const ROWS: &[Row] = &[
    Row {
        hooks: "read readv preadv2 preadv64v2 __read __read_chk recv recvfrom recvmsg recvmmsg __recv_chk __recvfrom_chk",
        ways: [
            "reads::a_read_waits_until_something_comes",
            "reads::a_user_that_wants_errors_gets_them",
            "reads::the_time_of_a_socket_ends_a_read",
            "signals",
            "cancel::a_cancelled_read_is_an_error",
            "reads::a_read_goes_on_when_its_descriptor_is_closed_under_it",
        ],
    },
    Row {
        hooks: "write writev pwritev2 pwritev64v2 __write send __send sendto sendmsg sendmmsg",
        ways: [
            "writes::a_write_takes_all_and_waits_for_room",
            "writes::a_user_that_wants_errors_gets_them",
            "writes::the_time_of_a_socket_ends_a_write",
            "signals",
            "cancel::a_cancelled_write_is_an_error_or_the_part",
            "writes::a_write_goes_on_when_its_descriptor_is_closed_under_it",
        ],
    },
    Row {
        hooks: "eventfd_read eventfd_write",
        ways: [
            "rest::an_eventfd_s_own_functions_wait",
            "rest::an_eventfd_s_own_functions_wait",
            NO_TIME,
            "- as read and write, which they are",
            "- as read and write, which they are",
            "- as read and write, which they are",
        ],
    },
    Row {
        hooks: "accept accept4",
        ways: [
            "connections::a_connection_is_taken_at_once_or_waited_for",
            "connections::an_accept_honours_the_user_s_wishes",
            "connections::an_accept_honours_the_user_s_wishes",
            "signals",
            "cancel::cancelled_looks_accepts_connects_and_sleeps_are_errors",
            "connections::an_accept_goes_on_when_its_listener_is_closed_under_it",
        ],
    },
    Row {
        hooks: "connect __connect",
        ways: [
            "connections::a_connect_waits_for_a_place_in_the_queue",
            "connections::a_connect_succeeds_is_refused_and_is_not_repeated",
            "connections::the_time_of_a_socket_ends_a_connect",
            "- as send: the loop is the same, and a repeated connect is another call",
            "cancel::a_deadline_ends_a_call_of_std_in_time",
            "- as send: the loop is the same",
        ],
    },
    Row {
        hooks: "poll __poll ppoll __poll_chk __ppoll_chk select __select pselect epoll_wait epoll_pwait epoll_pwait2",
        ways: [
            "looks::a_look_waits_for_one_and_for_several",
            "looks::a_look_without_a_time_does_not_wait",
            "looks::the_time_ends_a_look",
            "signals",
            "cancel::cancelled_looks_accepts_connects_and_sleeps_are_errors",
            "- what is closed is no event: it ends with its time",
        ],
    },
    Row {
        hooks: "sendfile sendfile64 splice tee vmsplice",
        ways: [
            "writes::a_copy_in_the_kernel_waits_for_room_and_for_bytes",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "- as write: the loop is the same",
            "- as write: the loop is the same",
            "- as write: the loop is the same",
        ],
    },
    Row {
        hooks: "flock lockf lockf64 fcntl __fcntl fcntl64",
        ways: [
            "files::a_lock_of_a_file_is_waited_for",
            "files::a_lock_of_a_file_is_waited_for",
            NO_TIME,
            "signals",
            "gives_up::a_lock_that_is_given_up_is_nobody_s",
            "- the lock is the open file's: the call goes on",
        ],
    },
    Row {
        hooks: "open __open open64 __open64 openat openat64 __open_2 __open64_2",
        ways: [
            "files::an_open_of_a_fifo_waits_for_its_other_end",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "signals",
            "gives_up::a_fifo_whose_opening_is_given_up_has_no_reader",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fopen fopen64 _IO_fopen creat creat64 __openat_2 __openat64_2",
        ways: [
            "flushes::an_fopen_of_a_fifo_waits_for_its_other_end",
            "flushes::an_fopen_of_a_fifo_waits_for_its_other_end",
            NO_TIME,
            "- as open, which they call",
            "- as open, which they call",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "pread pread64 __pread64 __pread_chk __pread64_chk preadv preadv64 pwrite pwrite64 __pwrite64 pwritev pwritev64 \
            sync sync_file_range msync",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "- it is waited for to its end, which does not depend on others; sync is left behind",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "tcdrain tcsendbreak tcsetattr",
        ways: [
            "- only a line of a real terminal waits, which a test has not",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "- as fcntl(F_SETLKW): the loop is the same",
            "- as fcntl(F_SETLKW): the loop is the same",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "aio_suspend aio_suspend64 lio_listio lio_listio64 gai_suspend getaddrinfo_a",
        ways: [
            "asynchronous::a_read_that_libc_makes_is_waited_for",
            "asynchronous::look_ups_that_libc_makes_are_waited_for",
            "asynchronous::a_read_that_libc_makes_is_waited_for",
            "signals",
            "asynchronous::a_wait_for_a_read_that_libc_makes_can_be_given_up",
            "- the read is libc's",
        ],
    },
    Row {
        hooks: "fsync fdatasync syncfs copy_file_range",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "gives_up::a_cancelled_fiber_asks_for_no_names_and_waits_for_no_disk",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "mq_receive mq_timedreceive mq_send mq_timedsend",
        ways: [
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "- as read: the loop is the same",
            "queues::a_cancelled_call_is_an_error",
            "- as read: the loop is the same",
        ],
    },
    Row {
        hooks: "msgrcv msgsnd semop semtimedop",
        ways: [
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "- as flock: the loop is the same, and any handler ends it",
            "queues::a_cancelled_call_is_an_error",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "wait __wait waitpid __waitpid wait3 wait4 waitid",
        ways: [
            "files::children_are_waited_for",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "signals",
            "- as read and flock, whose loops they use",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "posix_spawn posix_spawnp",
        ways: [
            NEVER,
            "wishes::a_user_that_wants_errors_from_now_on_gets_them",
            NEVER,
            NEVER,
            NEVER,
            "- it is told numbers, and returns at once",
        ],
    },
    Row {
        hooks: "system popen _IO_popen pclose",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "files::pipes_of_stdio_are_read_when_something_comes",
            NO_TIME,
            "signals",
            "gives_up::a_command_ends_with_the_fiber_that_waits_for_it",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fgets __fgets_chk _IO_fgets fread __fread_chk _IO_fread fgetc getc _IO_getc getline getdelim __getdelim fgets_unlocked \
            fread_unlocked getc_unlocked fgetc_unlocked getchar getchar_unlocked __uflow __fread_unlocked_chk __fgets_unlocked_chk",
        ways: [
            "stdio::a_read_by_stdio_waits_for_bytes_and_for_the_end",
            "stdio::a_read_by_stdio_without_waiting_is_an_error",
            NO_TIME,
            "signals",
            "stdio::a_read_by_stdio_waits_for_all_parts_and_can_be_given_up_between_two",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fwrite fwrite_unlocked _IO_fwrite fputs fputs_unlocked _IO_fputs puts _IO_puts fputc fputc_unlocked putc putc_unlocked _IO_putc \
            putchar putchar_unlocked __overflow fflush fflush_unlocked _IO_fflush fclose _IO_fclose freopen freopen64 perror \
            printf _IO_printf fprintf _IO_fprintf dprintf vprintf vfprintf _IO_vfprintf vdprintf __printf_chk __fprintf_chk \
            __dprintf_chk __vprintf_chk __vfprintf_chk __vdprintf_chk",
        ways: [
            "sinks::a_write_by_stdio_waits_for_room_and_moves_all",
            "sinks::a_write_by_stdio_without_waiting_is_an_error",
            "sinks::the_time_of_a_socket_ends_a_write_by_stdio",
            "signals",
            "sinks::a_write_by_stdio_to_a_full_pipe_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fseek fseeko fseeko64 fsetpos fsetpos64 _IO_fsetpos _IO_fsetpos64 rewind setvbuf _IO_setvbuf setbuffer _IO_setbuffer setbuf",
        ways: [
            "flushes::what_moves_a_file_or_changes_its_buffer_waits_for_room",
            "flushes::what_moves_a_file_or_changes_its_buffer_waits_for_room",
            "- as fflush, which they call",
            "- as fflush, which they call",
            "flushes::what_moves_a_file_or_changes_its_buffer_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "_IO_flush_all _IO_flush_all_linebuffered _flushlbf flockfile _IO_flockfile",
        ways: [
            "flushes::all_files_are_written",
            "flushes::a_lock_of_a_file_that_a_neighbour_has_is_waited_for",
            "- as fflush, which they call",
            "- as fflush, which they call",
            "flushes::a_lock_of_a_file_that_a_neighbour_has_is_waited_for",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fputwc putwc putwchar fputwc_unlocked putwc_unlocked putwchar_unlocked fputws fputws_unlocked wprintf fwprintf vwprintf \
            vfwprintf __wprintf_chk __fwprintf_chk __vwprintf_chk __vfwprintf_chk",
        ways: [
            "wides::a_write_of_wide_characters_waits_for_room_and_moves_all",
            "wides::a_write_of_wide_characters_without_waiting_is_an_error_and_can_be_given_up",
            "- as write: the loop is the same",
            "- as write: the loop is the same",
            "wides::a_write_of_wide_characters_without_waiting_is_an_error_and_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fgetwc getwc getwchar fgetwc_unlocked getwc_unlocked getwchar_unlocked __wuflow fgetws fgetws_unlocked __fgetws_chk \
            __fgetws_unlocked_chk",
        ways: [
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            NO_TIME,
            "- as fgets: the loop is the same",
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "psignal herror syslog vsyslog __syslog_chk __vsyslog_chk openlog closelog",
        ways: [
            "- as fputs, write, or a call on the pool: it is the process's own file, or log",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "- as fputs, write, or a call on the pool",
            "- as fputs and write; a line for the log is written whatever happens",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "scanf fscanf vscanf vfscanf __vfscanf __isoc99_scanf __isoc99_fscanf __isoc99_vscanf __isoc99_vfscanf __isoc23_scanf __isoc23_fscanf \
            __isoc23_vscanf __isoc23_vfscanf",
        ways: [
            "scans::a_scan_waits_for_what_it_reads_and_leaves_the_rest",
            "scans::a_scan_of_a_user_that_wants_errors_is_one",
            NO_TIME,
            "signals",
            "scans::a_scan_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyaddr gethostbyname_r gethostbyname2_r gethostbyaddr_r \
            getpwnam getpwuid getpwnam_r getpwuid_r getgrnam getgrgid getgrnam_r getgrgid_r initgroups res_query res_search \
            res_querydomain __res_query __res_search __res_querydomain getservbyname getservbyname_r getservbyport getservbyport_r \
            getprotobyname getprotobyname_r getprotobynumber getprotobynumber_r getnetbyname getnetbyname_r getnetbyaddr \
            getnetbyaddr_r getspnam getspnam_r",
        ways: [
            "files::names_are_asked_for_elsewhere",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "gives_up::a_cancelled_fiber_asks_for_no_names_and_waits_for_no_disk",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fgetpwent fgetpwent_r fgetgrent fgetgrent_r getgrouplist res_nquery res_nsearch res_nsend __res_nquery __res_nsearch \
            getrpcbyname getrpcbynumber innetgr setnetgrent getnetgrent ether_hostton ether_ntohost getlogin getlogin_r wordexp \
            dlopen dlclose",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            SHIELDED,
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "getpwent getpwent_r setpwent endpwent getgrent getgrent_r setgrent endgrent getspent getspent_r setspent endspent \
            gethostent gethostent_r sethostent endhostent getnetent getnetent_r setnetent endnetent getprotoent getprotoent_r \
            setprotoent endprotoent getservent getservent_r setservent endservent",
        ways: [
            "walks::an_entry_that_was_left_behind_is_the_next_caller_s",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "walks::an_entry_that_was_left_behind_is_the_next_caller_s",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "nanosleep __nanosleep clock_nanosleep usleep sleep thrd_sleep",
        ways: [
            "std_thread::sleeps_last_and_are_made_side_by_side",
            "pthreads.c",
            "pthreads.c",
            "signals",
            "cancelled::a_deadline_ends_a_sleep",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "pause sigsuspend __sigsuspend sigpause __sigpause __xpg_sigpause sigwait sigwaitinfo sigtimedwait",
        ways: [
            "signals",
            "- they only wait",
            "signals",
            "signals",
            "gives_up::a_wait_for_a_signal_is_given_up",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "sigaction __sigaction signal siginterrupt pthread_sigmask sigprocmask sigpending pthread_kill pthread_sigqueue kill sigqueue raise \
            __sysv_signal sysv_signal bsd_signal ssignal sigset sigignore sighold sigrelse sigblock sigsetmask siggetmask gsignal killpg",
        ways: [NEVER, "signals", NEVER, "signals", NEVER, NO_DESCRIPTOR],
    },
    Row {
        hooks: "sem_wait sem_timedwait sem_clockwait sem_post",
        ways: ["pthreads.c", "pthreads.c", "pthreads.c", "signals", LOOKS, NO_DESCRIPTOR],
    },
    Row {
        hooks: "pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock __pthread_mutex_lock \
            __pthread_mutex_unlock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock \
            pthread_rwlock_clockrdlock pthread_rwlock_clockwrlock pthread_rwlock_unlock __pthread_rwlock_rdlock \
            __pthread_rwlock_wrlock __pthread_rwlock_unlock pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait \
            pthread_cond_signal pthread_cond_broadcast pthread_barrier_init pthread_barrier_destroy pthread_barrier_wait \
            pthread_once __pthread_once call_once pthread_spin_lock mtx_lock mtx_timedlock mtx_unlock cnd_wait cnd_timedwait \
            cnd_signal cnd_broadcast thrd_yield sched_yield __sched_yield",
        ways: [
            "pthreads.c",
            "pthreads.c",
            "pthreads.c",
            "- none of them ends in EINTR",
            "cancelled::a_wait_for_a_lock_or_a_message_goes_on_over_a_deadline",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "syscall",
        ways: [
            "futex::waits_end_as_the_kernels",
            "futex::waits_end_as_the_kernels",
            "futex::waits_end_as_the_kernels",
            LOOKS,
            LOOKS,
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "pthread_create pthread_join pthread_tryjoin_np pthread_timedjoin_np pthread_clockjoin_np pthread_detach pthread_exit \
            pthread_cancel pthread_testcancel pthread_setcancelstate pthread_self thrd_create thrd_join thrd_detach thrd_exit \
            thrd_current pthread_getattr_np pthread_getname_np pthread_setname_np pthread_getaffinity_np pthread_setaffinity_np \
            pthread_getschedparam pthread_setschedparam pthread_setschedprio pthread_getcpuclockid",
        ways: [
            "pthreads.c",
            "pthreads.c",
            "pthreads.c",
            "- a join is not interrupted",
            "- a join goes on: it is pthread_cancel that ends it",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "close __close close_range dup dup2 __dup2 dup3 socket socketpair pipe __pipe pipe2 eventfd timerfd_create signalfd \
            inotify_init1 epoll_create epoll_create1 memfd_create posix_openpt setsockopt ioctl",
        ways: [
            "gives_up::a_socket_that_lingers_is_closed_whoever_gives_up",
            "rest::what_need_not_wait_answers_as_libcs",
            NEVER,
            "signals",
            "gives_up::a_socket_that_lingers_is_closed_whoever_gives_up",
            "numbers::a_number_that_is_closed_and_used_again_wakes_up",
        ],
    },
];

/// The sources below this folder, by their names, and the folders.
fn sources() -> BTreeMap<String, String> {
    fn visit(folder: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                visit(&path, all);
                all.insert(name, String::new());
            } else if let Ok(text) = fs::read_to_string(&path) {
                all.insert(name.trim_end_matches(".rs").to_owned(), text);
            }
        }
    }
    let mut all = BTreeMap::new();
    // What only a test within the crate can bring about.
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/transparent/src/calls"), &mut all);
    visit(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    all
}

#[test]
fn each_hook_has_a_test_for_each_way_to_end() {
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for row in ROWS {
        for hook in row.hooks.split_whitespace() {
            *rows.entry(hook).or_default() += 1;
        }
    }
    let hooks: Vec<&str> = abaca_transparent::hook_names().collect();
    let missing: Vec<_> = hooks.iter().filter(|hook| !rows.contains_key(**hook)).collect();
    assert!(missing.is_empty(), "in no row: {missing:?}");
    let twice: Vec<_> = rows.iter().filter(|(hook, count)| **count != 1 || !hooks.contains(*hook)).collect();
    assert!(twice.is_empty(), "in several rows, or no hooks: {twice:?}");
    let sources = sources();
    for way in ROWS.iter().flat_map(|row| row.ways).filter(|way| !way.starts_with('-')) {
        let (file, test) = way.split_once("::").unwrap_or((way, ""));
        let text = sources.get(file).unwrap_or_else(|| panic!("{way}: there is no such file"));
        assert!(
            test.is_empty()
                || ["", "    "].iter().any(|space| text.contains(&format!("#[test]\n{space}fn {test}("))),
            "{way}: there is no such test"
        );
    }
}
