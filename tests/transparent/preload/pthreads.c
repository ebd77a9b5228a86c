// What pthread's and C11's functions answer: the same on threads and on fibers. Prints what it sees, nothing that depends on time.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
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
static void nap(long us) {
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}
static void *join(pthread_t thread) {
    void *value = (void *)-77;
    int error = pthread_join(thread, &value);
    if (error) printf("join fails: %d\n", error);
    return value;
}
static pthread_t start(void *(*f)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, f, argument);
    if (error) { printf("create fails: %d\n", error); exit(3); }
    return thread;
}

static const struct timespec wrong = {1, 1000000000}, long_ago = {0, 0};
static pthread_mutex_t mutex;
static void *lock_elsewhere(void *unused) {
    struct timespec soon = in_ms(CLOCK_REALTIME, 3), soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_mutex_trylock(&mutex));
    SAY(pthread_mutex_timedlock(&mutex, &soon));
    SAY(pthread_mutex_timedlock(&mutex, &wrong));
    SAY(pthread_mutex_timedlock(&mutex, &long_ago));
    SAY(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &soon_monotonic));
    SAY(pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &soon_monotonic));
    return unused;
}
static void *unlock_elsewhere(void *unused) {
    SAY(pthread_mutex_unlock(&mutex));
    return unused;
}
static void *die_with_lock(void *unused) {
    SAY(pthread_mutex_lock(&mutex));
    return unused;
}
static long count;
static void *add(void *unused) {
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&mutex);
        long before = count;
        if (i % 4 == 0) nap(20);
        count = before + 1;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}
