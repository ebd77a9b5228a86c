#!/usr/bin/env bash
# Linux: a look without waiting that lets a signal in (ppoll, pselect or epoll_pwait with a time of 0 and a mask) runs the handler
# with ppoll and pselect, and only if nothing is ready; with epoll_pwait never.
#
# One would expect that the three are alike: that a signal which waits, and which the mask of the call lets through, has its handler run
# by the call; and that a call which waits for nothing is not interrupted.
# With nothing ready, ppoll and pselect run the handler and fail with EINTR, though they were not to wait. epoll_pwait
# returns 0, and the signal goes on waiting. With something ready, all three return it, and the signal goes on waiting.
# It matters to an event loop that blocks its signals and lets them in by the mask alone: one that is always busy, or that looks by
# epoll_pwait with a time of 0, never runs a handler. And who takes each failure of a look for an event sees one that is none.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;
static int ends[2], set;
static sigset_t none, ours;
static const struct timespec now = {0, 0};

static void handle(int signal) {
    (void)signal;
    handled++;
}
static int by_ppoll(void) {
    struct pollfd end = {ends[0], POLLIN, 0};
    return ppoll(&end, 1, &now, &none);
}
static int by_pselect(void) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    return pselect(ends[0] + 1, &readable, NULL, NULL, &now, &none);
}
static int by_epoll_pwait(void) {
    struct epoll_event event;
    return epoll_pwait(set, &event, 1, 0, &none);
}

/* Looks while a signal waits. */
static void see(const char *what, int (*look)(void), int returned, int runs) {
    sigset_t waiting;
    handled = 0;
    raise(SIGUSR1);
    int result = look(), is_interrupted = result < 0 && errno == EINTR;
    sigpending(&waiting);
    int waits = sigismember(&waiting, SIGUSR1);
    printf("  %s: returns %d%s, the handler has run %d times, the signal %s\n", what, result,
           is_interrupted ? " (EINTR)" : "", (int)handled, waits ? "goes on waiting" : "is gone");
    if (result != returned || is_interrupted != (returned < 0) || handled != runs || waits == runs) {
        fprintf(stderr, "no longer so\n");
        exit(1);
    }
    if (waits) sigtimedwait(&ours, NULL, &now);
}

int main(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct epoll_event event = {.events = EPOLLIN};
    sigemptyset(&none), sigemptyset(&ours), sigaddset(&ours, SIGUSR1);
    sigaction(SIGUSR1, &action, NULL), sigprocmask(SIG_BLOCK, &ours, NULL);
    if (pipe(ends) || (set = epoll_create1(0)) < 0 || epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event)) return 2;
    puts(" nothing is ready");
    see("ppoll", by_ppoll, -1, 1), see("pselect", by_pselect, -1, 1), see("epoll_pwait", by_epoll_pwait, 0, 0);
    if (write(ends[1], "x", 1) != 1) return 2;
    puts(" a byte is there");
    see("ppoll", by_ppoll, 1, 0), see("pselect", by_pselect, 1, 0), see("epoll_pwait", by_epoll_pwait, 1, 0);
    return 0;
}
C
cd "$work"
cc -O1 -w -o see see.c
echo "Linux $(uname -r), a signal with a handler waits, and the call's mask lets it in; the time is 0"
./see
