// Each allocation that the creation of a thread asks for is refused in turn: the thread is refused or made, on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <threads.h>

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

// The allocation of this thread's that is refused next; none if 0. Larger ones are those of queues, for which something is kept, unless the space of addresses is
// limited: then queues do without.
static size_t large = 1000;
static __thread int next;
static int is_refused(size_t bytes) { return next && bytes < large && --next == 0; }
static void *none(void) { return errno = ENOMEM, NULL; }
void *malloc(size_t bytes) { return is_refused(bytes) ? none() : __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return is_refused(count * bytes) ? none() : __libc_calloc(count, bytes); }
void *realloc(void *memory, size_t bytes) { return is_refused(bytes) ? none() : __libc_realloc(memory, bytes); }
void *memalign(size_t alignment, size_t bytes) { return is_refused(bytes) ? none() : __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **memory, size_t alignment, size_t bytes) { return (*memory = memalign(alignment, bytes)) ? 0 : ENOMEM; }

static void *returns(void *value) { return value; }
static int returns_int(void *value) { return value != NULL; }

static void *creates(void *unused) {
    enum { ALLOCATIONS = 20, ROUNDS = 5 };
    pthread_attr_t detached;
    cpu_set_t processors;
    int wrong = 0, made = 0;
    pthread_attr_init(&detached), pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    // What one that has a name, and is bound, passes on is copied.
    pthread_setname_np(pthread_self(), "creates");
    pthread_getaffinity_np(pthread_self(), sizeof processors, &processors), pthread_setaffinity_np(pthread_self(), sizeof processors, &processors);
    for (int round = 0; round < ROUNDS; round++) {
        for (int at = 1; at <= ALLOCATIONS; at++) {
            pthread_t thread, other;
            thrd_t of_c11;
            void *value = NULL;
            int number = 0;
            next = at;
            int error = pthread_create(&thread, NULL, returns, &value);
            next = at;
            int another = pthread_create(&other, &detached, returns, NULL);
            next = at;
            int result = thrd_create(&of_c11, returns_int, &value);
            next = 0;
            if (!error) pthread_join(thread, &value), wrong += value != &value;
            if (result == thrd_success) thrd_join(of_c11, &number), wrong += number != 1;
            wrong += (error && error != EAGAIN) + (another && another != EAGAIN) + (result != thrd_success && result != thrd_error && result != thrd_nomem);
            made += !error + !another + (result == thrd_success);
        }
    }
    printf("%d wrong, some made: %d\n", wrong, made > ROUNDS);
    return unused;
}

// More at once than a worker has room for without memory.
static void *creates_many(void *unused) {
    enum { THREADS = 700 };
    static pthread_t threads[THREADS];
    int wrong = 0, made = 0, joined = 0;
    for (int at = 0; at < THREADS; at++) {
        next = 1 + at % 20;
        int error = pthread_create(&threads[made], NULL, returns, threads);
        next = 0, made += !error, wrong += error && error != EAGAIN;
    }
    for (int at = 0; at < made; at++) {
        void *value = NULL;
        joined += !pthread_join(threads[at], &value) && value == threads;
    }
    printf("%d wrong, some of many made: %d, joined: %d\n", wrong, made > THREADS / 4, joined == made);
    return unused;
}

int main(void) {
    pthread_t thread;
    struct rlimit limit = {(rlim_t)1 << 40, RLIM_INFINITY};
    // The first one may bring a runtime with it.
    pthread_create(&thread, NULL, returns, NULL), pthread_join(thread, NULL);
    creates(NULL);
    pthread_create(&thread, NULL, creates, NULL), pthread_join(thread, NULL);
    setrlimit(RLIMIT_AS, &limit), large = SIZE_MAX;
    creates(NULL), creates_many(NULL);
    pthread_create(&thread, NULL, creates, NULL), pthread_join(thread, NULL), pthread_create(&thread, NULL, creates_many, NULL), pthread_join(thread, NULL);
    fflush(stdout);
}
