// Signals for the process that a plain thread waits for, or lets through, while threads that are fibers send them: the same on threads and on fibers.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#define SAY(what) (errno = 0, say(#what, (long)(what)))
static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : ""); }
static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    return set;
}
static void mask(int how, int signal) {
    sigset_t set = set_of(signal);
    pthread_sigmask(how, &set, NULL);
}
static void on(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, NULL);
}
static pthread_t start(void *(*routine)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, argument)) exit(3);
    return thread;
}
// With a stack of its creator's it is the kernel's.
static pthread_t start_plain(void *(*routine)(void *), void *argument) {
    static char stacks[4][1 << 18] __attribute__((aligned(4096)));
    static int next;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes), pthread_attr_setstack(&attributes, stacks[next++ % 4], sizeof stacks[0]);
    if (pthread_create(&thread, &attributes, routine, argument)) exit(3);
    return thread;
}
static void *join(pthread_t thread) {
    void *value = NULL;
    if (pthread_join(thread, &value)) exit(4);
    return value;
}
static volatile sig_atomic_t handled;
static pthread_t handler_of;
static void counts(int signal) { (void)signal, handled++, handler_of = pthread_self(); }
static sem_t go;
static int is_pending(int signal) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signal);
}
// Nothing but what the program has blocked itself.
static int blocks_others(void) {
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signal = SIGRTMIN + 2; signal <= 64; signal++) if (sigismember(&now, signal)) return signal;
    return 0;
}

// Sends this signal when the caller is told to, and once more after it waits, most times.
static void *sends(void *signal) {
    mask(SIG_BLOCK, (int)(long)signal);
    usleep(300);
    if (sigqueue(getpid(), (int)(long)signal, (union sigval){.sival_int = 77})) exit(5);
    return NULL;
}
static void *kills(void *signal) {
    mask(SIG_BLOCK, (int)(long)signal);
    usleep(300);
    if (kill(getpid(), (int)(long)signal)) exit(5);
    return NULL;
}
static void sent_before(int signal) { join(start(kills, (void *)(long)signal)); }

// Each way to wait for a signal that the caller blocks, the signal sent before and meanwhile.
static void waits(int signal) {
    sigset_t set = set_of(signal);
    siginfo_t info;
    int taken = 0;
    struct timespec brief = {0, 1000000}, none = {0, 0}, lasts = {100, 0};
    for (int is_before = 0; is_before < 2; is_before++) {
        for (int round = 0; round < 5; round++) {
            pthread_t thread = start(kills, (void *)(long)signal);
            if (is_before) join(thread), SAY(is_pending(signal));
            SAY(sigwait(&set, &taken)), SAY(taken == signal), SAY(is_pending(signal));
            if (!is_before) join(thread);
            thread = start(sends, (void *)(long)signal);
            if (is_before) join(thread);
            memset(&info, 0, sizeof info);
            SAY(sigwaitinfo(&set, &info) == signal), SAY(info.si_code == SI_QUEUE), SAY(info.si_value.sival_int), SAY(info.si_pid == getpid());
            if (!is_before) join(thread);
            thread = start(kills, (void *)(long)signal);
            if (is_before) join(thread);
            SAY(sigtimedwait(&set, &info, is_before ? &none : &lasts) == signal), SAY(info.si_code == SI_USER), SAY(info.si_pid == getpid());
            if (!is_before) join(thread);
        }
    }
    SAY(sigtimedwait(&set, NULL, &none)), SAY(sigtimedwait(&set, NULL, &brief)), SAY(blocks_others());
}

