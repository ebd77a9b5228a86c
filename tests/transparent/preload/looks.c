// Calls whose mask lets a waiting signal in, with something ready and with nothing: whether the handler runs, and how the call ends, is the same on
// threads and on fibers. One signal is blocked where the first thread is created, the other by the thread that looks.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static __thread int handled;
static void counts(int signal) { (void)signal, handled++; }
static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, signal);
    return set;
}
static int ends[2], watches;
static sigset_t none;
static const struct timespec now = {0, 0}, brief = {0, 2000000}, lasts = {100, 0};

static int by_ppoll(const struct timespec *time) {
    struct pollfd end = {ends[0], POLLIN, 0};
    return ppoll(&end, 1, time, &none);
}
static int by_pselect(const struct timespec *time) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    return pselect(ends[0] + 1, &readable, NULL, NULL, time, &none);
}
static int by_epoll_pwait(const struct timespec *time) {
    struct epoll_event event;
    return epoll_pwait(watches, &event, 1, time ? time->tv_sec * 1000 + time->tv_nsec / 1000000 : -1, &none);
}
static int by_epoll_pwait2(const struct timespec *time) {
    struct epoll_event event;
    return epoll_pwait2(watches, &event, 1, time, &none);
}
static int (*const calls[])(const struct timespec *) = {by_ppoll, by_pselect, by_epoll_pwait, by_epoll_pwait2};
static const char *const names[] = {"ppoll", "pselect", "epoll_pwait", "epoll_pwait2"};

// How a signal comes to wait: for the caller, by itself and by another thread, and for the process.
struct target { pthread_t thread; int signal; };
static void *sends_to_thread(void *target) {
    struct target *to = target;
    return (void *)(long)pthread_kill(to->thread, to->signal);
}
static void *sends_to_process(void *target) {
    sigset_t both = set_of(SIGUSR1);
    sigaddset(&both, SIGUSR2), pthread_sigmask(SIG_BLOCK, &both, NULL);
    return (void *)(long)kill(getpid(), ((struct target *)target)->signal);
}
static void let_wait(int way, int signal) {
    struct target self = {pthread_self(), signal};
    pthread_t thread;
    if (way == 0) raise(signal);
    if (way == 0) return;
    if (pthread_create(&thread, NULL, way == 1 ? sends_to_thread : sends_to_process, &self)) exit(3);
    pthread_join(thread, NULL);
}
static const char *const ways[] = {"its own", "another's", "the process's"};

static void see(const char *who, int call, int way, int signal, const struct timespec *time, const char *what) {
    let_wait(way, signal);
    handled = 0, errno = 0;
    int result = calls[call](time), error = result < 0 ? errno : 0, runs = handled;
    sigset_t waiting, set = set_of(signal);
    sigpending(&waiting);
    int waits = sigismember(&waiting, signal), is_there = waits && sigtimedwait(&set, NULL, &now) == signal;
    printf("%s, %s, %s, signal %s, %s: %d %s, handled %d, waits %d %d\n", who, names[call], ways[way], strsignal(signal), what, result,
           error ? strerrorname_np(error) : "", runs, waits, is_there);
    fflush(stdout);
}
// The last way is left out where the main thread, which does not block the signal yet, would take it.
static void see_all(const char *who, int signal, int last) {
    char byte = 'x';
    for (int call = 0; call < 4; call++) {
        for (int way = 0; way <= last; way++) {
            see(who, call, way, signal, &now, "nothing, a look"), see(who, call, way, signal, &brief, "nothing, briefly");
            see(who, call, way, signal, &lasts, "nothing, for long"), see(who, call, way, signal, NULL, "nothing, for ever");
            if (write(ends[1], &byte, 1) != 1) exit(4);
            see(who, call, way, signal, &now, "a byte, a look"), see(who, call, way, signal, &lasts, "a byte, for long");
            see(who, call, way, signal, NULL, "a byte, for ever");
            if (read(ends[0], &byte, 1) != 1) exit(4);
        }
    }
}
static void *looks_in_thread(void *unused) {
    sigset_t second = set_of(SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &second, NULL);
    see_all("a thread", SIGUSR1, 2), see_all("a thread", SIGUSR2, 1);
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_handler = counts, .sa_flags = SA_RESTART};
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t first = set_of(SIGUSR1), second = set_of(SIGUSR2);
    pthread_t thread;
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL), sigemptyset(&none);
    pthread_sigmask(SIG_BLOCK, &first, NULL);
    if (pipe(ends) || (watches = epoll_create1(0)) < 0 || epoll_ctl(watches, EPOLL_CTL_ADD, ends[0], &event)) return 2;
    if (pthread_create(&thread, NULL, looks_in_thread, NULL)) return 3;
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_BLOCK, &second, NULL);
    see_all("main", SIGUSR1, 2), see_all("main", SIGUSR2, 2);
    return 0;
}
