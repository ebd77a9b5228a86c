// Timers for a thread (SIGEV_THREAD_ID), and what else is sent to one by its number with something to tell.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

// By what it tells, since one may be late.
enum { VALUES = 64, MILLI = 1000000 };
static volatile struct { int handled, signal, code; pthread_t by; } seen[VALUES];
static void notes(int signal, siginfo_t *info, void *context) {
    int value = info->si_value.sival_int & (VALUES - 1);
    (void)context, seen[value].signal = signal, seen[value].code = info->si_code, seen[value].by = pthread_self(), seen[value].handled = 1;
}
static void say(const char *what, long result, int value) {
    printf("%s: %ld %s", what, result, result < 0 ? strerrorname_np(errno) : "");
    if (value)
        printf("; %s, %s, signal %d, code %d", seen[value].handled ? "handled" : "not handled", pthread_equal(seen[value].by, pthread_self()) ? "by the caller" : "elsewhere",
               seen[value].signal, seen[value].code), seen[value].handled = 0;
    printf("\n");
}

static timer_t timer_of(pid_t thread, int signal, int value, long first, long period) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal, .sigev_value.sival_int = value, .sigev_notify_thread_id = thread};
    struct itimerspec times = {{0, period}, {0, first}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &times, NULL)) say("timer_create", -1, 0), exit(3);
    return timer;
}
static int fds[2];

static void waits(void) {
    char byte;
    struct timespec hour = {3600, 0};
    timer_t timer = timer_of(gettid(), SIGUSR1, 11, MILLI, MILLI);
    say("read", read(fds[0], &byte, 1), 11), say("timer_delete", timer_delete(timer), 0);
    timer = timer_of(gettid(), SIGUSR1, 12, MILLI, MILLI);
    say("nanosleep", nanosleep(&hour, NULL), 12), timer_delete(timer);
    timer = timer_of(gettid(), SIGRTMIN, 13, MILLI, 0);
    while (!seen[13].handled) {}
    say("computes", 0, 13), timer_delete(timer);
    // One that repeats interrupts each time.
    timer = timer_of(gettid(), SIGALRM, 14, MILLI, MILLI);
    for (int round = 0; round < 5; round++) say("read again", read(fds[0], &byte, 1), 14);
    say("timer_delete", timer_delete(timer), 0), say("timer_delete again", timer_delete(timer), 0);
    // By the kernel's own calls.
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 15, .sigev_notify_thread_id = gettid()};
    struct itimerspec times = {{0, MILLI}, {0, MILLI}};
    int number;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &number) || syscall(SYS_timer_settime, number, 0, &times, NULL)) exit(3);
    say("read", read(fds[0], &byte, 1), 15), say("timer_delete", syscall(SYS_timer_delete, number), 0);
}

static void blocks(void) {
    sigset_t set, before;
    siginfo_t info, other;
    struct timespec minute = {60, 0}, brief = {0, 100 * MILLI};
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGRTMIN), sigaddset(&set, SIGRTMIN + 1), pthread_sigmask(SIG_BLOCK, &set, &before);
    timer_t timer = timer_of(gettid(), SIGUSR1, 21, MILLI, 0);
    int found = sigwaitinfo(&set, &info);
    printf("waited for: %d %d %d\n", found, info.si_code, info.si_value.sival_int), timer_delete(timer);
    // Two of one number, which tell different things.
    timer_t one = timer_of(gettid(), SIGRTMIN, 22, MILLI, 0), two = timer_of(gettid(), SIGRTMIN, 23, MILLI, 0);
    sigtimedwait(&set, &info, &minute), sigtimedwait(&set, &other, &minute);
    printf("both: %d %d\n", info.si_value.sival_int + other.si_value.sival_int, info.si_code == SI_TIMER && other.si_code == SI_TIMER);
    timer_delete(one), timer_delete(two);
    // However often the time is up, one signal waits, which tells how often.
    timer = timer_of(gettid(), SIGRTMIN, 24, MILLI, 15000), nanosleep(&brief, NULL);
    for (int i = 0; i < 3; i++) {
        int error = pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){.sival_int = i});
        printf("queued: %d\n", error), sigemptyset(&set), sigaddset(&set, SIGRTMIN + 1), sigtimedwait(&set, &info, &minute);
    }
    sigemptyset(&set), sigaddset(&set, SIGRTMIN), sigtimedwait(&set, &info, &minute);
    printf("overrun: %d %d, %d\n", info.si_overrun > 1000, info.si_value.sival_int, timer_getoverrun(timer) == info.si_overrun), timer_delete(timer);
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0) {}
    // Unblocked, it comes.
    timer = timer_of(gettid(), SIGUSR1, 25, MILLI, 0);
    do sigpending(&set); while (!sigismember(&set, SIGUSR1));
    pthread_sigmask(SIG_SETMASK, &before, NULL), say("unblocked", 0, 25), timer_delete(timer);
}

