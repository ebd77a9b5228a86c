// To whom signals go, when their handlers run, and what is told of them: the same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wordexp.h>

#define SAY(what) (errno = 0, say(#what, (long)(what)))
static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : ""); }
static void mask(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    pthread_sigmask(how, &set, NULL);
}
static void on(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}
static pthread_t start(void *(*routine)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, argument)) exit(3);
    return thread;
}
static void *join(pthread_t thread) {
    void *value = NULL;
    if (pthread_join(thread, &value)) exit(4);
    return value;
}
static volatile sig_atomic_t handled;
static void counts(int signal) { (void)signal, handled++; }
static sem_t handler_ran, ready, never;
static void posts(int signal) { (void)signal, sem_post(&handler_ran); }
// Whether the handler has run, after so long that it should have.
static int has_been_handled(void) {
    for (int i = 0; i < 10000 && !handled; i++) poll(NULL, 0, 1);
    return handled;
}

// A thread that has not begun blocks what its creator blocks, and takes it by sigwait.
static void *takes(void *unused) {
    sigset_t set;
    int signal = 0;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    SAY(sigwait(&set, &signal)), SAY(signal == SIGUSR1);
    return unused;
}
static void before_it_begins(void) {
    mask(SIG_SETMASK, SIGUSR1);
    for (int i = 0; i < 20; i++) {
        pthread_t thread = start(takes, NULL);
        SAY(pthread_kill(thread, SIGUSR1));
        join(thread);
    }
    mask(SIG_SETMASK, 0);
}

// A thread's mask does not change with its creator's.
static void *handles(void *unused) {
    while (!handled) poll(NULL, 0, 1);
    return unused;
}
static void mask_of_creation(void) {
    handled = 0;
    on(SIGUSR1, counts, 0);
    pthread_t thread = start(handles, NULL);
    mask(SIG_SETMASK, SIGUSR1);
    SAY(kill(getpid(), SIGUSR1)), SAY(has_been_handled());
    handled = 1;
    join(thread);
    mask(SIG_SETMASK, 0);
}

// What all but one thread block is that one's, here the main thread's, which joins.
static volatile int stops;
static void *sends(void *signal) {
    mask(SIG_SETMASK, (int)(long)signal);
    for (int i = 0; i < 300; i++) {
        if (kill(getpid(), (int)(long)signal)) exit(5);
        while (sem_wait(&handler_ran)) {}
    }
    return signal;
}
static void *computes(void *unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while (!stops) {}
    return unused;
}
static void for_one_thread(void) {
    on(SIGUSR2, posts, 0);
    stops = 0;
    pthread_t busy = start(computes, NULL), sender = start(sends, (void *)SIGUSR2);
    SAY(join(sender) == (void *)SIGUSR2);
    stops = 1;
    join(busy);
}

// Handlers run while their thread waits for a lock.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static int is_over;
static void *waits_for(void *what) {
    sem_post(&ready);
    switch ((long)what) {
    case 0: SAY(pthread_mutex_lock(&mutex)), SAY(pthread_mutex_unlock(&mutex)); break;
    case 1: SAY(pthread_rwlock_rdlock(&rwlock)), SAY(pthread_rwlock_unlock(&rwlock)); break;
    case 2: SAY(pthread_rwlock_wrlock(&rwlock)), SAY(pthread_rwlock_unlock(&rwlock)); break;
    case 3: SAY(pthread_mutex_timedlock(&mutex, &(struct timespec){4000000000, 0})), SAY(pthread_mutex_unlock(&mutex)); break;
    default:
        pthread_mutex_lock(&mutex);
        while (!is_over) pthread_cond_wait(&condition, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    return what;
}
static void *for_locks(void *unused) {
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        on(SIGUSR1, counts, flags);
        for (long what = 0; what < 5; what++) {
            handled = is_over = 0;
            if (what < 4) pthread_mutex_lock(&mutex), pthread_rwlock_wrlock(&rwlock);
            pthread_t thread = start(waits_for, (void *)what);
            sem_wait(&ready);
            // Most wait by then.
            poll(NULL, 0, 2);
            SAY(pthread_kill(thread, SIGUSR1)), SAY(has_been_handled());
            if (what < 4) pthread_mutex_unlock(&mutex), pthread_rwlock_unlock(&rwlock);
            pthread_mutex_lock(&mutex), is_over = 1, pthread_cond_broadcast(&condition), pthread_mutex_unlock(&mutex);
            join(thread);
        }
    }
    return unused;
}

// Handlers run while their thread waits at a barrier, which ends when all have come, and can be ended then.
static pthread_barrier_t barrier;
static void *comes(void *unused) {
    sem_post(&ready);
    int result = pthread_barrier_wait(&barrier);
    if (result == PTHREAD_BARRIER_SERIAL_THREAD) pthread_barrier_destroy(&barrier), puts("the last"), sem_post(&never);
    return unused;
}
static void at_barriers(void) {
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        on(SIGUSR1, counts, flags);
        pthread_t threads[3];
        handled = 0;
        pthread_barrier_init(&barrier, NULL, 3);
        for (int i = 0; i < 2; i++) threads[i] = start(comes, NULL), sem_wait(&ready);
        poll(NULL, 0, 2);
        for (int i = 0; i < 100; i++) pthread_kill(threads[i % 2], SIGUSR1);
        SAY(has_been_handled() > 0);
        threads[2] = start(comes, NULL), sem_wait(&ready);
        for (int i = 0; i < 100; i++) pthread_kill(threads[i % 3], SIGUSR1);
        for (int i = 0; i < 3; i++) join(threads[i]);
        while (sem_wait(&never)) {}
        memset(&barrier, 0, sizeof barrier);
    }
}

