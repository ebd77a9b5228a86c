// What attributes ask for: locks that prefer writers, mutexes that only their owner unlocks, stacks and masks of threads, and what threads without
// attributes have: the same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) say(#what, (long)(what))
static void say(const char *what, long result) { printf("%s: %ld\n", what, result); }
static struct timespec in_ms(clockid_t clock, long ms) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}
static pthread_t start(void *(*f)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, f, argument)) exit(3);
    return thread;
}
static void *join(pthread_t thread) {
    void *value;
    if (pthread_join(thread, &value)) exit(4);
    return value;
}

// No reader passes a writer that waits; a writer that gives up lets the readers in.
static pthread_rwlock_t rwlock;
static long written;
static void *writes(void *rounds) {
    for (long i = 0; i < (long)rounds; i++) {
        if (pthread_rwlock_wrlock(&rwlock)) exit(5);
        written++;
        if (pthread_rwlock_unlock(&rwlock)) exit(5);
    }
    return NULL;
}
static void *reads(void *unused) {
    SAY(pthread_rwlock_rdlock(&rwlock));
    SAY(written);
    SAY(pthread_rwlock_unlock(&rwlock));
    return unused;
}
static void *reads_often(void *unused) {
    for (int i = 0; i < 100; i++) {
        if (pthread_rwlock_rdlock(&rwlock)) exit(6);
        if (i % 10 == 0) sched_yield();
        if (pthread_rwlock_unlock(&rwlock)) exit(6);
    }
    return unused;
}
static int has_been_seen;
static void *gives_up(void *unused) {
    int result;
    // Once more if nobody has looked meanwhile.
    do {
        struct timespec soon = in_ms(CLOCK_MONOTONIC, 30);
        result = pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &soon);
    } while (result == ETIMEDOUT && !__atomic_load_n(&has_been_seen, __ATOMIC_SEQ_CST));
    SAY(result);
    return unused;
}
static void *tries(void *unused) {
    struct timespec soon = in_ms(CLOCK_REALTIME, 3);
    SAY(pthread_rwlock_tryrdlock(&rwlock));
    SAY(pthread_rwlock_timedrdlock(&rwlock, &soon));
    SAY(pthread_rwlock_trywrlock(&rwlock));
    return unused;
}
static void until_a_writer_waits(void) {
    // A reader is refused from then on.
    while (pthread_rwlock_tryrdlock(&rwlock) == 0) {
        if (pthread_rwlock_unlock(&rwlock)) exit(7);
        poll(NULL, 0, 1);
    }
}
static void *prefers_writers(void *unused) {
    pthread_rwlockattr_t attributes;
    pthread_t threads[8];
    pthread_rwlockattr_init(&attributes);
    SAY(pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
    SAY(pthread_rwlock_init(&rwlock, &attributes));
    written = 0;
    SAY(pthread_rwlock_rdlock(&rwlock));
    threads[0] = start(writes, (void *)1);
    until_a_writer_waits();
    join(start(tries, NULL));
    threads[1] = start(reads, NULL);
    poll(NULL, 0, 2);
    SAY(written);
    SAY(pthread_rwlock_unlock(&rwlock));
    join(threads[0]), join(threads[1]);
    // The reader waits for the writer's sake alone.
    SAY(pthread_rwlock_rdlock(&rwlock));
    has_been_seen = 0;
    threads[0] = start(gives_up, NULL);
    until_a_writer_waits();
    __atomic_store_n(&has_been_seen, 1, __ATOMIC_SEQ_CST);
    join(start(reads, NULL)), join(threads[0]);
    SAY(pthread_rwlock_unlock(&rwlock));
    SAY(pthread_rwlock_wrlock(&rwlock)), SAY(pthread_rwlock_rdlock(&rwlock)), SAY(pthread_rwlock_wrlock(&rwlock));
    SAY(pthread_rwlock_unlock(&rwlock));
    for (int i = 0; i < 8; i++) threads[i] = i % 2 ? start(writes, (void *)100) : start(reads_often, NULL);
    writes((void *)100), reads_often(NULL);
    for (int i = 0; i < 8; i++) join(threads[i]);
    SAY(written);
    SAY(pthread_rwlock_destroy(&rwlock));
    return unused;
}

static pthread_mutex_t mutex;
static void *unlocks(void *unused) {
    SAY(pthread_mutex_unlock(&mutex));
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec long_ago = {0, 0};
    SAY(pthread_cond_timedwait(&condition, &mutex, &long_ago) == 0);
    SAY(pthread_mutex_trylock(&mutex));
    return unused;
}
static void *owners(void *unused) {
    for (int type = 0; type < 4; type++) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), pthread_mutexattr_settype(&attributes, type);
        SAY(pthread_mutex_init(&mutex, &attributes));
        SAY(pthread_mutex_unlock(&mutex));
        SAY(pthread_mutex_lock(&mutex));
        if (type != PTHREAD_MUTEX_RECURSIVE) SAY(pthread_mutex_trylock(&mutex));
        join(start(unlocks, NULL));
        SAY(pthread_mutex_unlock(&mutex)), SAY(pthread_mutex_destroy(&mutex));
    }
    return unused;
}