static void mutexes(void) {
    int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};
    for (int kind = 0; kind < 8; kind++) {
        printf("-- mutex %d\n", kind);
        pthread_mutexattr_t attr;
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_settype(&attr, types[kind % 4]);
        if (kind >= 4) pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
        SAY(pthread_mutex_init(&mutex, &attr));
        SAY(pthread_mutex_lock(&mutex));
        if (kind % 4 == 1 || kind % 4 == 2) {
            SAY(pthread_mutex_lock(&mutex));
            SAY(pthread_mutex_trylock(&mutex));
            struct timespec soon = in_ms(CLOCK_REALTIME, 3);
            SAY(pthread_mutex_timedlock(&mutex, &soon));
            join(start(unlock_elsewhere, NULL));
        }
        join(start(lock_elsewhere, NULL));
        SAY(pthread_mutex_unlock(&mutex));
        if (kind % 4 == 1) for (int i = 0; i < 3; i++) SAY(pthread_mutex_unlock(&mutex));
        if (kind % 4 == 1 || kind % 4 == 2) SAY(pthread_mutex_unlock(&mutex));
        count = 0;
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) threads[i] = start(add, NULL);
        for (int i = 0; i < 8; i++) join(threads[i]);
        SAY(count);
        SAY(pthread_mutex_destroy(&mutex));
    }
    printf("-- robust\n");
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attr);
    join(start(die_with_lock, NULL));
    SAY(pthread_mutex_lock(&mutex));
    SAY(pthread_mutex_consistent(&mutex));
    SAY(pthread_mutex_unlock(&mutex));
    join(start(die_with_lock, NULL));
    SAY(pthread_mutex_lock(&mutex));
    // What it protects stays wrong: each who wants it is told.
    SAY(pthread_mutex_unlock(&mutex));
    for (int i = 0; i < 2; i++) {
        join(start(die_with_lock, NULL));
        struct timespec soon = in_ms(CLOCK_REALTIME, 1000), soon_monotonic = in_ms(CLOCK_MONOTONIC, 1000);
        SAY(pthread_mutex_timedlock(&mutex, &soon));
        SAY(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &soon_monotonic));
        SAY(pthread_mutex_lock(&mutex));
    }
    printf("-- inherit\n");
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex, &attr);
    SAY(pthread_mutex_lock(&mutex));
    SAY(pthread_mutex_unlock(&mutex));
}

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int waiting, tickets;
static void *take_ticket(void *argument) {
    pthread_mutex_lock(&mutex);
    waiting++;
    while (!tickets) pthread_cond_wait(&condition, &mutex);
    tickets--;
    pthread_mutex_unlock(&mutex);
    return argument;
}
static void conditions(void) {
    printf("-- conditions\n");
    pthread_mutex_init(&mutex, NULL);
    pthread_t threads[6];
    for (long i = 0; i < 6; i++) threads[i] = start(take_ticket, (void *)i);
    for (;;) {
        pthread_mutex_lock(&mutex);
        int all = waiting == 6;
        pthread_mutex_unlock(&mutex);
        if (all) break;
        nap(100);
    }
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&mutex);
        tickets++;
        SAY(pthread_cond_signal(&condition));
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    tickets += 4;
    pthread_mutex_unlock(&mutex);
    SAY(pthread_cond_broadcast(&condition));
    for (int i = 0; i < 6; i++) SAY(join(threads[i]));
    SAY(tickets);
    pthread_mutex_lock(&mutex);
    struct timespec soon = in_ms(CLOCK_REALTIME, 3), soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_cond_timedwait(&condition, &mutex, &soon));
    SAY(pthread_cond_timedwait(&condition, &mutex, &long_ago));
    SAY(pthread_cond_timedwait(&condition, &mutex, &wrong));
    SAY(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &soon_monotonic));
    SAY(pthread_cond_clockwait(&condition, &mutex, CLOCK_PROCESS_CPUTIME_ID, &soon_monotonic));
    pthread_condattr_t attr;
    pthread_cond_t monotonic;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&monotonic, &attr);
    soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_cond_timedwait(&monotonic, &mutex, &soon_monotonic));
    SAY(pthread_cond_destroy(&monotonic));
    pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&monotonic, &attr);
    soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_cond_timedwait(&monotonic, &mutex, &soon_monotonic));
    SAY(pthread_cond_signal(&monotonic));
    SAY(pthread_mutex_trylock(&mutex));
    SAY(pthread_mutex_unlock(&mutex));
    pthread_mutexattr_t check;
    pthread_mutexattr_init(&check);
    pthread_mutexattr_settype(&check, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_t not_mine;
    pthread_mutex_init(&not_mine, &check);
    SAY(pthread_cond_wait(&condition, &not_mine));
    SAY(pthread_cond_destroy(&condition));
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static void *rw_elsewhere(void *unused) {
    struct timespec soon = in_ms(CLOCK_REALTIME, 3), soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_rwlock_tryrdlock(&rwlock));
    SAY(pthread_rwlock_trywrlock(&rwlock));
    SAY(pthread_rwlock_timedrdlock(&rwlock, &soon));
    SAY(pthread_rwlock_timedwrlock(&rwlock, &soon));
    SAY(pthread_rwlock_timedwrlock(&rwlock, &wrong));
    SAY(pthread_rwlock_timedrdlock(&rwlock, &wrong));
    SAY(pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, &soon_monotonic));
    SAY(pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &soon_monotonic));
    SAY(pthread_rwlock_clockwrlock(&rwlock, CLOCK_PROCESS_CPUTIME_ID, &soon_monotonic));
    return unused;
}
static void *write_it(void *unused) {
    for (int i = 0; i < 10; i++) {
        pthread_rwlock_wrlock(&rwlock);
        long before = count;
        nap(20);
        count = before + 1;
        pthread_rwlock_unlock(&rwlock);
    }
    return unused;
}
static void *read_it(void *unused) {
    for (int i = 0; i < 10; i++) {
        pthread_rwlock_rdlock(&rwlock);
        long before = count;
        nap(20);
        if (count != before) printf("a writer came between\n");
        pthread_rwlock_unlock(&rwlock);
    }
    return unused;
}
static void rwlocks(void) {
    printf("-- rwlocks\n");
    SAY(pthread_rwlock_wrlock(&rwlock));
    SAY(pthread_rwlock_wrlock(&rwlock));
    SAY(pthread_rwlock_rdlock(&rwlock));
    join(start(rw_elsewhere, NULL));
    SAY(pthread_rwlock_unlock(&rwlock));
    SAY(pthread_rwlock_rdlock(&rwlock));
    SAY(pthread_rwlock_rdlock(&rwlock));
    SAY(pthread_rwlock_trywrlock(&rwlock));
    SAY(pthread_rwlock_unlock(&rwlock));
    SAY(pthread_rwlock_unlock(&rwlock));
    count = 0;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) threads[i] = start(i % 2 ? write_it : read_it, NULL);
    for (int i = 0; i < 8; i++) join(threads[i]);
    SAY(count);
    SAY(pthread_rwlock_destroy(&rwlock));
}

