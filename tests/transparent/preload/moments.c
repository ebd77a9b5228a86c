// A thread forks while another one creates its first thread, uses a timer, a lock and a command for the first time, and again: at many of the allocations
// that this makes, so whatever is locked just then. Each child has threads, which do the same.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

// The allocations of the thread that is watched, and the fork that is asked for and done at one of them.
static __thread int is_watched;
static volatile int allocations, asked, done, stop;

// Each at first, and then some: there may be thousands.
static int is_moment(int number) { return number < 300 || number % 29 == 0; }

static void count(void) {
    if (!is_watched || !is_moment(__atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST))) return;
    int round = asked + 1;
    __atomic_store_n(&asked, round, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < round) syscall(SYS_sched_yield);
}
void *malloc(size_t bytes) { return count(), __libc_malloc(bytes); }
void *calloc(size_t many, size_t bytes) { return count(), __libc_calloc(many, bytes); }
void *realloc(void *memory, size_t bytes) { return count(), __libc_realloc(memory, bytes); }
void *memalign(size_t alignment, size_t bytes) { return count(), __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **memory, size_t alignment, size_t bytes) { return (*memory = memalign(alignment, bytes)) ? 0 : ENOMEM; }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int told;

static void *waits(void *value) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_delete(timer)) return NULL;
    pthread_mutex_lock(&mutex);
    while (!told) pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    return value;
}

// Two threads that wait, and are told.
static int has_threads(void) {
    pthread_t threads[2];
    void *value;
    int right = 0;
    told = 0;
    for (int i = 0; i < 2; i++) if (pthread_create(threads + i, NULL, waits, &right)) return 0;
    pthread_mutex_lock(&mutex);
    told = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], &value), right += value == &right;
    return right == 2;
}

// A thread of the kernel's. It is libc's own function that makes it.
static int wrong, forks;
static void *forks_at_each(void *unused) {
    for (int round = 1;; round++) {
        while (__atomic_load_n(&asked, __ATOMIC_SEQ_CST) < round && !stop) syscall(SYS_sched_yield);
        if (stop) return unused;
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            // Who was waiting for the lock or the condition is not there.
            mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER, condition = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
            _exit(has_threads() ? 7 : 1);
        }
        int status = 0;
        waitpid(child, &status, 0);
        int is_wrong = child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7;
        if (is_wrong) fprintf(stderr, "allocation %d: %#x\n", allocations, status);
        wrong += is_wrong, forks++;
        __atomic_store_n(&done, round, __ATOMIC_SEQ_CST);
    }
}

int main(void) {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = dlsym(dlopen("libc.so.6", RTLD_LAZY), "pthread_create");
    int (*join)(pthread_t, void **);
    *(void **)&join = dlsym(dlopen("libc.so.6", RTLD_LAZY), "pthread_join");
    pthread_t forker;
    if (create(&forker, NULL, forks_at_each, NULL)) return 1;
    is_watched = 1;
    int right = has_threads() + has_threads();
    is_watched = 0;
    stop = 1;
    join(forker, NULL);
    printf("%d right, some forks: %d, %d wrong\n", right, forks > 0, wrong);
    return 0;
}
