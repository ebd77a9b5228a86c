// Where the address space is limited, a thread for whose stack there is no room is refused, and those that there are go on: the same on
// threads and on fibers.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <threads.h>

enum { MOST = 1000, STACK = 64 << 20 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int begun, may_end;

static void *waits(void *unused) {
    pthread_mutex_lock(&mutex), begun++, pthread_cond_broadcast(&changed);
    while (!may_end) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return unused;
}
static int ends(void *unused) { return 5; }

static void *creates(void *unused) {
    static pthread_t all[MOST];
    pthread_attr_t attributes;
    int count = 0, error = 0, value = 0;
    thrd_t last;
    pthread_attr_init(&attributes), pthread_attr_setstacksize(&attributes, STACK);
    begun = may_end = 0;
    while (count < MOST && !(error = pthread_create(&all[count], &attributes, waits, NULL))) count++;
    printf("several: %d, refused: %d\n", count > 4, error == EAGAIN);
    pthread_mutex_lock(&mutex);
    while (begun < count) pthread_cond_wait(&changed, &mutex);
    may_end = 1, pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < count; i++) pthread_join(all[i], NULL);
    printf("all of them have begun: %d\n", begun == count);
    printf("one more: %d", thrd_create(&last, ends, NULL)), thrd_join(last, &value), printf(" %d\n", value);
    return unused;
}

int main(void) {
    pthread_t thread;
    struct rlimit limit = {3L << 30, 3L << 30};
    // The first thread may bring a runtime with it.
    pthread_create(&thread, NULL, waits, NULL), pthread_mutex_lock(&mutex), may_end = 1, pthread_cond_broadcast(&changed), pthread_mutex_unlock(&mutex), pthread_join(thread, NULL);
    if (setrlimit(RLIMIT_AS, &limit)) return 3;
    creates(NULL);
    pthread_create(&thread, NULL, creates, NULL), pthread_join(thread, NULL);
    return 0;
}