static sem_t semaphore;
static void *post_later(void *unused) {
    nap(1000);
    sem_post(&semaphore);
    return unused;
}
static void semaphores(int shared) {
    printf("-- semaphores %d\n", shared);
    int value;
    SAY(sem_init(&semaphore, shared, 1));
    SAY(sem_wait(&semaphore));
    errno = 0;
    SAY(sem_trywait(&semaphore)), SAY(errno);
    struct timespec soon = in_ms(CLOCK_REALTIME, 3), soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(sem_timedwait(&semaphore, &soon)), SAY(errno);
    SAY(sem_timedwait(&semaphore, &wrong)), SAY(errno);
    SAY(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &soon_monotonic)), SAY(errno);
    errno = 0;
    pthread_t thread = start(post_later, NULL);
    SAY(sem_wait(&semaphore)), SAY(errno);
    join(thread);
    SAY(sem_post(&semaphore));
    SAY(sem_getvalue(&semaphore, &value)), SAY(value);
    SAY(sem_timedwait(&semaphore, &wrong)), SAY(errno);
    SAY(sem_destroy(&semaphore));
}

static pthread_barrier_t barrier;
static void *arrive(void *unused) {
    long serial = 0;
    for (int i = 0; i < 20; i++) serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    return (void *)serial;
}
static pthread_once_t once = PTHREAD_ONCE_INIT;
static once_flag flag = ONCE_FLAG_INIT;
static void init_once(void) {
    nap(1000);
    count++;
}
static pthread_spinlock_t spin;
static void *meet_once(void *unused) {
    pthread_once(&once, init_once);
    call_once(&flag, init_once);
    pthread_spin_lock(&spin);
    long before = count;
    nap(50);
    count = before + 10;
    pthread_spin_unlock(&spin);
    return unused;
}
static void meetings(void) {
    printf("-- barriers, once, spin locks\n");
    SAY(pthread_barrier_init(&barrier, NULL, 0));
    SAY(pthread_barrier_init(&barrier, NULL, 5));
    pthread_t threads[5];
    long serial = 0;
    for (int i = 0; i < 5; i++) threads[i] = start(arrive, NULL);
    for (int i = 0; i < 5; i++) serial += (long)join(threads[i]);
    SAY(serial);
    SAY(pthread_barrier_destroy(&barrier));
    count = 0;
    pthread_spin_init(&spin, 0);
    for (int i = 0; i < 5; i++) threads[i] = start(meet_once, NULL);
    for (int i = 0; i < 5; i++) join(threads[i]);
    SAY(count);
    SAY(pthread_spin_trylock(&spin));
    SAY(pthread_spin_trylock(&spin));
}

static mtx_t c_mutex;
static cnd_t c_condition;
static sem_t go;
static int c_thread(void *argument) {
    struct timespec soon = in_ms(CLOCK_REALTIME, 3);
    if (argument) {
        SAY(mtx_trylock(&c_mutex));
        SAY(mtx_timedlock(&c_mutex, &soon));
        sem_post(&go);
    }
    SAY(mtx_lock(&c_mutex));
    SAY(cnd_timedwait(&c_condition, &c_mutex, &long_ago));
    SAY(cnd_signal(&c_condition));
    SAY(mtx_unlock(&c_mutex));
    thrd_yield();
    if (argument) thrd_exit(-5);
    return -6;
}
static void c11(void) {
    printf("-- C11\n");
    thrd_t thread;
    int result = 0;
    sem_init(&go, 0, 0);
    SAY(mtx_init(&c_mutex, mtx_timed));
    SAY(cnd_init(&c_condition));
    SAY(mtx_lock(&c_mutex));
    SAY(thrd_create(&thread, c_thread, &result));
    sem_wait(&go);
    int woken = cnd_wait(&c_condition, &c_mutex);
    SAY(mtx_unlock(&c_mutex));
    SAY(thrd_join(thread, &result)), SAY(result), SAY(woken);
    SAY(thrd_create(&thread, c_thread, NULL));
    SAY(thrd_join(thread, &result)), SAY(result);
    struct timespec short_time = {0, 1000};
    SAY(thrd_sleep(&short_time, NULL));
    SAY(thrd_sleep(&wrong, NULL));
    SAY(thrd_equal(thrd_current(), thrd_current()) != 0);
}