// Each call that lets it through meanwhile, the same. The handler runs on the caller.
static int waits_with_mask(int way, const sigset_t *open, const struct timespec *time) {
    struct epoll_event event;
    static int epoll = -1;
    if (epoll < 0) epoll = epoll_create1(0);
    switch (way) {
    case 0: return time ? ppoll(NULL, 0, time, open) : sigsuspend(open);
    case 1: return ppoll(NULL, 0, time, open);
    case 2: return pselect(0, NULL, NULL, NULL, time, open);
    case 3: return epoll_pwait(epoll, &event, 1, time ? time->tv_sec * 1000 + time->tv_nsec / 1000000 : -1, open);
    default: return epoll_pwait2(epoll, &event, 1, time, open);
    }
}
static void lets_through(int signal) {
    struct timespec none = {0, 0}, brief = {0, 2000000}, lasts = {100, 0};
    sigset_t open, closed;
    pthread_sigmask(SIG_BLOCK, NULL, &closed), open = closed, sigdelset(&open, signal);
    on(signal, counts);
    for (int way = 0; way < 5; way++) {
        for (int round = 0; round < 6; round++) {
            handled = 0;
            pthread_t thread = start(kills, (void *)(long)signal);
            if (round % 2) join(thread);
            SAY(waits_with_mask(way, &open, round < 4 ? NULL : &lasts)), SAY(handled), SAY(pthread_equal(handler_of, pthread_self()));
            SAY(is_pending(signal));
            if (round % 2 == 0) join(thread);
        }
        handled = 0, sent_before(signal);
        // What it blocks ends no call, and stays.
        SAY(waits_with_mask(way, &closed, &brief)), SAY(handled), SAY(is_pending(signal));
        SAY(waits_with_mask(way, &open, &brief)), SAY(handled), SAY(waits_with_mask(way, &open, &none)), SAY(handled);
    }
    int ends[2];
    if (pipe(ends)) exit(6);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct pollfd entry = {ends[0], POLLIN, 0};
    handled = 0, sent_before(signal);
    SAY(pselect(ends[0] + 1, &set, NULL, NULL, NULL, &open)), SAY(FD_ISSET(ends[0], &set)), SAY(handled);
    SAY(write(ends[1], "x", 1)), SAY(ppoll(&entry, 1, NULL, &open)), SAY(entry.revents), SAY(pselect(ends[0] + 1, &set, NULL, NULL, NULL, &open));
    close(ends[0]), close(ends[1]);
    SAY(ppoll(NULL, 0, &(struct timespec){0, -1}, &open)), SAY(blocks_others());
    // The program of the books.
    for (int round = 0; round < 200; round++) {
        handled = 0;
        pthread_t thread = start(kills, (void *)(long)signal);
        while (!handled) sigsuspend(&open);
        join(thread);
    }
    SAY(handled);
    // It lets it through from now on.
    sent_before(signal), handled = 0;
    mask(SIG_UNBLOCK, signal), SAY(handled);
    mask(SIG_BLOCK, signal), sent_before(signal), sigrelse(signal), SAY(handled);
    sighold(signal), sent_before(signal), SAY(handled), SAY(sigpause(signal)), SAY(handled), SAY(is_pending(signal));
}

// Jumps and contexts that restore a mask which lets it through.
static sigjmp_buf place;
static void restores(int signal) {
    volatile int times = 0;
    mask(SIG_UNBLOCK, signal), on(signal, counts), handled = 0;
    if (!sigsetjmp(place, 1)) {
        mask(SIG_BLOCK, signal), sent_before(signal), SAY(handled);
        siglongjmp(place, 1);
    }
    SAY(handled), SAY(is_pending(signal));
    ucontext_t context;
    getcontext(&context);
    if (times++ == 0) {
        mask(SIG_BLOCK, signal), sent_before(signal), SAY(handled);
        setcontext(&context);
    }
    SAY(handled);
    mask(SIG_BLOCK, signal);
}

// A handler jumps out of a wait, which is over then.
static void jumps(int signal) { siglongjmp(place, signal); }
static void jumps_away(int signal, int other) {
    sigset_t set = set_of(signal), open = set_of(signal);
    int taken;
    for (volatile int round = 0; round < 20; round++) {
        on(other, jumps), mask(SIG_BLOCK, other);
        if (!sigsetjmp(place, 1)) {
            pthread_t thread = start(kills, (void *)(long)other);
            // Nobody may jump out of a thread's creation.
            pthread_detach(thread), mask(SIG_UNBLOCK, other);
            if (round % 3 == 0) sigwait(&set, &taken); else if (round % 3 == 1) sigsuspend(&open); else ppoll(NULL, 0, NULL, &open);
            puts("not left");
        }
        if (blocks_others()) printf("%d is blocked\n", blocks_others());
        on(other, counts), mask(SIG_BLOCK, other);
        pthread_t thread = start(kills, (void *)(long)signal);
        if (sigwait(&set, &taken)) puts("not taken");
        join(thread);
    }
    SAY(blocks_others());
}

