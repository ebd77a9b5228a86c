#!/usr/bin/env bash
# glibc pthread_setaffinity_np(3): given a thread that has ended, it binds the caller to those processors, and returns 0.
#
# One would expect ESRCH, as pthread_getschedparam and pthread_getcpuclockid say of the same thread, or no effect: a
# handle is valid until the thread was joined, and nobody can know when the thread ends.
# libc passes the thread's id on to sched_setaffinity(2). The kernel has cleared that to 0 at the thread's end, and 0
# is the calling thread. pthread_getaffinity_np tells the caller's processors in the same way.
# It matters to a program that binds its worker threads from the main one: if a worker is done by then, the main
# thread, and every thread that it starts afterwards, runs on the worker's processor from then on, without an error.
# Seen with glibc 2.36 (Debian 12).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *note_id(void *id) {
    *(pid_t *)id = gettid();
    return NULL;
}

static void see(const char *what, int got, int surprise) {
    printf("  %s: %d\n", what, got);
    if (got != surprise) {
        fprintf(stderr, "no longer so: %d was expected\n", surprise);
        exit(1);
    }
}

int main(void) {
    cpu_set_t before, first, told, after;
    pthread_t thread;
    pid_t id;
    char task[64];
    struct sched_param parameter;
    int policy;
    sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&first);
    for (int number = 0; !CPU_COUNT(&first); number++)
        if (CPU_ISSET(number, &before))
            CPU_SET(number, &first);
    if (CPU_COUNT(&before) < 2) {
        puts("two processors are needed");
        return 0;
    }
    // A thread that has ended, to the kernel too, and was not joined.
    pthread_create(&thread, NULL, note_id, &id);
    do {
        usleep(1000);
        snprintf(task, sizeof task, "/proc/self/task/%d", *(volatile pid_t *)&id);
    } while (!*(volatile pid_t *)&id || !access(task, F_OK));

    see("pthread_getschedparam of it (ESRCH is 3)", pthread_getschedparam(thread, &policy, &parameter), ESRCH);
    see("pthread_setaffinity_np of it, to one processor", pthread_setaffinity_np(thread, sizeof first, &first), 0);
    sched_getaffinity(0, sizeof after, &after);
    see("processors that the caller has now", CPU_COUNT(&after), 1);
    sched_setaffinity(0, sizeof before, &before);
    see("pthread_getaffinity_np of it", pthread_getaffinity_np(thread, sizeof told, &told), 0);
    see("tells the caller's again", CPU_EQUAL(&told, &before), 1);
    pthread_join(thread, NULL);
}
C
cd "$work"
cc -O1 -pthread -o see see.c
getconf GNU_LIBC_VERSION
echo "a thread has ended, and was not joined"
./see