static pthread_key_t key;
static __thread long local = 5;
static void end_key(void *value) {
    printf("key ends with %ld\n", (long)value);
    if ((long)value > 1) pthread_setspecific(key, (void *)((long)value - 1));
}
static void clean(void *argument) { printf("cleanup %s\n", (char *)argument); }
static void leave(long value) {
    pthread_cleanup_push(clean, "inner");
    pthread_exit((void *)value);
    pthread_cleanup_pop(0);
}
static void *exits(void *argument) {
    SAY(local);
    local = 7;
    pthread_setspecific(key, (void *)3);
    pthread_cleanup_push(clean, "outer");
    pthread_cleanup_push(clean, "popped");
    pthread_cleanup_pop(1);
    leave((long)argument);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *returns(void *argument) {
    SAY(pthread_equal(pthread_self(), pthread_self()) != 0);
    SAY(pthread_join(pthread_self(), NULL));
    return argument;
}
static void *waits_to_go(void *argument) {
    sem_wait(&go);
    return argument;
}
static sem_t free_to_go;
static void *waits_detached(void *unused) {
    sem_wait(&free_to_go);
    return unused;
}
static void *detaches_itself(void *argument) {
    // The caller has noted who this is.
    sem_wait(&free_to_go);
    SAY(pthread_detach(pthread_self()));
    SAY(pthread_detach(pthread_self()));
    SAY(pthread_join(*(pthread_t *)argument, NULL));
    sem_post(&go);
    return NULL;
}
static void *names(void *argument) {
    char name[16];
    SAY(pthread_setname_np(pthread_self(), "a name of 15 ch"));
    SAY(pthread_setname_np(pthread_self(), "a name of 16 cha"));
    SAY(pthread_getname_np(pthread_self(), name, 15));
    SAY(pthread_getname_np(pthread_self(), name, 16)), puts(name);
    pthread_attr_t attr;
    size_t size;
    void *lowest;
    SAY(pthread_getattr_np(pthread_self(), &attr));
    pthread_attr_getstack(&attr, &lowest, &size);
    SAY((char *)&attr > (char *)lowest && (char *)&attr < (char *)lowest + size);
    SAY(size >= (size_t)argument);
    int policy;
    struct sched_param parameters;
    SAY(pthread_getschedparam(pthread_self(), &policy, &parameters)), SAY(policy), SAY(parameters.sched_priority);
    cpu_set_t set, again;
    SAY(pthread_getaffinity_np(pthread_self(), sizeof set, &set));
    SAY(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
    SAY(pthread_getaffinity_np(pthread_self(), sizeof again, &again));
    SAY(CPU_EQUAL(&set, &again) != 0);
    CPU_ZERO(&set);
    SAY(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
    SAY(pthread_kill(pthread_self(), 0));
    SAY(pthread_kill(pthread_self(), 999));
    return NULL;
}
static void threads(void) {
    printf("-- threads\n");
    pthread_t thread;
    pthread_attr_t attr;
    pthread_key_create(&key, end_key);
    SAY(join(start(exits, (void *)42)));
    SAY(join(start(exits, (void *)43)));
    SAY(join(start(returns, (void *)44)));
    sem_init(&free_to_go, 0, 0);
    thread = start(waits_to_go, (void *)45);
    void *value = NULL;
    SAY(pthread_tryjoin_np(thread, &value));
    struct timespec soon = in_ms(CLOCK_REALTIME, 3), soon_monotonic = in_ms(CLOCK_MONOTONIC, 3);
    SAY(pthread_timedjoin_np(thread, &value, &soon));
    SAY(pthread_clockjoin_np(thread, &value, CLOCK_MONOTONIC, &soon_monotonic));
    SAY(pthread_kill(thread, 0));
    sem_post(&go);
    SAY(pthread_timedjoin_np(thread, &value, NULL)), SAY(value);
    thread = start(detaches_itself, &thread);
    sem_post(&free_to_go);
    sem_wait(&go);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1 << 20);
    if (!pthread_create(&thread, &attr, names, (void *)(1 << 20))) join(thread);
    // Attributes that do not say how large the stack is.
    pthread_attr_t silent;
    pthread_attr_init(&silent);
    if (!pthread_create(&thread, &silent, names, (void *)(1 << 20))) join(thread);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    SAY(pthread_create(&thread, &attr, waits_detached, NULL));
    SAY(pthread_join(thread, NULL));
    SAY(pthread_detach(thread));
    sem_post(&free_to_go);
    pthread_attr_init(&attr);
    static char stack[1 << 18] __attribute__((aligned(4096)));
    pthread_attr_setstack(&attr, stack, sizeof stack);
    SAY(pthread_create(&thread, &attr, returns, (void *)46));
    SAY(join(thread));
}

static void unlock(void *argument) {
    printf("cleanup unlocks: %d\n", pthread_mutex_unlock(argument));
}
static void *sleeps(void *unused) {
    pthread_cleanup_push(clean, "of a sleep");
    sem_post(&go);
    sleep(1000);
    pthread_cleanup_pop(0);
    return unused;
}
static void *waits_for_condition(void *unused) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, &mutex);
    sem_post(&go);
    for (;;) pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(0);
    return unused;
}
static void *waits_for_semaphore(void *unused) {
    pthread_cleanup_push(clean, "of a semaphore");
    sem_post(&go);
    sem_wait(&semaphore);
    pthread_cleanup_pop(0);
    return unused;
}
static int ends[2];
// What a clean-up handler waits for is waited for.
static void wait_and_read(void *unused) {
    char byte;
    SAY(usleep(1000));
    SAY(poll(NULL, 0, 1));
    if (write(ends[1], "y", 1) == 1) SAY(read(ends[0], &byte, 1));
}
static void *reads(void *unused) {
    pthread_cleanup_push(wait_and_read, NULL);
    pthread_cleanup_push(clean, "of a read");
    char byte;
    sem_post(&go);
    if (read(ends[0], &byte, 1) == 1) puts("read a byte");
    // The byte was there: the next one never comes.
    sem_post(&go);
    if (read(ends[0], &byte, 1) == 1) puts("read another byte");
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return unused;
}
static void *refuses_for_a_while(void *unused) {
    int before, now;
    SAY(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before)), SAY(before), SAY(pthread_setcancelstate(7, NULL));
    sem_post(&go);
    for (int i = 0; i < 20; i++) nap(500);
    pthread_testcancel();
    puts("not cancelled so far");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &now);
    SAY(now);
    for (;;) pthread_testcancel(), nap(100);
    return unused;
}
static void cancellations(void) {
    printf("-- cancellations\n");
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&condition, NULL);
    sem_init(&semaphore, 0, 0);
    void *(*routines[])(void *) = {sleeps, waits_for_condition, waits_for_semaphore, refuses_for_a_while, reads};
    if (pipe(ends) || write(ends[1], "x", 1) != 1) exit(4);
    for (int i = 0; i < 5; i++) {
        pthread_t thread = start(routines[i], NULL);
        sem_wait(&go);
        if (routines[i] == reads) sem_wait(&go);
        if (i != 3) nap(2000);
        SAY(pthread_cancel(thread));
        SAY(join(thread) == PTHREAD_CANCELED);
    }
    SAY(pthread_mutex_trylock(&mutex));
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    static char stack[1 << 18] __attribute__((aligned(4096)));
    pthread_attr_setstack(&attr, stack, sizeof stack);
    SAY(pthread_create(&thread, &attr, sleeps, NULL));
    sem_wait(&go);
    SAY(pthread_cancel(thread));
    SAY(join(thread) == PTHREAD_CANCELED);
}