static void tell(pthread_t thread, size_t asked) {
    pthread_attr_t attributes;
    size_t bytes = 0, guard = 1;
    void *begin = NULL;
    int state = -1;
    if (pthread_getattr_np(thread, &attributes)) exit(8);
    pthread_attr_getstack(&attributes, &begin, &bytes), pthread_attr_getguardsize(&attributes, &guard), pthread_attr_getdetachstate(&attributes, &state);
    char here;
    // libc may give a stack that was another's, or a little less.
    printf("stack: %d %d, guard %zu, state %d\n", bytes + 8192 >= asked, thread != pthread_self() || ((char *)begin <= &here && &here < (char *)begin + bytes), guard, state);
    pthread_attr_destroy(&attributes);
}
static sem_t done;
static void *tells_of_itself(void *asked) {
    sigset_t mask;
    tell(pthread_self(), (size_t)asked);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    for (int signal = 1; signal < 32; signal++) if (sigismember(&mask, signal)) printf("blocks %d\n", signal);
    sem_post(&done);
    return NULL;
}
static void begin(pthread_attr_t *attributes, size_t asked) {
    pthread_t thread;
    int state = PTHREAD_CREATE_JOINABLE;
    if (attributes) pthread_attr_getdetachstate(attributes, &state);
    SAY(pthread_create(&thread, attributes, tells_of_itself, (void *)asked));
    sem_wait(&done);
    if (state == PTHREAD_CREATE_JOINABLE) join(thread);
}
static void *threads(void *unused) {
    pthread_attr_t attributes, before;
    sigset_t mask;
    sem_init(&done, 0, 0);
    SAY(pthread_getattr_default_np(&before));
    begin(NULL, 0);
    pthread_attr_init(&attributes);
    begin(&attributes, 0);
    SAY(pthread_attr_setstacksize(&attributes, 1 << 18)), SAY(pthread_attr_setguardsize(&attributes, 0)), begin(&attributes, 1 << 18);
    SAY(pthread_attr_setguardsize(&attributes, 10000)), begin(&attributes, 1 << 18);
    sigemptyset(&mask), sigaddset(&mask, SIGUSR1), sigaddset(&mask, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    sigemptyset(&mask), sigaddset(&mask, SIGUSR2), sigaddset(&mask, SIGINT), sigaddset(&mask, SIGKILL);
    begin(&attributes, 1 << 18);
    SAY(pthread_attr_setsigmask_np(&attributes, &mask)), begin(&attributes, 1 << 18);
    SAY(pthread_attr_setsigmask_np(&attributes, NULL)), begin(&attributes, 1 << 18);
    SAY(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)), begin(&attributes, 1 << 18);
    SAY(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_JOINABLE)), SAY(pthread_attr_setguardsize(&attributes, 1 << 16));
    SAY(pthread_attr_setstacksize(&attributes, 1 << 22)), SAY(pthread_setattr_default_np(&attributes)), begin(NULL, 1 << 22);
    SAY(pthread_setattr_default_np(&before)), begin(NULL, 0);
    return unused;
}

// Runtimes of languages protect the first pages of a thread's stack, whichever it has.
static pthread_barrier_t all_there;
static void *protects(void *unused) {
    pthread_attr_t attributes;
    size_t bytes;
    void *begin;
    pthread_barrier_wait(&all_there);
    pthread_getattr_np(pthread_self(), &attributes), pthread_attr_getstack(&attributes, &begin, &bytes), pthread_attr_destroy(&attributes);
    SAY(mprotect(begin, 4096, PROT_NONE)), SAY(mprotect(begin, 4096, PROT_READ | PROT_WRITE));
    return unused;
}
static void *protectors(void *unused) {
    pthread_t threads[9];
    pthread_barrier_init(&all_there, NULL, 9);
    for (int i = 0; i < 9; i++) threads[i] = start(protects, NULL);
    for (int i = 0; i < 9; i++) join(threads[i]);
    return unused;
}

// Threads run on the processors of those who create them.
static void *counts_processors(void *unused) {
    cpu_set_t set;
    SAY(sched_getaffinity(0, sizeof set, &set) < 0), SAY(CPU_COUNT(&set));
    return unused;
}
static void *creates(void *unused) {
    counts_processors(NULL), join(start(counts_processors, NULL));
    return unused;
}
static void *has_one_processor(void *unused) {
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all), memset(&one, 0, sizeof one);
    for (int i = 0; !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    SAY(pthread_setaffinity_np(pthread_self(), sizeof one, &one));
    creates(NULL), join(start(creates, NULL));
    SAY(sched_setaffinity(0, sizeof all, &all)), creates(NULL);
    // No set, and one of which the kernel reads the beginning.
    SAY(sched_setaffinity(0, 0, NULL)), SAY(sched_setaffinity(0, sizeof all, NULL)), SAY(pthread_setaffinity_np(pthread_self(), SIZE_MAX, &all));
    return unused;
}

// A word that the end of a thread clears.
static atomic_int cleared = 1, is_own;
static void *has_a_word(void *unused) {
    is_own = syscall(SYS_set_tid_address, &cleared) == syscall(SYS_gettid);
    pthread_detach(pthread_self());
    return unused;
}
static void *awaits_a_word(void *unused) {
    cleared = 1, start(has_a_word, NULL);
    while (cleared) syscall(SYS_futex, &cleared, FUTEX_WAIT, 1, NULL);
    SAY(is_own);
    return unused;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    void *(*all[])(void *) = {prefers_writers, owners, threads, has_one_processor, protectors, awaits_a_word};
    for (int i = 0; i < 6; i++) {
        if (i != 2) all[i](NULL);
        join(start(all[i], NULL));
    }
}
