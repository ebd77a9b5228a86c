#!/usr/bin/env bash
# Linux: sched_setattr's sched_runtime is the time slice of an ordinary thread. Values out of range are changed without a word, and a program
# that is executed keeps the slice.
#
# One would expect, as sched_setattr(2) has it, that the field is for SCHED_DEADLINE alone, and 0 or ignored for SCHED_OTHER; that a
# value which the kernel does not want is refused; and that sched_setscheduler(SCHED_OTHER) makes a thread an ordinary one again.
# sched_getattr of an ordinary thread returns the usual slice there. sched_setattr with 1 ns or 10 s succeeds, and the
# slice is 0.1 ms or 100 ms. It outlives sched_setscheduler to SCHED_OTHER and a change of the nice value, and goes on to children and through an
# exec. Only a 0 brings the usual slice back.
# It matters to who copies the attributes of one thread to another, or starts programs from a thread whose slice is short.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static unsigned long slice(void) {
    struct attributes own = {0};
    return syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) ? 0 : own.runtime;
}
static int ask_for(uint64_t runtime) {
    struct attributes own = {.size = sizeof own, .policy = SCHED_OTHER, .runtime = runtime};
    return syscall(SYS_sched_setattr, 0, &own, 0) ? errno : 0;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("  after fork and exec: %lu\n", slice());
        return 0;
    }
    unsigned long usual = slice();
    printf("  usual: %s\n", usual ? "more than nothing" : "nothing");
    const uint64_t wishes[] = {1, 1000000, 10000000000};
    for (int i = 0; i < 3; i++) {
        int error = ask_for(wishes[i]);
        printf("  asked for %lu: error %d, then %lu\n", (unsigned long)wishes[i], error, slice());
    }
    ask_for(500000);
    struct sched_param none = {0};
    sched_setscheduler(0, SCHED_OTHER, &none);
    printf("  after sched_setscheduler: %lu\n", slice());
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1);
    printf("  after setpriority: %lu\n", slice());
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "see", "child", (char *)0);
        _exit(1);
    }
    waitpid(child, NULL, 0);
    /* The nice value goes with the attributes, and only a privileged thread may lower it. */
    struct attributes last = {.size = sizeof last, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0)};
    syscall(SYS_sched_setattr, 0, &last, 0);
    printf("  asked for 0: %s\n", slice() == usual ? "the usual one" : "another");
    return 0;
}
C
cc -O1 -Wall -o "$work/see" "$work/see.c"
uname -r
"$work/see" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
  usual: more than nothing
  asked for 1: error 0, then 100000
  asked for 1000000: error 0, then 1000000
  asked for 10000000000: error 0, then 100000000
  after sched_setscheduler: 500000
  after setpriority: 500000
  after fork and exec: 500000
  asked for 0: the usual one
SEEN
