// A program with functions of libc's names, as Erlang's has `sigaction`: each calls the next one of that name, and others call it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int depth, calls;
#define NEXT(type, name) static type (*next)(); if (!next) next = dlsym(RTLD_NEXT, name); calls++; if (++depth > 20) puts("calls itself"), exit(3)

int __sigaction(int signal, const struct sigaction *new, struct sigaction *old) {
    NEXT(int, "__sigaction");
    int result = next(signal, new, old);
    return depth--, result;
}
int sigaction(int signal, const struct sigaction *new, struct sigaction *old) { return __sigaction(signal, new, old); }
ssize_t __read(int fd, void *buffer, size_t bytes) {
    NEXT(ssize_t, "__read");
    ssize_t result = next(fd, buffer, bytes);
    return depth--, result;
}
ssize_t read(int fd, void *buffer, size_t bytes) { return __read(fd, buffer, bytes); }
int usleep(useconds_t time) {
    NEXT(int, "usleep");
    int result = next(time);
    return depth--, result;
}

static volatile int handled;
static void note(int signal) { handled += signal == SIGUSR1; }
static int ends[2];

static void *work(void *unused) {
    char byte = 0;
    struct sigaction action = {.sa_handler = note}, old;
    int first = sigaction(SIGUSR1, &action, NULL), second = sigaction(SIGUSR1, NULL, &old);
    printf("%d %d %d\n", first, second, old.sa_handler == note);
    raise(SIGUSR1);
    first = usleep(1), second = read(ends[0], &byte, 1);
    printf("%d %d %d %c\n", handled, first, second, byte);
    return unused;
}

int main(void) {
    pthread_t thread;
    if (pipe(ends)) return 3;
    pthread_create(&thread, NULL, work, NULL);
    poll(NULL, 0, 1);
    if (write(ends[1], "x", 1) != 1) return 3;
    pthread_join(thread, NULL);
    printf("calls: %d\n", calls);
    return 0;
}
