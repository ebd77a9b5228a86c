// Threads that there is no memory for are refused, and those that were created run: the same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

enum { MOST = 20000, STACK = 1 << 18 };
static pthread_t threads[MOST];
static sem_t go;
static int begun;
static void *waits(void *value) {
    __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
    while (sem_wait(&go)) {}
    return value;
}
static void *returns(void *value) { return value; }
static int returns_int(void *value) { return value != NULL; }

// So many bytes more than the process has now; 0 is no limit.
static void limit(size_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = RLIM_INFINITY;
    if (bytes) {
        long pages = 0;
        FILE *file = fopen("/proc/self/statm", "r");
        if (!file || fscanf(file, "%ld", &pages) != 1) exit(2);
        fclose(file);
        limit.rlim_cur = pages * sysconf(_SC_PAGESIZE) + bytes;
    }
    if (setrlimit(RLIMIT_AS, &limit)) exit(2);
}

// As many as the limit allows.
static void until_refused(const char *when) {
    pthread_attr_t attributes;
    int count = 0, error = 0;
    pthread_attr_init(&attributes), pthread_attr_setstacksize(&attributes, STACK);
    begun = 0, sem_init(&go, 0, 0);
    while (count < MOST && !(error = pthread_create(&threads[count], &attributes, waits, threads + count))) count++;
    printf("%s: %s, some: %d\n", when, error ? strerrorname_np(error) : "none", count > 10);
    int joined = 0;
    for (int i = 0; i < count; i++) sem_post(&go);
    for (int i = 0; i < count; i++) {
        void *value = NULL;
        joined += !pthread_join(threads[i], &value) && value == &threads[i];
    }
    printf("%s: all joined: %d, all begun: %d\n", when, joined == count, begun == count);
}

// All memory that the limit leaves, in ever smaller pieces.
static void *taken;
static void take_all(void) {
    for (size_t bytes = 1 << 24; bytes >= 16; bytes /= 2) {
        void **piece;
        while ((piece = malloc(bytes))) *piece = taken, taken = piece;
    }
}
static void give_all(void) {
    while (taken) {
        void *next = *(void **)taken;
        free(taken), taken = next;
    }
}
static void without_any(const char *when) {
    pthread_t thread;
    thrd_t other;
    take_all();
    int error = pthread_create(&thread, NULL, returns, NULL), of_c11 = thrd_create(&other, returns_int, NULL);
    give_all();
    // libc may have the stack of a thread that has ended.
    int has_one = !strcmp(when, "after others");
    printf("%s: %s, %d\n", when, has_one && (!error || error == EAGAIN) ? "well" : error ? strerrorname_np(error) : "none", has_one ? 0 : of_c11);
    if (!error) pthread_join(thread, NULL);
    if (!of_c11) thrd_join(other, NULL);
}
static void afterwards(const char *when) {
    pthread_t thread;
    void *value = NULL;
    printf("%s: %d", when, pthread_create(&thread, NULL, returns, &value));
    pthread_join(thread, &value), printf(", %d\n", value == &value);
}

static void in_a_child(void (*begins)(void), void (*goes_on)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) begins(), goes_on(), fflush(stdout), _exit(0);
    int status;
    waitpid(child, &status, 0), printf("ended: %d\n", status);
}
static void has_threads(void) { afterwards("first"); }
static void has_none(void) {}
static void few_bytes(void) { limit(256 << 20), until_refused("limited"), until_refused("again"), limit(0), afterwards("then"); }
static void none_at_all(void) { limit(32 << 20), without_any("the first"), limit(0), afterwards("then"); }
static void none_any_more(void) { limit(32 << 20), without_any("after others"), limit(0), afterwards("then"); }

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    in_a_child(has_threads, few_bytes), in_a_child(has_none, none_at_all), in_a_child(has_threads, none_any_more);
}