// SIGABRT is sent and handled as any other.
static void *pauses(void *unused) {
    SAY(pause());
    return unused;
}
static void aborts(void) {
    on(SIGABRT, counts, 0);
    pthread_t thread = start(pauses, NULL);
    // One that comes before the pause does not end it.
    while (pthread_tryjoin_np(thread, NULL)) pthread_kill(thread, SIGABRT), poll(NULL, 0, 1);
}

// What is sent to a thread that blocks it waits for that, although the thread computes and nobody has a handler.
static volatile int computes_now;
static void *takes_later(void *unused) {
    sigset_t set;
    int signal = 0;
    mask(SIG_BLOCK, SIGXCPU);
    computes_now = 1;
    while (computes_now) {}
    sigemptyset(&set), sigaddset(&set, SIGXCPU);
    SAY(sigwait(&set, &signal)), SAY(signal == SIGXCPU);
    return unused;
}
static void to_who_blocks_it(void) {
    pthread_t thread = start(takes_later, NULL);
    while (!computes_now) poll(NULL, 0, 1);
    SAY(pthread_kill(thread, SIGXCPU)), poll(NULL, 0, 2);
    computes_now = 0;
    join(thread);
}

// What was sent while there was a handler does nothing by default afterwards.
static pthread_t receiver;
static int ends[2];
static volatile int is_written;
static char page[8192], many_pages[1 << 20];
static void *sends_many(void *unused) {
    while (!is_written) pthread_kill(receiver, SIGUSR1), usleep(50);
    return unused;
}
static void *reads_slowly(void *unused) {
    for (size_t all = 0; all < sizeof many_pages; usleep(100)) all += read(ends[0], page, sizeof page);
    return unused;
}
static void *takes_the_handler_off(void *unused) {
    receiver = pthread_self();
    if (pipe(ends)) exit(6);
    for (int round = 0; round < 15; round++) {
        on(SIGUSR1, counts, 0);
        is_written = 0;
        pthread_t sender = start(sends_many, NULL), reader = start(reads_slowly, NULL);
        for (size_t all = 0; all < sizeof many_pages;) {
            ssize_t some = write(ends[1], many_pages, sizeof many_pages - all);
            if (some > 0) all += some;
        }
        is_written = 1;
        join(sender);
        if (round % 2) signal(SIGUSR1, SIG_DFL); else on(SIGUSR1, SIG_DFL, 0);
        join(reader);
    }
    SAY(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
    close(ends[0]), close(ends[1]);
    return unused;
}

// What a thread sends to its process, and blocks no more than any handler, it has handled by then, if all others block it.
static void *sends_to_itself(void *unused) {
    on(SIGPIPE, counts, 0);
    mask(SIG_UNBLOCK, SIGPIPE);
    for (int i = 0; i < 20; i++) {
        handled = 0;
        if (kill(getpid(), SIGPIPE) || handled != 1) printf("handled %d times\n", handled);
    }
    handled = 0, sigqueue(getpid(), SIGPIPE, (union sigval){0}), SAY(handled);
    signal(SIGPIPE, SIG_DFL);
    return unused;
}
static void to_itself(void) {
    mask(SIG_BLOCK, SIGPIPE);
    join(start(sends_to_itself, NULL));
    mask(SIG_UNBLOCK, SIGPIPE);
}

// What only threads that wait for a lock do not block is theirs.
static void *lets_through(void *signal) {
    mask(SIG_UNBLOCK, (int)(long)signal);
    sem_post(&ready);
    pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex);
    return NULL;
}
static void to_who_waits_for_a_lock(void) {
    int signals[] = {SIGUSR1, SIGRTMIN + 2};
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 2; i++) {
        on(signals[i], posts, 0);
        mask(SIG_BLOCK, signals[i]);
        pthread_t thread = start(lets_through, (void *)(long)signals[i]);
        sem_wait(&ready), poll(NULL, 0, 1);
        for (int k = 0; k < 100; k++) {
            if (kill(getpid(), signals[i])) exit(5);
            while (sem_wait(&handler_ran)) {}
        }
        pthread_mutex_unlock(&mutex), join(thread), pthread_mutex_lock(&mutex);
        mask(SIG_UNBLOCK, signals[i]), printf("signal %d went to who waits for a lock\n", i);
    }
    pthread_mutex_unlock(&mutex);
}

