// A program that another thread than the first begins in place of its own, by each function that does so, and by a child of vfork(2). It has the
// arguments and the environment that it was given, and blocks what its thread did.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAYS = 9 };

static void mask(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    pthread_sigmask(how, &set, NULL);
}
static volatile sig_atomic_t handled;
static void counts(int signal) { (void)signal, handled++; }

static char *self, *next, library[4096], workers[100];
static int way;

static void *begins(void *unused) {
    mask(SIG_SETMASK, SIGUSR1 + way), mask(SIG_BLOCK, SIGHUP);
    // What fails changes nothing.
    errno = 0;
    int failed = execl("/nonexistent", "x", NULL) == -1 && errno == ENOENT;
    handled = 0;
    mask(SIG_UNBLOCK, SIGHUP);
    raise(SIGHUP), pthread_kill(pthread_self(), SIGHUP);
    printf("%d, handled %d\n", failed, handled);
    // Of vfork's child as well.
    pid_t child = vfork();
    if (child == 0) execl(self, self, "0", "told", NULL), _exit(99);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (status) printf("the child has ended with %#x\n", status);
    char *arguments[] = {self, next, "told", NULL}, *environment[] = {"GIVEN=alone", library, workers, NULL};
    switch (way) {
    case 0: execl(self, self, next, "told", "d", "e", "f", "g", "h", "i", NULL); break;
    case 1: execlp(self, self, next, "told", NULL); break;
    case 2: execle(self, self, next, "told", "d", "e", "f", "g", NULL, environment); break;
    case 3: execv(self, arguments); break;
    case 4: execvp(self, arguments); break;
    case 5: execve(self, arguments, environment); break;
    case 6: execvpe(self, arguments, environment); break;
    case 7: fexecve(open(self, O_RDONLY | O_CLOEXEC), arguments, environment); break;
    default: execveat(AT_FDCWD, self, arguments, environment, 0);
    }
    puts("not here");
    return unused;
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    printf("%d arguments, %s, blocked", count, getenv("GIVEN") ? getenv("GIVEN") : "none");
    for (int signal = 1; signal < 32; signal++) if (sigismember(&set, signal)) printf(" %d", signal);
    puts("");
    if (count > 2 && !strcmp(arguments[1], "0")) return 0;
    way = count > 1 ? atoi(arguments[1]) : 0;
    if (way == WAYS) return 0;
    char number[] = {(char)('1' + way), 0};
    // What the loader and the library are told of, which each environment has.
    snprintf(library, sizeof library, "LD_PRELOAD=%s", getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "");
    snprintf(workers, sizeof workers, "ABACA_WORKERS=%s", getenv("ABACA_WORKERS") ? getenv("ABACA_WORKERS") : "1");
    char path[4096];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    if (bytes < 0) return 3;
    path[bytes] = 0, self = path, next = number;
    mask(SIG_SETMASK, 0), signal(SIGHUP, counts);
    pthread_t thread;
    pthread_create(&thread, NULL, begins, NULL), pthread_join(thread, NULL);
    return 4;
}