static void *goes_on(void *unused) {
    nap(20000);
    puts("after main");
    return unused;
}
// A prompt without a line's end is seen before the answer is waited for, as a terminal's is.
static void *ask(void *questions) {
    char answer[8] = "";
    printf("what? ");
    return (void *)(intptr_t)(fgets(answer, sizeof answer, questions) && !strcmp(answer, "yes\n"));
}
static void prompts(void) {
    int shown[2], answers[2];
    if (pipe(shown) || pipe(answers)) exit(3);
    FILE *before = stdout, *in = fdopen(answers[0], "r");
    setvbuf(in, NULL, _IOLBF, 0);
    stdout = fdopen(shown[1], "w");
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_t thread = start(ask, in);
    char prompt[8] = "";
    long bytes = read(shown[0], prompt, 6);
    write(answers[1], "yes\n", 4);
    void *is_right = join(thread);
    fclose(stdout);
    stdout = before;
    SAY(bytes == 6 && !strcmp(prompt, "what? ") && is_right);
    fclose(in);
    close(shown[0]);
    close(answers[1]);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    prompts();
    mutexes();
    conditions();
    rwlocks();
    semaphores(0);
    semaphores(1);
    meetings();
    c11();
    threads();
    cancellations();
    start(goes_on, NULL);
    pthread_exit(NULL);
}
