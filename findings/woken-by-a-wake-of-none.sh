#!/usr/bin/env bash
# Linux: futex(2)'s FUTEX_WAKE that is asked to wake 0 sleepers wakes one.
#
# One would expect that the count is the most that are woken, as the manual has it ("at most val of the waiters"),
# so that 0 wakes nobody and returns 0.
# FUTEX_WAKE and FUTEX_WAKE_BITSET with 0 wake one sleeper and return 1. FUTEX_REQUEUE with 0 wakes nobody, and
# neither does futex_wake(2), the newer system call for the same.
# It matters to whoever computes the count (a semaphore that hands out n permits, a shim that wakes some sleepers
# itself and passes the rest on): the rest of 0 wakes somebody without a reason, and a sleeper that does not look
# at its word again goes on too early.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t word, other;

static void *sleeper(void *unused) {
    (void)unused;
    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
    return NULL;
}

/* How many sleep: a requeue of all from an address to itself is not allowed, so there and back. */
static long sleepers(void) {
    long moved = syscall(SYS_futex, &word, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)10, &other);
    syscall(SYS_futex, &other, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)10, &word);
    return moved;
}

static void see(const char *what, long returned, long expected) {
    long left = sleepers();
    printf("  %s: returns %ld, %ld of 2 still sleep\n", what, returned, left);
    if (returned != expected || left != 2 - expected) {
        fprintf(stderr, "no longer so: %ld was expected\n", expected);
        exit(1);
    }
}

static void two_sleep(pthread_t *threads) {
    for (long missing = 2 - sleepers(); missing > 0; missing--) pthread_create(threads, NULL, sleeper, NULL);
    while (sleepers() != 2) usleep(1000);
}

int main(void) {
    pthread_t thread;
    two_sleep(&thread);
    see("FUTEX_REQUEUE of 0", syscall(SYS_futex, &word, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)0, &other), 0);
    long newer = syscall(454, &word, FUTEX_BITSET_MATCH_ANY, 0, FUTEX2_SIZE_U32 | FUTEX2_PRIVATE);
    if (newer < 0 && errno == ENOSYS) puts("  futex_wake(2): this kernel has none");
    else see("futex_wake(2) of 0", newer, 0);
    see("FUTEX_WAKE of 0", syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 0), 1);
    two_sleep(&thread);
    see("FUTEX_WAKE_BITSET of 0",
        syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, FUTEX_BITSET_MATCH_ANY), 1);
    return 0;
}
C
cd "$work"
# Older headers lack the names of the newer call.
cc -O1 -pthread -DFUTEX2_SIZE_U32=2 -DFUTEX2_PRIVATE=128 -w -o see see.c
echo "Linux $(uname -r), two threads sleep at a word"
./see