// A handler runs on a thread of the program's, also for a child of a thread that waits meanwhile.
static pthread_t first, forks, handler_of;
static void notes(int signal) { (void)signal, handler_of = pthread_self(), handled++; }
static void *has_children(void *unused) {
    int status, known = 0;
    on(SIGCHLD, notes, 0);
    forks = pthread_self();
    for (int i = 0; i < 20; i++) {
        handled = 0;
        pid_t child = fork();
        if (child == 0) usleep(1000), _exit(0);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (has_been_handled()) known += pthread_equal(handler_of, first) || pthread_equal(handler_of, forks);
    }
    SAY(known);
    signal(SIGCHLD, SIG_DFL);
    return unused;
}

// What the process was sent is told with its value, although the same signal is sent to the thread all the time.
static volatile int told, is_told_all;
static void is_told(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_code == SI_QUEUE && info->si_value.sival_int == 77) __atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
}
static void *is_sent_all(void *unused) {
    mask(SIG_UNBLOCK, SIGUSR1);
    while (!is_told_all) {
        poll(NULL, 0, 1);
        for (volatile int i = 0; i < 10000; i++) {}
    }
    return unused;
}
static void *sends_all_the_time(void *thread) {
    while (!is_told_all) pthread_kill(*(pthread_t *)thread, SIGUSR1), usleep(10);
    return NULL;
}
static void *queues(void *unused) {
    for (int i = 0; i < 1000; i++) {
        int before = told, looks = 0;
        if (sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77})) exit(5);
        while (told == before && looks++ < 50000) usleep(100);
        if (told == before) break;
    }
    is_told_all = 1;
    return unused;
}
static void with_its_value(void) {
    struct sigaction action = {.sa_sigaction = is_told, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL), mask(SIG_BLOCK, SIGUSR1);
    pthread_t thread = start(is_sent_all, NULL), other = start(sends_all_the_time, &thread);
    join(start(queues, NULL)), join(other), join(thread);
    SAY(told), signal(SIGUSR1, SIG_IGN), mask(SIG_UNBLOCK, SIGUSR1);
}

// The handler of a child's end ends no wait for that child.
static void *waits_for_any(void *unused) {
    int status, known = 0;
    on(SIGCHLD, counts, 0);
    for (int i = 0; i < 100; i++) {
        handled = 0;
        pid_t child = fork();
        if (child == 0) usleep(200), _exit(7);
        known += wait(&status) == child && WEXITSTATUS(status) == 7;
        // The handler has run by then, or soon: it is to end no other wait.
        has_been_handled();
        while (wait(&status) > 0) {}
    }
    SAY(known);
    signal(SIGCHLD, SIG_DFL);
    return unused;
}

// What a handler sees, and sends.
static void looks(int signal) {
    sigset_t set;
    SAY(raise(signal)), SAY(raise(SIGUSR2));
    sigpending(&set);
    SAY(sigismember(&set, signal)), SAY(sigismember(&set, SIGUSR2)), SAY(sigismember(&set, SIGTERM));
    on(signal, SIG_IGN, 0);
}
static void *in_handlers(void *unused) {
    int signals[] = {SIGUSR1, SIGABRT, SIGSEGV};
    on(SIGUSR2, counts, 0);
    for (int i = 0; i < 3; i++) {
        handled = 0;
        mask(SIG_SETMASK, SIGUSR2);
        on(signals[i], looks, 0);
        SAY(raise(signals[i])), SAY(handled);
        mask(SIG_SETMASK, 0), SAY(handled);
        on(signals[i], SIG_DFL, 0);
    }
    return unused;
}

static void *errors(void *unused) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    SAY(sigprocmask(77, &set, NULL)), SAY(pthread_sigmask(77, &set, NULL)), SAY(sigprocmask(77, NULL, NULL));
    SAY(signalfd(0, &set, 0)), SAY(signalfd(-1, &set, 77)), SAY(signalfd(99999, &set, 0));
    return unused;
}

