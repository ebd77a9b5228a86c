#!/usr/bin/env bash
# Linux pidfd and waitid: a zombie that cannot be reaped, and a second event for the reaping.
#
# One would expect that a process shown as a zombie can be waited for, and that a pidfd has one event: the end.
# A main thread that ends by pthread_exit(3) leaves a process that /proc calls Z (zombie) while its other threads
# run: waitid finds nothing and the pidfd is silent. Once all threads have ended, the pidfd is readable (POLLIN).
# When somebody then reaps the child it has a second event: POLLIN and POLLHUP, a new edge for edge-triggered
# epoll.
# It matters to supervisors that look at /proc for zombies, and to an event loop that takes each event of a pidfd
# for "reap it": the second comes from its own waitpid, whose number may belong to somebody else by then.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int gate[2];

static void *wait_at_gate(void *unused) {
    char byte;
    if (read(gate[0], &byte, 1) != 0)
        abort();
    return unused;
}

static void see(const char *what, int got, int surprise) {
    printf("  %s: %d\n", what, got);
    if (got != surprise) {
        fprintf(stderr, "no longer so: %d was expected\n", surprise);
        exit(1);
    }
}

static char state(pid_t process) {
    char path[64], letter = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %*s %c", &letter) != 1)
        exit(2);
    fclose(file);
    return letter;
}

static int events(int epoll, int milliseconds) {
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, milliseconds) == 1 ? (int)event.events : 0;
}

int main(void) {
    if (pipe(gate))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        close(gate[1]);
        pthread_create(&thread, NULL, wait_at_gate, NULL);
        pthread_exit(NULL);
    }
    close(gate[0]);
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    int epoll = epoll_create1(0);
    struct epoll_event interest = {.events = EPOLLIN | EPOLLET};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &interest);
    while (state(child) != 'Z')
        usleep(1000);
    siginfo_t info = {0};
    waitid(P_PID, child, &info, WEXITED | WNOHANG);
    printf("  the main thread has ended, /proc says Z\n");
    see("children to reap", info.si_pid != 0, 0);
    see("events of the pidfd", events(epoll, 100), 0);
    close(gate[1]);
    printf("  the last thread has ended\n");
    see("events of the pidfd (EPOLLIN is 1)", events(epoll, 5000), EPOLLIN);
    see("further events", events(epoll, 100), 0);
    waitpid(child, NULL, 0);
    printf("  the child was reaped\n");
    see("events of the pidfd (EPOLLIN and EPOLLHUP are 17)", events(epoll, 100), EPOLLIN | EPOLLHUP);
}
C
cd "$work"
cc -O1 -pthread -o see see.c
echo "Linux $(uname -r)"
./see
