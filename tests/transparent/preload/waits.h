// Whether threads wait: the kernel tells it of its own, and the preloaded library of those that are fibers.
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((weak)) int abaca_thread_waits(pthread_t thread);
__attribute__((weak)) unsigned abaca_looks_at_waits(void);

// In which system call a thread of the kernel's waits; -1 if in none.
static inline long waits_in(const char *task) {
    char path[300];
    long call = -1;
    snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%ld", &call) != 1) call = -1;
    if (file) fclose(file);
    return call;
}

// The calling thread's number in the kernel; on a fiber that of the thread that runs it.
static inline long number_in_kernel(void) {
    long number;
#ifdef __x86_64__
    __asm__ volatile("syscall" : "=a"(number) : "0"(SYS_gettid) : "rcx", "r11", "memory");
#else
    number = syscall(SYS_gettid);
#endif
    return number;
}

// Until so many of the kernel's threads are in this system call, besides the caller, who is in read(2) when it asks about itself.
static inline void until_so_many_in(long call, int many) {
    for (int found = 0; found < many; sched_yield()) {
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *entry;
        found = 0;
        while (tasks && (entry = readdir(tasks))) {
            // Neither the folder of the process, which tells of the main thread.
            long number = atol(entry->d_name);
            found += number && number != number_in_kernel() && waits_in(entry->d_name) == call;
        }
        closedir(tasks);
    }
}

// Until these threads, which are in the same call, wait.
static inline void until_waiting(const pthread_t *threads, int many, long call) {
    for (int at = 0; at < many; at++) {
        int waits;
        if (!abaca_thread_waits || (waits = abaca_thread_waits(threads[at])) < 0) {
            until_so_many_in(call, many);
            return;
        }
        if (!waits) sched_yield(), at--;
    }
}

// Until a thread waits, in whatever call, that has told its number before. A fiber may do so in the kernel, in a read or write that no hook sees: then it has
// its OS thread for itself.
static inline void until_in_any_call(pthread_t thread, const volatile long *number) {
    for (char task[20];; sched_yield()) {
        int fiber = abaca_thread_waits ? abaca_thread_waits(thread) : -1;
        snprintf(task, sizeof task, "%ld", *number);
        long call = *number && fiber < 1 ? waits_in(task) : -1;
        int is_unseen = call == SYS_read || call == SYS_write || call == SYS_readv || call == SYS_writev;
        if (fiber == 1 || is_unseen || (fiber < 0 && call >= 0)) return;
    }
}

// Until what was changed behind the hooks' back would have been noticed.
static inline void until_looked_at(void) {
    if (!abaca_looks_at_waits) return;
    for (unsigned before = abaca_looks_at_waits(); abaca_looks_at_waits() < before + 3;) poll(NULL, 0, 5);
}
