// sigsetjmp, siglongjmp, contexts, and the masks that they save: the same on threads and on fibers.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SAY(what) say(#what, (long)(what))
static void say(const char *what, long result) { printf("%s: %ld\n", what, result); }

static void mask(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    pthread_sigmask(how, &set, NULL);
}
static void masks(const char *where) {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    printf("%s blocks", where);
    for (int signal = 1; signal < 32; signal++) if (sigismember(&set, signal)) printf(" %d", signal);
    puts("");
}

static __thread sigjmp_buf buffer;
static __thread volatile int rounds;
static __thread volatile sig_atomic_t handled;
static void jumps(int signal) {
    handled = signal;
    siglongjmp(buffer, signal);
}
static void counts(int signal) { handled = signal; }
static void jumps_inside(int signal) {
    static __thread sigjmp_buf inner;
    if (sigsetjmp(inner, 1) == 0) siglongjmp(inner, 1);
    handled = signal;
}
static void raises(int signal) {
    raise(SIGUSR2);
    handled = signal;
}
static void on(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGINT);
    sigaction(signal, &action, NULL);
}

// A wait after a jump parks as ever, and a signal ends it.
static void waits_on(const char *where) {
    int ends[2];
    char byte = 'x';
    if (pipe(ends) || write(ends[1], &byte, 1) != 1) exit(3);
    handled = 0;
    printf("%s: read %zd, poll %d\n", where, read(ends[0], &byte, 1), poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 1));
    close(ends[0]), close(ends[1]);
    on(SIGHUP, counts, 0);
    SAY(pthread_kill(pthread_self(), SIGHUP)), SAY(handled);
}

static void *saved(void *unused) {
    mask(SIG_SETMASK, SIGTERM);
    rounds = 0;
    int value = sigsetjmp(buffer, 1);
    masks("after sigsetjmp");
    mask(SIG_BLOCK, SIGQUIT), mask(SIG_UNBLOCK, SIGTERM);
    if (rounds++ < 2) siglongjmp(buffer, rounds);
    SAY(value), SAY(rounds);
    value = sigsetjmp(buffer, 0);
    masks("not saved");
    mask(SIG_BLOCK, SIGALRM);
    if (rounds++ < 4) siglongjmp(buffer, rounds);
    SAY(value);
    value = _setjmp(buffer);
    masks("_setjmp");
    mask(SIG_BLOCK, SIGCHLD);
    if (rounds++ < 6) longjmp(buffer, rounds);
    mask(SIG_SETMASK, 0);
    return unused;
}

// Jumps out of a handler that a thread runs for a signal to itself.
static void *out_of_handlers(void *unused) {
    mask(SIG_SETMASK, SIGTERM);
    on(SIGUSR1, jumps, 0), on(SIGUSR2, jumps, 0);
    for (int round = 0; round < 3; round++) {
        if (sigsetjmp(buffer, 1) == 0) raise(SIGUSR1), puts("not here");
        masks("after a handler");
    }
    waits_on("after a handler");
    if (sigsetjmp(buffer, 0) == 0) raise(SIGUSR1), puts("not here");
    masks("without the mask");
    mask(SIG_SETMASK, 0);
    if (sigsetjmp(buffer, 1) == 0) pthread_kill(pthread_self(), SIGUSR1), puts("not here");
    masks("pthread_kill");
    on(SIGUSR1, raises, 0);
    if (sigsetjmp(buffer, 1) == 0) raise(SIGUSR1), puts("not here");
    masks("out of two");
    on(SIGUSR1, jumps_inside, 0);
    SAY(raise(SIGUSR1)), SAY(handled == SIGUSR1);
    masks("within a handler");
    // It waits until it is let through, and then runs within the call that does so.
    on(SIGUSR1, jumps, 0);
    mask(SIG_BLOCK, SIGUSR1);
    if (sigsetjmp(buffer, 1) == 0) {
        raise(SIGUSR1);
        puts("it waits");
        mask(SIG_UNBLOCK, SIGUSR1), puts("not here");
    }
    masks("let through");
    mask(SIG_SETMASK, 0);
    waits_on("let through");
    // A handler with a stack of its own.
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16}, none = {.ss_flags = SS_DISABLE};
    SAY(sigaltstack(&stack, NULL));
    on(SIGUSR1, jumps, SA_ONSTACK);
    for (int round = 0; round < 2; round++) {
        if (sigsetjmp(buffer, 1) == 0) raise(SIGUSR1), puts("not here");
        masks("its own stack");
    }
    on(SIGUSR1, jumps_inside, SA_ONSTACK);
    SAY(raise(SIGUSR1)), SAY(handled == SIGUSR1);
    SAY(sigaltstack(&none, NULL));
    waits_on("its own stack");
    free(stack.ss_sp);
    return unused;
}

// Jumps out of a wait, for a signal of another thread's.
static sem_t ready, gone, never;
static void *kills(void *thread) {
    sem_wait(&ready);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}