static volatile pid_t reader, ended;
static void *reads(void *value) {
    char byte;
    reader = gettid();
    say("by another", read(fds[0], &byte, 1), (int)(long)value);
    return value;
}
static void *ends(void *unused) { return ended = gettid(), unused; }
static pthread_t begin_reader(long value) {
    pthread_t thread;
    reader = 0;
    if (pthread_create(&thread, NULL, reads, (void *)value)) exit(3);
    while (!reader) sched_yield();
    return thread;
}
static void others(void) {
    pthread_t thread = begin_reader(31);
    timer_t timer = timer_of(reader, SIGUSR1, 31, MILLI, MILLI);
    pthread_join(thread, NULL), timer_delete(timer);
    // Signals are sent until the call ends: the first may come before it.
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE, .si_value.sival_int = 32};
    thread = begin_reader(32);
    while (!pthread_tryjoin_np(thread, NULL) == 0) syscall(SYS_rt_tgsigqueueinfo, getpid(), reader, SIGUSR1, &info), usleep(1000);
    thread = begin_reader(33);
    while (!pthread_tryjoin_np(thread, NULL) == 0) pthread_sigqueue(thread, SIGUSR1, (union sigval){.sival_int = 33}), usleep(1000);
    info.si_value.sival_int = 34;
    say("to itself", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info), 34);
    say("queued to itself", pthread_sigqueue(pthread_self(), SIGUSR1, (union sigval){.sival_int = 35}), 35);
    // What is refused.
    pthread_create(&thread, NULL, ends, NULL), pthread_join(thread, NULL);
    say("to who has ended", syscall(SYS_rt_tgsigqueueinfo, getpid(), ended, SIGUSR1, &info), 0);
    say("of another process", syscall(SYS_rt_tgsigqueueinfo, getppid(), gettid(), SIGUSR1, &info), 0);
    say("no signal", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), 100, &info), 0);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_notify_thread_id = ended};
    say("timer of who has ended", timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    event.sigev_notify_thread_id = gettid(), event.sigev_signo = 100, say("timer without a signal", timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    event.sigev_signo = SIGUSR1, say("timer of no clock", timer_create(12345, &event, &timer), 0);
}

static void *ends_before(void *unused) {
    timer_of(gettid(), SIGUSR1, 41, 50 * MILLI, MILLI);
    return unused;
}
static void *runs(void *unused) {
    struct timespec brief = {0, 100 * MILLI};
    pthread_t thread;
    waits(), blocks(), others();
    // Its time is up when its thread is gone.
    pthread_create(&thread, NULL, ends_before, NULL), pthread_join(thread, NULL), say("after an end", nanosleep(&brief, NULL), 0);
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = notes, .sa_flags = SA_SIGINFO};
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0), alarm(0);
    if (pipe(fds)) exit(2);
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL), sigaction(SIGALRM, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL), sigaction(SIGRTMIN + 1, &action, NULL);
    if (pthread_create(&thread, NULL, runs, NULL)) exit(2);
    pthread_join(thread, NULL);
    runs(NULL);
    fflush(stdout);
}
