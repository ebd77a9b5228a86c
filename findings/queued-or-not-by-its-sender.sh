#!/usr/bin/env bash
# Linux: whether a real-time signal is queued depends on who sends it, once the queue is at its limit.
#
# One would expect that real-time signals arrive as often as they were sent, and that a send which cannot be kept is an
# error: sigqueue(3) says EAGAIN.
# At the limit of the user's queued signals (RLIMIT_SIGPENDING) kill(2) of a real-time signal returns 0 all the same. The
# kernel then only notes that there is one: three sends arrive once. A send of the same signal by kill(2) below the limit
# is queued as one by sigqueue(3) is. So the same three calls mean three arrivals or one, and no call says which.
# Timers count as well: each timer_create(2) takes one place of the limit until it is deleted, so a program with many
# timers is at its limit although no signal waits.
# It matters to whoever counts arrivals (of a reload, of a job) and sends by kill: a shell's `kill -RTMIN` is one.
# Seen with Linux 6.18, glibc 2.36.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void see(const char *what, int got, int expected) {
    printf("  %s: %d\n", what, got);
    if (got != expected) {
        fprintf(stderr, "no longer so: %d was expected\n", expected);
        exit(1);
    }
}

static int arrivals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    struct timespec none = {0, 0};
    int count = 0;
    while (sigtimedwait(&set, NULL, &none) == SIGRTMIN) count++;
    return count;
}

static int by_kill(int times) {
    int done = 0;
    while (times-- > 0) done += kill(getpid(), SIGRTMIN) == 0;
    return done;
}

static int by_sigqueue(int times) {
    union sigval value = {.sival_int = 0};
    int done = 0;
    while (times-- > 0) {
        if (sigqueue(getpid(), SIGRTMIN, value) == 0) done++;
        else if (errno != EAGAIN) exit(2);
    }
    return done;
}

int main(void) {
    struct utsname name;
    uname(&name);
    printf("Linux %s\n", name.release);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    if (sigprocmask(SIG_BLOCK, &set, NULL)) return 2;
    see("below the limit, by kill: sent", by_kill(3), 3);
    see("arrived", arrivals(), 3);
    see("by sigqueue: sent", by_sigqueue(3), 3);
    see("arrived", arrivals(), 3);
    // A timer that never fires takes a place. The limit is the user's: others of the same user may have some as well.
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) return 2;
    struct rlimit limit;
    if (getrlimit(RLIMIT_SIGPENDING, &limit)) return 2;
    limit.rlim_cur = 1;
    if (setrlimit(RLIMIT_SIGPENDING, &limit)) return 2;
    see("with a limit of 1, which a timer has taken, by kill: sent", by_kill(3), 3);
    see("arrived", arrivals(), 1);
    see("by sigqueue: sent", by_sigqueue(3), 0);
    see("arrived", arrivals(), 0);
    return 0;
}
C
cd "$work"
cc -O1 -o see see.c -lrt
./see
