#!/usr/bin/env bash
# glibc on aarch64: a thread's stack of 64 KiB is refused. The least one has 128 KiB there, and 16 KiB elsewhere.
#
# One would expect that PTHREAD_STACK_MIN is of one order of magnitude on all 64-bit Linux, and that a program with
# small stacks which runs on x86_64 runs on aarch64, whose pages are of the same size.
# glibc's port says 131072 (bits/pthread_stack_min.h), whatever the size of its pages; x86_64 and riscv64 say 16384.
# pthread_attr_setstacksize and pthread_attr_setstack return EINVAL below it.
# It matters to programs with many threads, thread pools of libraries and runtimes of other languages that ask for 32
# or 64 KiB and take the error for fatal, or worse ignore it and get 8 MiB each.
# Seen with glibc 2.36 (Debian 12) under qemu-user 7.2. Needs Debian's packages qemu-user, gcc-aarch64-linux-gnu and
# libc6-dev-arm64-cross.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *nothing(void *unused) { return unused; }

// Arguments: the least size in KiB.
int main(int count, char **arguments) {
    long least = atol(arguments[count - 1]) * 1024;
    printf("  sysconf(_SC_THREAD_STACK_MIN): %ld\n", sysconf(_SC_THREAD_STACK_MIN));
    for (size_t size = 16 * 1024; size <= 256 * 1024; size *= 2) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        int refused = pthread_attr_setstacksize(&attributes, size);
        if (!refused && !(refused = pthread_create(&thread, &attributes, nothing, NULL)))
            pthread_join(thread, NULL);
        printf("  %zu KiB: %s\n", size / 1024, refused ? "refused" : "works");
        if (!refused != (size >= (size_t)least)) {
            fprintf(stderr, "no longer so\n");
            return 1;
        }
    }
}
C
cd "$work"
for program in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v "$program" >/dev/null || { echo "there is no $program" >&2; exit 2; }
done
cc -O1 -pthread -o here see.c
echo "$(uname -m), $(getconf GNU_LIBC_VERSION)"
./here 16
aarch64-linux-gnu-gcc -O1 -pthread -static -o there see.c
minor=$(aarch64-linux-gnu-gcc -dM -E -include features.h - </dev/null | sed -n 's/^#define __GLIBC_MINOR__ //p')
echo "aarch64, glibc 2.$minor, emulated"
qemu-aarch64 ./there 128
