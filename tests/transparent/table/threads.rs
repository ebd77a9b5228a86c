//! Hooks of threads, locks, sleeps and signals.

use super::{LOOKS, NEVER, NO_DESCRIPTOR, Row};

pub(super) const ROWS: &[Row] = &[
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
        hooks: "pthread_mutex_init __pthread_mutex_init pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock __pthread_mutex_lock \
            pthread_mutex_trylock __pthread_mutex_trylock __pthread_mutex_unlock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock \
            pthread_rwlock_clockrdlock pthread_rwlock_clockwrlock pthread_rwlock_unlock pthread_rwlock_tryrdlock __pthread_rwlock_rdlock \
            __pthread_rwlock_tryrdlock __pthread_rwlock_wrlock __pthread_rwlock_unlock pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait \
            pthread_cond_signal pthread_cond_broadcast pthread_barrier_init pthread_barrier_destroy pthread_barrier_wait \
            pthread_once __pthread_once call_once pthread_spin_lock pthread_spin_unlock mtx_lock mtx_timedlock mtx_unlock cnd_wait cnd_timedwait \
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
            pthread_cancel pthread_testcancel pthread_setcancelstate pthread_setcanceltype pthread_self thrd_create thrd_join thrd_detach thrd_exit \
            thrd_current pthread_getattr_np pthread_getname_np pthread_setname_np pthread_getaffinity_np pthread_setaffinity_np \
            pthread_getschedparam pthread_setschedparam pthread_setschedprio pthread_getcpuclockid pthread_setattr_default_np",
        ways: [
            "pthreads.c",
            "pthreads.c",
            "pthreads.c",
            "- a join is not interrupted",
            "cancels.c",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "sched_setaffinity sched_getaffinity prctl gettid tgkill \
            capget capset getpgid getsid sched_rr_get_interval prlimit \
            prlimit64 process_vm_readv process_vm_writev",
        ways: [NEVER, "kinds.c", NEVER, NEVER, NEVER, NO_DESCRIPTOR],
    },
    Row {
        hooks: "getpriority setpriority nice sched_getscheduler sched_setscheduler sched_getparam sched_setparam",
        ways: [NEVER, "priorities.c", NEVER, NEVER, NEVER, NO_DESCRIPTOR],
    },
    Row {
        hooks: "timer_create timer_delete timer_getoverrun",
        ways: [NEVER, "timers.c", NEVER, "timers.c", NEVER, NO_DESCRIPTOR],
    },
    Row {
        hooks: "__sigsetjmp setjmp longjmp _longjmp siglongjmp __longjmp_chk getcontext setcontext swapcontext",
        ways: [NEVER, "jumps.c", NEVER, "jumps.c", NEVER, NO_DESCRIPTOR],
    },
    Row {
        hooks: "execve execv execvp execvpe fexecve execveat execl execlp execle",
        ways: [NEVER, "execs.c", NEVER, NEVER, NEVER, NO_DESCRIPTOR],
    },
    Row { hooks: "sigaltstack", ways: [NEVER, "stops.c", NEVER, "stops.c", NEVER, NO_DESCRIPTOR] },
];