static void leave(int way) {
    pthread_t me = pthread_self(), killer;
    sigset_t none;
    sigemptyset(&none);
    on(SIGUSR1, jumps, way % 2 ? SA_RESTART : 0);
    pthread_create(&killer, NULL, kills, &me);
    if (sigsetjmp(buffer, 1) == 0) {
        // It may come before the wait.
        sem_post(&ready);
        switch (way) {
        case 0: pause(); break;
        case 1: sleep(1000); break;
        case 2: sem_wait(&never); break;
        case 3: sigsuspend(&none); break;
        case 4: sem_timedwait(&never, &(struct timespec){4000000000, 0}); break;
        default: poll(NULL, 0, -1);
        }
        puts("not here");
    }
    masks("out of a wait");
    pthread_join(killer, NULL);
}
static void *out_of_waits(void *unused) {
    mask(SIG_SETMASK, SIGTERM);
    for (int way = 0; way < 6; way++) leave(way);
    waits_on("out of a wait");
    mask(SIG_SETMASK, 0);
    return unused;
}
static int empty[2];
static void *is_cancelled(void *unused) {
    leave(0);
    sem_post(&gone);
    char byte;
    SAY(read(empty[0], &byte, 1));
    return unused;
}

// Faults, whose handlers jump.
static void *faults(void *unused) {
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    on(SIGSEGV, jumps, 0);
    mask(SIG_SETMASK, SIGTERM);
    for (int round = 0; round < 3; round++) {
        if (sigsetjmp(buffer, 1) == 0) *(volatile char *)page = 1, puts("not here");
        masks("after a fault");
    }
    waits_on("after a fault");
    mask(SIG_SETMASK, 0);
    munmap(page, 4096);
    return unused;
}

// A copy of the process has the masks of its thread.
static void *copies(void *unused) {
    int status;
    mask(SIG_SETMASK, SIGTERM);
    if (sigsetjmp(buffer, 1) == 0) {
        pid_t child = fork();
        if (child == 0) mask(SIG_SETMASK, SIGQUIT), siglongjmp(buffer, 1);
        SAY(waitpid(child, &status, 0) == child), SAY(status);
    } else {
        masks("in a copy");
        exit(0);
    }
    mask(SIG_SETMASK, 0);
    return unused;
}

static __thread ucontext_t outer, inner;
static __thread volatile int visits;
static void goes_back(int signal, siginfo_t *info, void *context) {
    (void)info;
    handled = signal;
    // The first time by what the kernel has saved, then by what the thread has.
    setcontext(visits++ ? &outer : context);
}
static void *out_of_handlers_by_contexts(void *unused) {
    struct sigaction action = {.sa_sigaction = goes_back, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGUSR1, &action, NULL);
    mask(SIG_SETMASK, SIGTERM);
    visits = 0, handled = 0;
    SAY(raise(SIGUSR1)), SAY(handled == SIGUSR1);
    masks("by the kernel's context");
    getcontext(&outer);
    masks("by a context");
    mask(SIG_BLOCK, SIGQUIT);
    if (visits < 3) raise(SIGUSR1), puts("not here");
    waits_on("by a context");
    mask(SIG_SETMASK, 0);
    return unused;
}
static void in_context(void) {
    for (int i = 0; i < 3; i++) {
        masks("inside");
        mask(SIG_BLOCK, SIGINT);
        poll(NULL, 0, 1);
        swapcontext(&inner, &outer);
    }
}
static void *contexts(void *unused) {
    mask(SIG_SETMASK, SIGTERM);
    rounds = 0;
    getcontext(&outer);
    masks("got");
    mask(SIG_BLOCK, SIGQUIT);
    if (rounds++ < 2) setcontext(&outer);
    size_t bytes = 1 << 16;
    getcontext(&inner);
    inner.uc_stack.ss_sp = malloc(bytes), inner.uc_stack.ss_size = bytes, inner.uc_link = &outer;
    makecontext(&inner, in_context, 0);
    for (int i = 0; i < 3; i++) {
        mask(SIG_SETMASK, SIGALRM);
        swapcontext(&outer, &inner);
        masks("outside");
    }
    free(inner.uc_stack.ss_sp);
    mask(SIG_SETMASK, 0);
    return unused;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    void *(*all[])(void *) = {saved, out_of_handlers, out_of_waits, faults, copies, out_of_handlers_by_contexts, contexts};
    sem_init(&ready, 0, 0), sem_init(&gone, 0, 0), sem_init(&never, 0, 0);
    for (int i = 0; i < 7; i++) {
        pthread_t threads[2];
        all[i](NULL);
        for (int k = 0; k < 2; k++) pthread_create(&threads[k], NULL, all[i], NULL), pthread_join(threads[k], NULL);
    }
    // A thread that has jumped out of a wait is cancelled in the next.
    pthread_t thread;
    void *value = NULL;
    if (pipe(empty)) return 3;
    pthread_create(&thread, NULL, is_cancelled, NULL), sem_wait(&gone);
    SAY(pthread_cancel(thread)), SAY(pthread_join(thread, &value)), SAY(value == PTHREAD_CANCELED);
    // The mask of the main thread, which a jump has changed, counts for what is for the process.
    on(SIGUSR1, counts, 0);
    if (sigsetjmp(buffer, 1) == 0) mask(SIG_BLOCK, SIGUSR1), siglongjmp(buffer, 1);
    handled = 0;
    SAY(kill(getpid(), SIGUSR1)), SAY(handled == SIGUSR1);
}
