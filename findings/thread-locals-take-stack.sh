#!/usr/bin/env bash
# glibc pthread_create(3): a program's thread-local variables come out of each thread's stack.
#
# One would expect that the stack size that one asks for is the size of the stack, and that thread-local storage
# is memory of its own.
# glibc puts the static thread-local storage of the program and its libraries at the top of each stack. With 1 MiB
# of it a stack of 1 MiB is refused with EINVAL, whose manual text is about sizes under PTHREAD_STACK_MIN or
# misaligned ones; a stack of 1.25 MiB is granted and is a quarter of a MiB.
# It matters to a library with a large __thread table (or a static arena): programs that choose small stacks fail,
# or overflow, because they link it.
# Seen with glibc 2.36 (Debian 12).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024 };
static __thread volatile char table[1024 * KIB];

// How much of the thread's stack lies below this frame, in KiB.
static void *room(void *unused) {
    (void)unused;
    pthread_attr_t attributes;
    void *bottom;
    size_t size;
    table[0] = 1;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
    return (void *)(((uintptr_t)__builtin_frame_address(0) - (uintptr_t)bottom) / KIB);
}

static void see(int stack, int refused, uintptr_t at_most) {
    pthread_t thread;
    pthread_attr_t attributes;
    void *below = NULL;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, (size_t)stack * KIB))
        exit(2);
    int error = pthread_create(&thread, &attributes, room, NULL);
    if (!error)
        pthread_join(thread, &below);
    printf("  %d KiB: %s, usable %d KiB\n", stack, error ? strerrorname_np(error) : "works", (int)(uintptr_t)below);
    if (error != (refused ? EINVAL : 0) || (uintptr_t)below > at_most) {
        fprintf(stderr, "no longer so\n");
        exit(1);
    }
}

int main(void) {
    see(512, 1, 0);
    see(1024, 1, 0);
    see(1280, 0, 256);
    see(4096, 0, 3072);
}
C
cd "$work"
cc -O1 -pthread -o see see.c
getconf GNU_LIBC_VERSION
echo "the program has 1 MiB of thread-local storage; a thread with a stack of"
./see
