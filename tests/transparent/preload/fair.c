// Who takes a lock again as soon as it has released it, and waits for something else while it has it, does not keep others out for ever.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static void lock_mutex(void) { pthread_mutex_lock(&mutex); }
static void unlock_mutex(void) { pthread_mutex_unlock(&mutex); }
static void read_lock(void) { pthread_rwlock_rdlock(&rwlock); }
static void write_lock(void) { pthread_rwlock_wrlock(&rwlock); }
static void unlock_rwlock(void) { pthread_rwlock_unlock(&rwlock); }
static void lock_file(void) { flockfile(stderr); }
static void unlock_file(void) { funlockfile(stderr); }
static void take(void) { sem_wait(&semaphore); }
static void give(void) { sem_post(&semaphore); }

static pthread_spinlock_t spinlock;
static void lock_spinning(void) { pthread_spin_lock(&spinlock); }
static void unlock_spinning(void) { pthread_spin_unlock(&spinlock); }

// A lock as std has it: 0 is free, 1 is held, 2 is held while others may wait.
static atomic_int word;
static void lock_word(void) {
    int is_free = 0;
    if (atomic_compare_exchange_strong(&word, &is_free, 1)) return;
    while (atomic_exchange(&word, 2)) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}
static void unlock_word(void) {
    if (atomic_exchange(&word, 0) == 2) syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static const struct kind {
    const char *name;
    void (*keep)(void), (*lock)(void), (*unlock)(void);
} kinds[] = {
    {"mutex", lock_mutex, lock_mutex, unlock_mutex},
    {"lock that is written", write_lock, write_lock, unlock_rwlock},
    {"lock that is written, for readers", write_lock, read_lock, unlock_rwlock},
    {"lock that is read, for writers", read_lock, write_lock, unlock_rwlock},
    {"file", lock_file, lock_file, unlock_file},
    {"semaphore", take, take, give},
    {"word", lock_word, lock_word, unlock_word},
    {"spin lock", lock_spinning, lock_spinning, unlock_spinning},
};

static atomic_int has_had, has_begun;
static void *keeps(void *of) {
    const struct kind *kind = of;
    do {
        kind->keep();
        has_begun = 1;
        usleep(1000);
        kind->unlock();
    } while (!has_had);
    return NULL;
}
static void *wants_it(void *of) {
    const struct kind *kind = of;
    while (!has_begun) usleep(100);
    for (int i = 0; i < 5; i++) kind->lock(), kind->unlock(), usleep(500);
    has_had = 1;
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    sem_init(&semaphore, 0, 1);
    pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE);
    alarm(100);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        pthread_t keeper, wants;
        has_had = has_begun = 0;
        if (pthread_create(&keeper, NULL, keeps, (void *)&kinds[i]) || pthread_create(&wants, NULL, wants_it, (void *)&kinds[i])) exit(2);
        pthread_join(wants, NULL), pthread_join(keeper, NULL);
        printf("%s: had\n", kinds[i].name);
    }
}
