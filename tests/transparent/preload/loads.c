// A library whose destructor waits for threads of its own, as libuv's does, which call functions that nobody has called before. The loader's lock is
// held meanwhile.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef LIBRARY
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t together;
static sem_t posted;
static int is_changed;

static void *work(void *unused) {
    char byte;
    int ends[2];
    pthread_mutex_lock(&lock);
    while (!is_changed) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    pthread_rwlock_rdlock(&written), pthread_rwlock_unlock(&written);
    sem_wait(&posted);
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends), send(ends[0], "x", 1, 0), recv(ends[1], &byte, 1, 0);
    poll(NULL, 0, 1), usleep(1), nanosleep(&(struct timespec){0, 1}, NULL);
    pthread_barrier_wait(&together);
    return unused;
}

static pthread_t threads[3];

void begin(void) {
    pthread_barrier_init(&together, NULL, 3), sem_init(&posted, 0, 0);
    pthread_rwlock_wrlock(&written);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work, NULL);
}

__attribute__((destructor)) static void end(void) {
    poll(NULL, 0, 1);
    pthread_mutex_lock(&lock), is_changed = 1, pthread_cond_broadcast(&changed), pthread_mutex_unlock(&lock);
    poll(NULL, 0, 1);
    pthread_rwlock_unlock(&written);
    for (int i = 0; i < 3; i++) sem_post(&posted);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    puts("closed");
}
#else
static void *nothing(void *unused) { return unused; }
int main(int count, char **arguments) {
    char path[4096];
    (void)count;
    strncpy(path, arguments[0], sizeof path - 20);
    void *library = dlopen(strcat(dirname(path), "/loads.so"), RTLD_NOW);
    if (!library) return puts(dlerror()), 3;
    // What a thread's end does for a library that was loaded meanwhile is done by then.
    pthread_t thread;
    for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, nothing, NULL), pthread_join(thread, NULL);
    ((void (*)(void))dlsym(library, "begin"))();
    // They begin.
    poll(NULL, 0, 1);
    dlclose(library);
    return 0;
}
#endif
