#!/usr/bin/env bash
# Linux: accept looks for a free descriptor number before it looks for a connection. In a process whose table is full it fails with EMFILE
# although nobody has connected: where it would have waited, and where a non-blocking one would have said EAGAIN.
#
# One would expect EMFILE to mean that a connection is there and has no number: so a loop that accepts until EAGAIN would end, and a
# thread that waits in accept would learn of it with the next client. The number is also taken all the time that a thread waits: with two
# left, a second descriptor beside a thread that waits in accept is EMFILE.
# It matters to who backs off, logs, or sheds a connection at EMFILE, and to a process with many threads in accept.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LIMIT = 32 };
static int listener, taken[LIMIT], count;
static _Atomic pid_t waits_as;

static const char *name(int result) { return result >= 0 ? "a descriptor" : strerrorname_np(errno); }
static void fill(void) {
    int fd;
    while ((fd = dup(0)) >= 0)
        taken[count++] = fd;
}
static void *wait_for_client(void *unused) {
    (void)unused;
    waits_as = syscall(SYS_gettid);
    int connection = accept4(listener, NULL, NULL, 0);
    printf("  the thread that waited: %s\n", name(connection));
    return NULL;
}
/* Whether the thread is in accept4(2) now. */
static int is_waiting(void) {
    char path[64], text[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", waits_as);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 && atoi(text) == SYS_accept4;
}

int main(void) {
    struct rlimit limit = {LIMIT, LIMIT};
    if (setrlimit(RLIMIT_NOFILE, &limit))
        return 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, length) || listen(listener, 1) || getsockname(listener, (void *)&address, &length))
        return 1;

    fill();
    printf("  full, nobody has connected: %s\n", name(accept(listener, NULL, NULL)));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    printf("  the same, non-blocking: %s\n", name(accept(listener, NULL, NULL)));
    close(taken[--count]);
    printf("  one number free, non-blocking: %s\n", name(accept(listener, NULL, NULL)));
    fcntl(listener, F_SETFL, 0);

    /* Two are free: one for the thread, one to look with until it waits. */
    close(taken[--count]);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_client, NULL))
        return 1;
    while (!waits_as || !is_waiting())
        sched_yield();
    int last = dup(0);
    printf("  beside a thread that waits in accept, the first of two: %s\n", name(last));
    int none = dup(0);
    printf("  the second of two: %s\n", name(none));
    close(last);
    if (connect(client, (void *)&address, length))
        return 1;
    pthread_join(thread, NULL);
    return 0;
}
C
cc -O1 -Wall -pthread -o "$work/see" "$work/see.c"
uname -r
"$work/see" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
  full, nobody has connected: EMFILE
  the same, non-blocking: EMFILE
  one number free, non-blocking: EAGAIN
  beside a thread that waits in accept, the first of two: a descriptor
  the second of two: EMFILE
  the thread that waited: a descriptor
SEEN
