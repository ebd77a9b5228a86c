#!/usr/bin/env bash
# glibc: of attributes whose stack size nobody has set, pthread_attr_getstacksize tells the default, and
# pthread_attr_getstack tells 0.
#
# One would expect that both functions tell the same size: POSIX describes the one as the address and the size
# together, and the other as the size.
# The first fills in the default (the soft limit of the stack, 8 MiB here) where nothing was set. The second does
# not, and succeeds all the same. It tells an address as well, which is nobody's. Whether the program has set other
# attributes, such as the detached state, makes no difference.
# It matters to whoever stands in for pthread_create, and asks with one call what the program wants: 0 is not "as
# small as may be", it is "not set".
# Seen with glibc 2.36.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static void see(const char *what, size_t got, size_t expected) {
    printf("  %s: %zu\n", what, got);
    if (got != expected) {
        fprintf(stderr, "no longer so: %zu was expected\n", expected);
        exit(1);
    }
}

int main(void) {
    printf("glibc %s, attributes that are only detached\n", gnu_get_libc_version());
    pthread_attr_t attributes, defaults;
    void *address;
    size_t alone = 1, with_address = 1, usual = 1;
    if (pthread_attr_init(&attributes) || pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)) return 2;
    if (pthread_getattr_default_np(&defaults) || pthread_attr_getstacksize(&defaults, &usual)) return 2;
    if (pthread_attr_getstacksize(&attributes, &alone)) return 2;
    if (pthread_attr_getstack(&attributes, &address, &with_address)) return 2;
    see("pthread_attr_getstacksize", alone, usual);
    see("pthread_attr_getstack", with_address, 0);
    if (pthread_attr_setstacksize(&attributes, 1 << 20)) return 2;
    pthread_attr_getstacksize(&attributes, &alone);
    pthread_attr_getstack(&attributes, &address, &with_address);
    see("once it was set, pthread_attr_getstacksize", alone, 1 << 20);
    see("and pthread_attr_getstack", with_address, 1 << 20);
    return 0;
}
C
cd "$work"
cc -O1 -pthread -o see see.c
./see