// A handler ends sigwaitinfo, and not sigwait.
static pthread_t waiter;
static volatile int is_enough;
static void *disturbs(void *signal) {
    while (!handled || !is_enough) pthread_kill(waiter, SIGURG), usleep(200);
    sends(signal);
    return NULL;
}
static void is_disturbed(int signal) {
    sigset_t set = set_of(signal);
    int taken;
    waiter = pthread_self(), on(SIGURG, counts), mask(SIG_UNBLOCK, SIGURG);
    handled = 0, is_enough = 1;
    pthread_t thread = start(disturbs, (void *)(long)signal);
    SAY(sigwait(&set, &taken)), SAY(taken == signal), SAY(handled > 0), join(thread);
    handled = is_enough = 0;
    thread = start(disturbs, (void *)(long)signal);
    SAY(sigwaitinfo(&set, NULL)), SAY(handled > 0), is_enough = 1, join(thread);
    SAY(sigwaitinfo(&set, NULL) == signal);
    on(SIGURG, SIG_DFL);
}

// A handler that changes its mask has the old one back afterwards, and who sends it finds it so.
static void blocks_usr1(int signal) { (void)signal, mask(SIG_BLOCK, SIGUSR1); }
static void in_a_handler(void) {
    mask(SIG_UNBLOCK, SIGUSR1), on(SIGUSR1, counts), on(SIGUSR2, blocks_usr1), mask(SIG_UNBLOCK, SIGUSR2);
    SAY(raise(SIGUSR2));
    for (int round = 0; round < 20; round++) {
        handled = 0;
        sent_before(SIGUSR1);
        for (int i = 0; i < 5000 && !handled; i++) usleep(1000);
        if (!handled) puts("not handled");
    }
    on(SIGUSR2, counts), mask(SIG_BLOCK, SIGUSR2), mask(SIG_BLOCK, SIGUSR1);
}

// Other plain threads than the main one, which blocks it.
static void *on_another_thread(void *signal) {
    waits((int)(long)signal), lets_through((int)(long)signal), restores((int)(long)signal);
    return NULL;
}
// Several that wait: each takes one.
static int all_taken;
static void *takes_one(void *signal) {
    sigset_t set = set_of((int)(long)signal);
    int taken;
    if (sigwait(&set, &taken) == 0) __atomic_add_fetch(&all_taken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}
static void beside_each_other(int signal) {
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        for (long i = 0; i < 4; i++) threads[i] = (i % 2 ? start : start_plain)(takes_one, (void *)(long)signal);
        join(start(sends, (void *)(long)signal));
        for (int i = 0; i < 4; i++) sigqueue(getpid(), signal, (union sigval){0});
        takes_one((void *)(long)signal);
        for (int i = 0; i < 4; i++) join(threads[i]);
    }
    SAY(all_taken);
}

// A cancelled thread ends from each wait, and what is sent later is the others'.
static void *is_cancelled(void *way) {
    sigset_t set = set_of(SIGUSR1), open = set_of(SIGUSR2);
    int taken;
    sem_post(&go);
    switch ((long)way) {
    case 0: sigwait(&set, &taken); break;
    case 1: sigwaitinfo(&set, NULL); break;
    case 2: sigtimedwait(&set, NULL, &(struct timespec){100, 0}); break;
    default: for (;;) waits_with_mask((int)(long)way - 3, &open, NULL);
    }
    return NULL;
}
static void cancelled(void) {
    sigset_t set = set_of(SIGUSR1);
    int taken;
    for (long way = 0; way < 8; way++) {
        pthread_t thread = start_plain(is_cancelled, (void *)way);
        while (sem_wait(&go)) {}
        SAY(pthread_cancel(thread)), SAY(join(thread) == PTHREAD_CANCELED);
        sent_before(SIGUSR1), SAY(sigwait(&set, &taken));
    }
}

// What a signal does by default it does as well where a call lets it through.
static void by_default(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        sigset_t open = set_of(0);
        mask(SIG_BLOCK, SIGTERM), on(SIGTERM, SIG_DFL), alarm(100);
        sent_before(SIGTERM), sigsuspend(&open), _exit(7);
    }
    int status;
    SAY(waitpid(child, &status, 0) == child), SAY(WIFSIGNALED(status) ? WTERMSIG(status) : -2);
}

