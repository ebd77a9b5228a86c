#!/usr/bin/env bash
# glibc: a child of fork gives the stacks of its parent's other threads to the threads that it starts.
#
# One would expect that the child's memory stays as it was copied: a pointer to what another thread of the parent had on
# its stack is good for reading, since nobody is left who would return from that frame, or write there.
# It is so until the child starts a thread. glibc's fork puts the stacks of all threads that are not in the child into its
# cache of free ones, with the records in them: the first new thread runs on such a stack, and is the same `pthread_t` as
# the thread that is gone. What was on the stack is overwritten.
# It matters where threads share what lies on their stacks, as scoped threads do: a child that looks at it, starts a
# thread, and looks again, sees something else. And a saved `pthread_t` of the parent's compares equal to a stranger.
# Seen with glibc 2.36.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 64 * 1024 };
static char *volatile published;
static pthread_barrier_t is_published;
static int never[2];

static void *hold(void *unused) {
    char buffer[BYTES];
    memset(buffer, 'h', BYTES);
    published = buffer;
    pthread_barrier_wait(&is_published);
    // The buffer is in use for as long as the parent lives.
    char byte;
    return (void *)(intptr_t)read(never[0], &byte, 1);
}

static void *use_stack(void *unused) {
    volatile char frame[2 * BYTES];
    for (int i = 0; i < 2 * BYTES; i++) frame[i] = 'n';
    return unused;
}

static int held(void) {
    int count = 0;
    for (int i = 0; i < BYTES; i++) count += published[i] == 'h';
    return count;
}

int main(void) {
    printf("glibc %s\n", gnu_get_libc_version());
    pthread_t holder, fresh;
    if (pipe(never) || pthread_barrier_init(&is_published, NULL, 2)) return 2;
    if (pthread_create(&holder, NULL, hold, NULL)) return 2;
    pthread_barrier_wait(&is_published);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int before = held();
        if (pthread_create(&fresh, NULL, use_stack, NULL) || pthread_join(fresh, NULL)) _exit(2);
        int after = held();
        printf("  in the child, bytes that the other thread has written: %d, once a thread has run there: %d\n", before, after);
        printf("  the new thread is %s that is not there\n", pthread_equal(fresh, holder) ? "the one" : "another than the one");
        fflush(stdout);
        _exit(!(before == BYTES && after == 0 && pthread_equal(fresh, holder)));
    }
    int status;
    waitpid(child, &status, 0);
    printf("  in the parent: %d\n", held());
    if (status || held() != BYTES) {
        fprintf(stderr, "no longer so\n");
        return 1;
    }
    return 0;
}
C
cd "$work"
cc -O1 -pthread -o see see.c
./see
