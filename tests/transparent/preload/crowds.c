// More threads than a runtime has for workers that are stuck, and than its pool has, wait in the kernel, and each is needed by the others.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 600 };

static pthread_barrier_t barrier;
static sem_t semaphores[THREADS];
static char folder[] = "/tmp/crowds-XXXXXX";

static void *meets(void *unused) {
    (void)unused;
    return pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD ? &barrier : NULL;
}

// Each waits for the next, which begins later.
static void *passes(void *number) {
    long mine = (long)number;
    if (mine + 1 < THREADS) sem_wait(&semaphores[mine]);
    if (mine > 0) sem_post(&semaphores[mine - 1]);
    return NULL;
}

static int end(long number, int flags) {
    char name[64];
    snprintf(name, sizeof name, "%s/%ld", folder, number);
    return open(name, flags);
}

// The same with FIFOs, which are opened on threads of the pool.
static void *opens(void *number) {
    long mine = (long)number;
    int reader = mine + 1 < THREADS ? end(mine, O_RDONLY) : -1;
    int writer = mine > 0 ? end(mine - 1, O_WRONLY) : -1;
    if (reader >= 0) close(reader);
    if (writer >= 0) close(writer);
    return reader >= 0 || writer >= 0 ? &barrier : NULL;
}

static void all(const char *what, void *(*routine)(void *)) {
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    long results = 0;
    void *result;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    for (long i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], &attributes, routine, (void *)i)) exit(2);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], &result), results += result == &barrier;
    printf("%s: %ld\n", what, results);
}

int main(void) {
    char name[64];
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&barrier, &shared, THREADS);
    all("at a barrier that processes share, with its serial result", meets);
    for (int i = 0; i < THREADS; i++) sem_init(&semaphores[i], 1, 0);
    all("at semaphores that processes share", passes);
    if (!mkdtemp(folder)) return 3;
    for (int i = 0; i < THREADS; i++) snprintf(name, sizeof name, "%s/%d", folder, i), mkfifo(name, 0600);
    all("at FIFOs, with an end", opens);
    for (int i = 0; i < THREADS; i++) snprintf(name, sizeof name, "%s/%d", folder, i), unlink(name);
    rmdir(folder);
    return 0;
}
