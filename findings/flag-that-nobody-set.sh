#!/usr/bin/env bash
# sigaction(2) with glibc on x86_64: the flags that one asks for are not the flags that one is told afterwards.
#
# One would expect that sigaction(signal, NULL, &now) tells the flags with which the handler was set up: so a program
# can see whether a handler is still its own, or a library's that has come later, by a comparison of the two structures.
# On x86_64 the answer has one bit more, 0x04000000. It is SA_RESTORER, by which libc tells the kernel that it brings
# the code that returns from a handler: libc adds the bit on the way in, and leaves it there on the way out. signal.h has
# no name for it. After signal(SIG_DFL) it stays, and only a signal that nobody ever touched has no flags.
# It matters to whoever compares flags by ==, keeps them in a file of expectations, or prints them. A structure that was
# read can be set again as it is: the bit does no harm there.
# Seen with glibc 2.36, Linux 6.18; other architectures have no such bit.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "this is about x86_64"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void see(const char *what, int got, int expected) {
    printf("  %s: %#x\n", what, (unsigned)got);
    if (got != expected) {
        fprintf(stderr, "no longer so: %#x was expected\n", (unsigned)expected);
        exit(1);
    }
}

static void handler(int signal) { (void)signal; }

static int flags(void) {
    struct sigaction now;
    if (sigaction(SIGUSR1, NULL, &now)) exit(2);
    return now.sa_flags;
}

int main(void) {
    const int bit = 0x04000000;
    printf("glibc %s\n", gnu_get_libc_version());
    see("a signal that nobody has touched", flags(), 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    if (sigaction(SIGUSR1, &action, NULL)) return 2;
    see("asked for", action.sa_flags, SA_RESTART);
    see("told", flags(), SA_RESTART | bit);
    action.sa_flags = 0;
    if (sigaction(SIGUSR1, &action, NULL)) return 2;
    see("asked for none, told", flags(), bit);
    if (signal(SIGUSR1, SIG_DFL) == SIG_ERR) return 2;
    see("the default again", flags() & bit, bit);
    return 0;
}
C
cd "$work"
cc -O1 -o see see.c
./see
