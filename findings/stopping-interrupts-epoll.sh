#!/usr/bin/env bash
# Linux: stop and continue a process, and epoll_wait(2) fails with EINTR though no handler ran.
#
# One would expect EINTR only where a signal handler has run; a program without handlers need not deal with it.
# SIGSTOP and SIGCONT (a shell's job control) end a waiting epoll_wait with EINTR.
# poll(2) goes on by itself in the same situation, for what is left of its time. (signal(7) has a list of such
# calls at its end.)
# It matters to a loop that takes an error of epoll_wait for the end of its life: it dies when somebody presses
# Ctrl-Z and types fg, which no test does; and a loop that retries with the whole time-out starts it anew.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

int main(int count, char **arguments) {
    struct epoll_event event;
    int epoll = epoll_create1(0);
    open("waits", O_CREAT | O_WRONLY, 0600);
    int got = strcmp(arguments[count - 1], "poll") ? epoll_wait(epoll, &event, 1, 2000) : poll(NULL, 0, 2000);
    puts(got == 0 ? "time is up" : strerrorname_np(errno));
}
C
cd "$work"
cc -O1 -pthread -o see see.c
echo "Linux $(uname -r), a process that waits is stopped and continued; it has no signal handlers"
see() { # CALL OUTCOME
    ./see "$1" > outcome &
    child=$!
    until grep -q "^State:.S" "/proc/$child/status" && [ -e waits ]; do sleep 0.05; done
    sleep 0.1
    kill -STOP $child
    until grep -q "^State:.T" "/proc/$child/status"; do sleep 0.05; done
    kill -CONT $child
    wait $child
    rm waits
    echo "  $1: $(cat outcome)"
    [ "$(cat outcome)" = "$2" ] || { echo "no longer so: $2 was expected" >&2; exit 1; }
}
see epoll_wait EINTR
see poll "time is up"
