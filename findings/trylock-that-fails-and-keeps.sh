#!/usr/bin/env bash
# glibc pthread_mutex_trylock(3): of a robust mutex whose state is lost it fails with ENOTRECOVERABLE, and keeps the lock.
#
# One would expect that a failed attempt changes nothing, as pthread_mutex_lock of the same mutex does: it says ENOTRECOVERABLE
# to everybody who calls it.
# The attempt takes the lock before it looks at the state, and returns without giving it back. Whoever comes next is told EBUSY by
# an attempt, and waits for ever in pthread_mutex_lock.
# It matters to a program that tries first and locks afterwards: the second thread hangs in place of being told that what the mutex
# protects is lost.
# Seen with glibc 2.36 (Debian 12).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t mutex;
static void *end_with_it(void *unused) {
    pthread_mutex_lock(&mutex);
    return unused;
}

static void see(const char *what, int got, int surprise) {
    printf("  %s: %d\n", what, got);
    if (got != surprise) {
        fprintf(stderr, "no longer so: %d was expected\n", surprise);
        exit(1);
    }
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_create(&thread, NULL, end_with_it, NULL);
    pthread_join(thread, NULL);
    see("lock after the owner's end (EOWNERDEAD is 130)", pthread_mutex_lock(&mutex), EOWNERDEAD);
    see("unlock, without pthread_mutex_consistent", pthread_mutex_unlock(&mutex), 0);
    see("lock (ENOTRECOVERABLE is 131)", pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    see("lock again", pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    see("trylock", pthread_mutex_trylock(&mutex), ENOTRECOVERABLE);
    see("trylock again (EBUSY is 16)", pthread_mutex_trylock(&mutex), EBUSY);
}
C
cd "$work"
cc -O1 -pthread -o see see.c
getconf GNU_LIBC_VERSION
./see
