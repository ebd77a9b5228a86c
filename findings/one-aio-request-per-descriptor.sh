#!/usr/bin/env bash
# glibc aio(7): a read that waits keeps a write to the same descriptor from beginning.
#
# One would expect that asynchronous requests are independent: a read and a write of one socket above all.
# glibc queues requests by descriptor *number* and works on one at a time. While an aio_read waits for input, an
# aio_write to the same socket stays EINPROGRESS and the peer sees nothing; through dup(2) of the descriptor it
# goes out at once. A request that is being worked on cannot be cancelled (AIO_NOTCANCELED) either.
# It matters to a protocol in which the peer speaks only when spoken to: a read that is posted first, as is usual
# with completion queues, keeps the question from being asked.
# Seen with glibc 2.36 (Debian 12).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <aio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void see(const char *what, const char *got, const char *surprise) {
    printf("  %s: %s\n", what, got);
    if (strcmp(got, surprise)) {
        fprintf(stderr, "no longer so: %s was expected\n", surprise);
        exit(1);
    }
}

// What has become of a request after at most half a second.
static const char *state(struct aiocb *request) {
    const struct aiocb *list[] = {request};
    struct timespec half = {0, 500000000};
    aio_suspend(list, 1, &half);
    int error = aio_error(request);
    return error ? strerrorname_np(error) : "done";
}

int main(void) {
    int pair[2];
    char input[8], output[] = "hello", got[8];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct aiocb reading = {.aio_fildes = pair[0], .aio_buf = input, .aio_nbytes = sizeof input};
    struct aiocb writing = {.aio_fildes = pair[0], .aio_buf = output, .aio_nbytes = 5};
    struct aiocb by_copy = {.aio_fildes = dup(pair[0]), .aio_buf = output, .aio_nbytes = 5};
    aio_read(&reading);
    see("the read, no input", state(&reading), "EINPROGRESS");
    aio_write(&writing);
    see("a write to the same descriptor", state(&writing), "EINPROGRESS");
    see("the peer sees", recv(pair[1], got, 8, MSG_DONTWAIT) < 0 ? "nothing" : "bytes", "nothing");
    aio_write(&by_copy);
    see("a write to a copy of the descriptor", state(&by_copy), "done");
    int cancelled = aio_cancel(pair[0], &reading);
    see("the read is asked to stop", cancelled == AIO_NOTCANCELED ? "not cancelled" : "other", "not cancelled");
    if (write(pair[1], "x", 1) != 1)
        return 1;
    see("input came: the read", state(&reading), "done");
    see("input came: the write", state(&writing), "done");
}
C
cd "$work"
cc -O1 -pthread -o see see.c
getconf GNU_LIBC_VERSION
./see
