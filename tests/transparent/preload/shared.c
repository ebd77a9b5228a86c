// Waits in the kernel for what processes share: semaphores, also those with a name, conditions, locks, barriers. Handlers of what is sent to the
// thread run meanwhile, end the waits for semaphores as on threads, and a cancellation ends those that are points of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

enum { WAIT, TIMED, NAMED, CLOCK, SEMAPHORES, CONDITION = SEMAPHORES, TIMED_CONDITION, MUTEX, ROBUST, READER, WRITER, BARRIER, ALL };

static sem_t semaphore, *named;
static pthread_mutex_t mutex, held, robust;
static pthread_cond_t condition;
static pthread_rwlock_t lock;
static pthread_barrier_t barrier;
static volatile int is_there, handled, goes_on;

static void handle(int signal) {
    (void)signal;
    handled++;
}

static sem_t *of(int how) {
    return how < NAMED ? &semaphore : named;
}

static void unlock(void *what) {
    SAY(pthread_mutex_unlock(what));
}

static void *waits(void *argument) {
    int how = (long)argument, result = 0;
    struct timespec late;
    clock_gettime(CLOCK_REALTIME, &late), late.tv_sec += 1000;
    if (how == CONDITION || how == TIMED_CONDITION) {
        pthread_mutex_lock(&mutex);
        is_there = 1;
        pthread_cleanup_push(unlock, &mutex);
        while (!goes_on) {
            if (how == CONDITION) pthread_cond_wait(&condition, &mutex);
            else pthread_cond_timedwait(&condition, &mutex, &late);
        }
        pthread_cleanup_pop(1);
        return NULL;
    }
    is_there = 1;
    switch (how) {
    case WAIT: result = sem_wait(&semaphore); break;
    case TIMED: result = sem_timedwait(&semaphore, &late); break;
    case NAMED: result = sem_wait(named); break;
    case CLOCK: result = sem_clockwait(named, CLOCK_REALTIME, &late); break;
    case MUTEX: pthread_mutex_lock(&held), pthread_mutex_unlock(&held); break;
    case ROBUST: pthread_mutex_lock(&robust), pthread_mutex_unlock(&robust); break;
    case READER: pthread_rwlock_rdlock(&lock), pthread_rwlock_unlock(&lock); break;
    case WRITER: pthread_rwlock_wrlock(&lock), pthread_rwlock_unlock(&lock); break;
    case BARRIER: pthread_barrier_wait(&barrier); break;
    }
    return (void *)(long)(result ? errno : 0);
}

static pthread_t begin(long how) {
    pthread_t thread;
    is_there = handled = goes_on = 0;
    pthread_create(&thread, NULL, waits, (void *)how);
    while (!is_there) sched_yield();
    return thread;
}

static void post_to(long how) {
    pthread_t thread = begin(how);
    void *result;
    SAY(sem_post(of(how)));
    pthread_join(thread, &result), SAY(result);
}

// It is sent until the wait has ended: the first may come before.
static void ends_by(long how) {
    pthread_t thread = begin(how);
    void *result;
    while (pthread_tryjoin_np(thread, &result)) pthread_kill(thread, SIGUSR1), sched_yield();
    SAY(result);
}

static void runs_in(long how, int is_of_main) {
    if (is_of_main) pthread_mutex_lock(&held), pthread_mutex_lock(&robust), pthread_rwlock_wrlock(&lock);
    pthread_t thread = begin(how);
    void *result;
    SAY(pthread_kill(thread, SIGUSR2));
    while (!handled) sched_yield();
    SAY(pthread_tryjoin_np(thread, &result));
    pthread_mutex_lock(&mutex), goes_on = 1, pthread_cond_broadcast(&condition), pthread_mutex_unlock(&mutex);
    if (how < SEMAPHORES) sem_post(of(how));
    if (is_of_main) pthread_mutex_unlock(&held), pthread_mutex_unlock(&robust), pthread_rwlock_unlock(&lock);
    if (how == BARRIER) pthread_barrier_wait(&barrier);
    pthread_join(thread, &result), SAY(result), SAY(handled);
}

static void cancels(long how) {
    pthread_t thread = begin(how);
    void *result;
    SAY(pthread_cancel(thread));
    pthread_join(thread, &result), SAY(result == PTHREAD_CANCELED);
    if (how < SEMAPHORES) SAY(sem_trywait(of(how)));
    else SAY(pthread_mutex_trylock(&mutex)), SAY(pthread_mutex_unlock(&mutex));
}

// Who cancels has the mutex.
static void cancels_with_mutex(long how) {
    pthread_t thread = begin(how);
    void *result;
    pthread_mutex_lock(&mutex), SAY(pthread_cancel(thread)), pthread_mutex_unlock(&mutex);
    pthread_join(thread, &result), SAY(result == PTHREAD_CANCELED);
}

int main(void) {
    char name[64];
    struct sigaction ends = {.sa_handler = handle}, restarts = {.sa_handler = handle, .sa_flags = SA_RESTART};
    pthread_mutexattr_t of_mutex, of_robust;
    pthread_condattr_t of_condition;
    pthread_rwlockattr_t of_lock;
    pthread_barrierattr_t of_barrier;
    sigaction(SIGUSR1, &ends, NULL), sigaction(SIGUSR2, &restarts, NULL);
    snprintf(name, sizeof name, "/abaca-%d", getpid());
    sem_init(&semaphore, 1, 0), named = sem_open(name, O_CREAT, 0600, 0), sem_unlink(name);
    pthread_mutexattr_init(&of_mutex), pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&mutex, &of_mutex), pthread_mutex_init(&held, &of_mutex);
    pthread_mutexattr_init(&of_robust), pthread_mutexattr_setrobust(&of_robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &of_robust);
    pthread_condattr_init(&of_condition), pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&condition, &of_condition);
    pthread_rwlockattr_init(&of_lock), pthread_rwlockattr_setpshared(&of_lock, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&lock, &of_lock);
    pthread_barrierattr_init(&of_barrier), pthread_barrierattr_setpshared(&of_barrier, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&barrier, &of_barrier, 2);
    for (long how = 0; how < SEMAPHORES; how++) post_to(how), ends_by(how), cancels(how);
    runs_in(WAIT, 0), runs_in(NAMED, 0);
    for (long how = SEMAPHORES; how < ALL; how++) runs_in(how, 1);
    for (long how = CONDITION; how <= TIMED_CONDITION; how++) cancels(how), cancels_with_mutex(how);
    return 0;
}
