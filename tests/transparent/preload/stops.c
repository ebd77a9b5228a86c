// A collector of garbage stops all threads by a signal, whatever they do: they compute, wait for a lock, a condition, a semaphore, a byte, a
// thread, a futex, or sleep. Each answers from its handler, and stays in it until another signal comes. And alternate stacks, which each
// thread has for itself.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { KINDS = 10, OF_EACH = 2, THREADS = KINDS * OF_EACH, ROUNDS = 10 };

static pthread_t threads[THREADS];
static volatile long stopped, rounds, counts[THREADS], handled[THREADS];
static __thread int number = -1;
static sem_t answers, never_posted;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, own = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t never_signalled = PTHREAD_COND_INITIALIZER;
static int ends[2], word;
static volatile int is_over;

static void stop(int signal) {
    (void)signal;
    int before = errno;
    long round = rounds;
    sigset_t others;
    sigfillset(&others);
    sigdelset(&others, SIGUSR2);
    handled[number]++;
    sem_post(&answers);
    while (rounds == round) sigsuspend(&others);
    sem_post(&answers);
    errno = before;
}
static void go_on(int signal) { (void)signal; }

static void *sleeper(void *unused) { return sleep(1000), unused; }
static pthread_t joined;

static void *work(void *of_number) {
    number = (int)(long)of_number;
    char byte;
    void *result;
    while (!is_over) {
        counts[number]++;
        switch (number % KINDS) {
        case 0: case 1: for (volatile int i = 0; i < 1000; i++) counts[number]++; break;
        case 2: pthread_mutex_lock(&held), pthread_mutex_unlock(&held); break;
        case 3: pthread_rwlock_rdlock(&written), pthread_rwlock_unlock(&written); break;
        case 4: pthread_mutex_lock(&own), is_over || pthread_cond_wait(&never_signalled, &own), pthread_mutex_unlock(&own); break;
        case 5: sem_wait(&never_posted); break;
        case 6: if (read(ends[0], &byte, 1) == 1) return NULL; break;
        case 7: sleep(1000); break;
        case 8: syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0); break;
        // One thread joins, the other one has short calls.
        default: if (number < KINDS) return pthread_join(joined, &result), NULL;
                 else free(malloc(100)), pthread_mutex_lock(&own), pthread_mutex_unlock(&own), sched_yield();
        }
    }
    return NULL;
}

// What a collector does, `rounds` being the world's state. Returns how many threads have moved while they were stopped.
static int collect(void) {
    long seen[THREADS];
    int moved = 0;
    for (int i = 0; i < THREADS; i++) if (pthread_kill(threads[i], SIGUSR1)) exit(3);
    for (int i = 0; i < THREADS; i++) while (sem_wait(&answers));
    memcpy(seen, (void *)counts, sizeof seen);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    for (int i = 0; i < THREADS; i++) moved += seen[i] != counts[i];
    rounds++;
    for (int i = 0; i < THREADS; i++) if (pthread_kill(threads[i], SIGUSR2)) exit(3);
    for (int i = 0; i < THREADS; i++) while (sem_wait(&answers));
    return moved;
}

static void *collector(void *unused) {
    int moved = 0;
    for (int i = 0; i < ROUNDS; i++) moved += collect();
    printf("by a thread: %d have moved\n", moved);
    return unused;
}

static void *with_stack(void *memory) {
    stack_t mine = {memory, 0, 1 << 16}, other = {memory, 0, 16}, before, none = {NULL, SS_DISABLE, 0};
    int first = sigaltstack(&mine, &before), was_none = before.ss_flags == SS_DISABLE;
    sched_yield();
    int second = sigaltstack(NULL, &before), is_mine = before.ss_sp == memory && before.ss_size == 1 << 16 && before.ss_flags == 0;
    int third = sigaltstack(&other, NULL), refused = errno;
    other.ss_flags = 77, other.ss_size = 1 << 16;
    int fourth = sigaltstack(&other, NULL), wrong = errno;
    int fifth = sigaltstack(&none, &before), was_mine = before.ss_sp == memory;
    int sixth = sigaltstack(&mine, &before), is_none = before.ss_flags == SS_DISABLE;
    sigaltstack(&none, NULL);
    printf("%d %d, %d %d, %d %d, %d %d, %d %d, %d %d\n", first, was_none, second, is_mine, third, refused == ENOMEM, fourth, wrong == EINVAL, fifth,
           was_mine, sixth, is_none);
    return NULL;
}

int main(void) {
    pthread_t thread, stacks[4];
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = go_on;
    sigaction(SIGUSR2, &action, NULL);
    sem_init(&answers, 0, 0), sem_init(&never_posted, 0, 0);
    if (pipe(ends)) return 3;
    pthread_mutex_lock(&held), pthread_rwlock_wrlock(&written);
    pthread_create(&joined, NULL, sleeper, NULL);
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++) while (!counts[i]) sched_yield();
    int moved = 0;
    for (int i = 0; i < ROUNDS; i++) moved += collect();
    printf("by the main thread: %d have moved\n", moved);
    pthread_create(&thread, NULL, collector, NULL), pthread_join(thread, NULL);
    for (int i = 0; i < THREADS; i++) if (handled[i] != 2 * ROUNDS) printf("thread %d was stopped %ld times\n", i, handled[i]);
    // The locks are free, and all go on.
    is_over = 1, word = 1;
    pthread_mutex_unlock(&held), pthread_rwlock_unlock(&written);
    pthread_mutex_lock(&own), pthread_cond_broadcast(&never_signalled), pthread_mutex_unlock(&own);
    for (int i = 0; i < OF_EACH; i++) sem_post(&never_posted);
    if (write(ends[1], "xy", 2) != 2) return 3;
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
    pthread_cancel(joined);
    for (int i = 0; i < THREADS; i++) if (i % KINDS != 7) pthread_join(threads[i], NULL); else pthread_cancel(threads[i]), pthread_join(threads[i], NULL);
    printf("all have ended\n");
    for (int i = 0; i < 4; i++) pthread_create(&stacks[i], NULL, with_stack, malloc(1 << 16));
    for (int i = 0; i < 4; i++) pthread_join(stacks[i], NULL);
    return 0;
}
