// A library whose constructor and destructor wait for threads of its own, which call functions that nobody has called before. The loader's lock is held
// meanwhile.
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

static void run(const char *when) {
    pthread_t threads[3];
    is_changed = 0;
    pthread_barrier_init(&together, NULL, 3), sem_init(&posted, 0, 0);
    pthread_rwlock_wrlock(&written);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work, NULL);
    poll(NULL, 0, 1);
    pthread_mutex_lock(&lock), is_changed = 1, pthread_cond_broadcast(&changed), pthread_mutex_unlock(&lock);
    poll(NULL, 0, 1);
    pthread_rwlock_unlock(&written);
    for (int i = 0; i < 3; i++) sem_post(&posted);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    puts(when);
}
__attribute__((constructor)) static void begin(void) { run("loaded"); }
__attribute__((destructor)) static void end(void) { run("closed"); }
#else
int main(int count, char **arguments) {
    char path[4096];
    (void)count;
    strncpy(path, arguments[0], sizeof path - 20);
    void *library = dlopen(strcat(dirname(path), "/loads.so"), RTLD_NOW);
    if (!library) return puts(dlerror()), 3;
    dlclose(library);
    return 0;
}
#endif