// A thread that wants to end wherever it is ends from a lock, and from a join of a thread with a stack of its creator's.
static void *wants_to_end(void *thread) {
    sem_post(&ready);
    if (thread) pthread_join(*(pthread_t *)thread, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_mutex_lock(&mutex);
    return NULL;
}
static void *stays(void *unused) {
    sem_wait(&never);
    return unused;
}
static void *cancelled(void *unused) {
    pthread_attr_t attributes;
    pthread_t with_stack;
    size_t bytes = 1 << 20;
    void *stack = aligned_alloc(4096, bytes);
    pthread_attr_init(&attributes), pthread_attr_setstack(&attributes, stack, bytes);
    SAY(pthread_create(&with_stack, &attributes, stays, NULL));
    pthread_mutex_lock(&mutex);
    for (int way = 0; way < 2; way++) {
        pthread_t thread = start(wants_to_end, way ? &with_stack : NULL);
        sem_wait(&ready), poll(NULL, 0, 2);
        SAY(pthread_cancel(thread)), SAY(join(thread) == PTHREAD_CANCELED);
    }
    pthread_mutex_unlock(&mutex);
    sem_post(&never), SAY(pthread_join(with_stack, NULL));
    free(stack);
    return unused;
}

// A stack for handlers stays its thread's, and is told to it.
static void *alternate(void *unused) {
    stack_t mine = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16}, small = mine, wrong = mine, none = {.ss_flags = SS_DISABLE}, now;
    small.ss_size = 1000, wrong.ss_flags = 77;
    SAY(sigaltstack(&small, NULL)), SAY(sigaltstack(&wrong, NULL)), SAY(sigaltstack(&mine, NULL));
    poll(NULL, 0, 1);
    SAY(sigaltstack(NULL, &now)), SAY(now.ss_sp == mine.ss_sp), SAY(now.ss_size), SAY(now.ss_flags);
    on(SIGUSR1, counts, SA_ONSTACK), handled = 0;
    SAY(raise(SIGUSR1)), SAY(handled);
    SAY(sigaltstack(&none, &now)), SAY(now.ss_sp == mine.ss_sp), SAY(sigaltstack(NULL, &now)), SAY(now.ss_flags == SS_DISABLE);
    free(mine.ss_sp);
    return unused;
}

// The smallest stack is enough for calls that wait.
static void *has_little(void *unused) {
    int status;
    char byte = 'x';
    pid_t child = fork();
    if (child == 0) _exit(7);
    SAY(waitpid(child, &status, 0) == child), SAY(WEXITSTATUS(status));
    if (pipe(ends)) exit(6);
    SAY(write(ends[1], &byte, 1)), SAY(read(ends[0], &byte, 1)), SAY(poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 1));
    close(ends[0]), close(ends[1]);
    return unused;
}
static void small_stacks(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    SAY(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN)), SAY(pthread_create(&thread, &attributes, has_little, NULL));
    join(thread);
}

// While a thread is in a call that no handler ends, the process is sent what it alone lets through: the handler runs in that call, or at its end.
static volatile sig_atomic_t in_calls;
static void counts_in_calls(int signal) { (void)signal, in_calls++; }
static void calls_shell(int way) {
    const char *command = "kill -USR1 $PPID; sleep 0.02";
    wordexp_t words;
    if (way == 0) {
        FILE *file = popen(command, "r");
        if (!file || pclose(file)) puts("pclose failed");
    } else if (way == 1) {
        if (system(command)) puts("system failed");
    } else if (wordexp("$(kill -USR1 $PPID; sleep 0.02)", &words, 0)) {
        puts("wordexp failed");
    } else {
        wordfree(&words);
    }
}
static void *is_in_calls(void *unused) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (int way = 0; way < 3; way++) {
        int times = 0;
        // From another process it may be on its way when the call ends.
        for (int round = 0; round < 20 && !times; round++) {
            usleep(1000), in_calls = 0, calls_shell(way), times = in_calls;
            while (!in_calls) usleep(1000);
        }
        printf("call %d: %d\n", way, times);
    }
    return unused;
}
static void in_calls_on_the_pool(void) {
    sigset_t set, before;
    struct sigaction action = {.sa_handler = counts_in_calls, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&set), sigaddset(&set, SIGUSR1), pthread_sigmask(SIG_BLOCK, &set, &before);
    join(start(is_in_calls, NULL)), pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    sem_init(&handler_ran, 0, 0), sem_init(&ready, 0, 0), sem_init(&never, 0, 0);
    small_stacks(), before_it_begins(), mask_of_creation(), for_one_thread(), at_barriers(), aborts(), to_who_blocks_it(), to_itself(), to_who_waits_for_a_lock(), with_its_value(), in_calls_on_the_pool();
    first = pthread_self();
    join(start(has_children, NULL)), join(start(waits_for_any, NULL)), join(start(takes_the_handler_off, NULL));
    join(start(for_locks, NULL)), join(start(in_handlers, NULL)), join(start(errors, NULL)), join(start(alternate, NULL)), join(start(cancelled, NULL));
}