// Programs of their own: what they print is among this one's lines.
static int ready[2];
static pid_t begin(const char *self, const char *what) {
    fflush(stdout);
    if (pipe(ready)) exit(6);
    pid_t child = fork();
    if (child == 0) {
        dup2(ready[1], 100), close(ready[0]), close(ready[1]);
        execl(self, self, what, NULL);
        _exit(9);
    }
    close(ready[1]);
    return child;
}
static void ends(pid_t child) {
    int status;
    SAY(waitpid(child, &status, 0) == child), SAY(status);
}

// Another process sends, again and again until the child ends.
static void from_outside(const char *self, const char *what, int signal) {
    pid_t child = begin(self, what);
    char byte;
    int status;
    // A thread of the child says that it is ready.
    if (read(ready[0], &byte, 1) != 1) puts("not ready");
    while (waitpid(child, &status, WNOHANG) == 0) kill(child, signal), usleep(1000);
    close(ready[0]), SAY(status);
}

// It blocks the signal before it has threads, which all begin with that.
static volatile sig_atomic_t is_over;
static void *suspends(void *way) {
    sigset_t open = set_of(0);
    while (!handled) waits_with_mask((int)(long)way, &open, NULL);
    return (void *)(long)handled;
}
static void blocked_first(int is_others) {
    mask(SIG_BLOCK, SIGUSR1), on(SIGUSR1, counts);
    for (long way = 0; way < 5; way++) {
        handled = 0;
        pthread_t thread = start(suspends, (void *)way);
        if (!is_others) join(start(kills, (void *)SIGUSR1)); else if (way == 0 && write(100, "x", 1) != 1) exit(8);
        SAY(join(thread) != NULL);
    }
}
// The main thread waits for what others send, and blocks it when it has threads already.
static void *stays(void *unused) {
    while (!is_over) usleep(1000);
    return unused;
}
static void main_waits(void) {
    pthread_t thread = start(stays, NULL);
    mask(SIG_BLOCK, SIGUSR1), on(SIGUSR1, counts);
    sigset_t set = set_of(SIGUSR1), open = set_of(0);
    int taken;
    SAY(write(100, "x", 1)), SAY(sigwait(&set, &taken)), SAY(taken);
    handled = 0;
    while (!handled) sigsuspend(&open);
    is_over = 1, join(thread);
}
static int threads(void) {
    int count = 0;
    DIR *all = opendir("/proc/self/task");
    while (readdir(all)) count++;
    closedir(all);
    return count - 2;
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    sem_init(&go, 0, 0);
    const char *what = count > 1 ? arguments[1] : "";
    if (!strcmp(what, "alone")) {
        mask(SIG_BLOCK, SIGUSR1), on(SIGUSR1, counts);
        kill(getpid(), SIGUSR1), SAY(handled), mask(SIG_UNBLOCK, SIGUSR1), SAY(handled), SAY(threads());
        return 0;
    }
    if (!strcmp(what, "blocked")) return blocked_first(0), 0;
    if (!strcmp(what, "blocked, others send")) return blocked_first(1), 0;
    if (!strcmp(what, "main waits")) return main_waits(), 0;
    if (!strcmp(what, "beside each other")) {
        // There were threads before it is blocked.
        sent_before(0), mask(SIG_BLOCK, SIGRTMIN + 1);
        return beside_each_other(SIGRTMIN + 1), 0;
    }
    const char *self = arguments[0];
    ends(begin(self, "alone"));
    ends(begin(self, "blocked")), ends(begin(self, "beside each other"));
    from_outside(self, "blocked, others send", SIGUSR1);
    from_outside(self, "main waits", SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1), mask(SIG_BLOCK, SIGUSR2), mask(SIG_BLOCK, SIGRTMIN + 1);
    waits(SIGUSR1), waits(SIGRTMIN + 1);
    lets_through(SIGUSR1), lets_through(SIGRTMIN + 1);
    restores(SIGUSR1), jumps_away(SIGUSR1, SIGUSR2), is_disturbed(SIGUSR1), in_a_handler();
    join(start_plain(on_another_thread, (void *)SIGUSR1));
    join(start_plain(on_another_thread, (void *)(long)(SIGRTMIN + 1)));
    mask(SIG_BLOCK, SIGUSR1), beside_each_other(SIGRTMIN + 1), cancelled(), by_default();
    // A copy, whose main thread is plain as well.
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) waits(SIGUSR1), lets_through(SIGUSR1), exit(0);
    ends(child);
}
