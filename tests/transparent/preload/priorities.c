// What a thread is told of itself and of others by their numbers: how nice it is, its class at disks, its policy, its processors. Each has its own, and begins
// with its creator's.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result < 0 && errno ? strerrorname_np(errno) : ""), errno = 0; }
#define SAY(what) (errno = 0, say(#what, (long)(what)))
enum { OF_THREAD = 1, BEST_EFFORT = 2 << 13 };
struct attributes { unsigned bytes, policy; unsigned long long flags; int nice; unsigned priority; unsigned long long times[3]; unsigned clamps[2]; };

static int processors_of(pid_t thread) {
    cpu_set_t set;
    return sched_getaffinity(thread, sizeof set, &set) ? -1 : CPU_COUNT(&set);
}
static void tell(const char *who, pid_t thread) {
    struct attributes attributes = {.bytes = sizeof attributes};
    struct sched_param parameters = {7};
    long asked = syscall(SYS_sched_getattr, thread, &attributes, sizeof attributes, 0), told = sched_getparam(thread, &parameters);
    printf("%s: nice %d, %ld, class %ld, policy %d, %d %d, attributes %ld %u %d, one processor %d\n", who, getpriority(PRIO_PROCESS, thread), syscall(SYS_getpriority, PRIO_PROCESS, thread),
           syscall(SYS_ioprio_get, OF_THREAD, thread) & 0xe007, sched_getscheduler(thread), (int)told, parameters.sched_priority, asked, attributes.policy, attributes.nice,
           processors_of(thread) == 1);
}

static pthread_barrier_t both;
static volatile pid_t numbers[2];
static void *child(void *unused) { return tell("child", 0), unused; }
static void *first(void *unused) {
    struct attributes attributes = {.bytes = sizeof attributes, .nice = 11};
    struct sched_param none = {0}, some = {1};
    pthread_t thread;
    numbers[0] = gettid(), pthread_barrier_wait(&both);
    SAY(setpriority(PRIO_PROCESS, gettid(), 5)), SAY(getpriority(PRIO_PROCESS, 0)), SAY(syscall(SYS_ioprio_set, OF_THREAD, 0, BEST_EFFORT | 6));
    SAY(syscall(SYS_ioprio_set, OF_THREAD, 0, 7 << 13)), SAY(setpriority(PRIO_PROCESS, 0, 8)), SAY(nice(1)), tell("first", 0);
    if (pthread_create(&thread, NULL, child, NULL)) exit(3);
    pthread_join(thread, NULL), pthread_barrier_wait(&both);
    // The other looks, and changes.
    pthread_barrier_wait(&both), tell("first, changed", gettid());
    SAY(nice(100)), SAY(setpriority(PRIO_PROCESS, 0, 100)), SAY(getpriority(PRIO_PROCESS, gettid())), SAY(syscall(SYS_setpriority, PRIO_PROCESS, gettid(), 3)), tell("first, once more", 0);
    SAY(syscall(SYS_sched_setattr, 0, &attributes, 0)), SAY(getpriority(PRIO_PROCESS, 0)), SAY(syscall(SYS_sched_setattr, gettid(), NULL, 0));
    SAY(sched_setscheduler(0, SCHED_OTHER, &none)), SAY(sched_setscheduler(gettid(), SCHED_OTHER, &some)), SAY(sched_setparam(0, &none)), SAY(sched_setparam(gettid(), &some));
    SAY(sched_setscheduler(0, SCHED_OTHER, NULL)), pthread_barrier_wait(&both);
    return unused;
}
static void *second(void *unused) {
    cpu_set_t set, before;
    numbers[1] = gettid(), pthread_barrier_wait(&both), pthread_barrier_wait(&both);
    tell("second", 0), tell("first, by the second", numbers[0]);
    sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&set);
    for (int at = 0; at < CPU_SETSIZE && !CPU_COUNT(&set); at++) if (CPU_ISSET(at, &before)) CPU_SET(at, &set);
    SAY(setpriority(PRIO_PROCESS, numbers[0], 12)), SAY(sched_setaffinity(numbers[0], sizeof set, &set)), SAY(syscall(SYS_ioprio_set, OF_THREAD, numbers[0], BEST_EFFORT | 7));
    SAY(syscall(SYS_sched_setaffinity, numbers[0], sizeof set, &set)), tell("second, still", gettid());
    pthread_barrier_wait(&both), pthread_barrier_wait(&both);
    return unused;
}

int main(void) {
    pthread_t threads[2];
    setvbuf(stdout, NULL, _IOLBF, 0), pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&threads[0], NULL, first, NULL) || pthread_create(&threads[1], NULL, second, NULL)) exit(3);
    for (int at = 0; at < 2; at++) pthread_join(threads[at], NULL);
    // Who has ended is no more.
    SAY(getpriority(PRIO_PROCESS, numbers[0])), SAY(setpriority(PRIO_PROCESS, numbers[0], 3)), SAY(sched_getscheduler(numbers[1])), SAY(processors_of(numbers[1]));
    tell("main", 0);
    fflush(stdout);
}
