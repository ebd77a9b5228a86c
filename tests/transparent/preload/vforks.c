// A child of vfork(2) changes its own handlers and masks of signals before it begins another program, as those do that start programs. Its parent,
// whose memory it uses, keeps its own.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int handled[65];
static void note(int signal) { handled[signal]++; }
static volatile int status, is_told;

__attribute__((noinline)) static int start(void) {
    sigset_t some, before;
    struct sigaction action = {.sa_handler = SIG_DFL}, was;
    sigemptyset(&some), sigaddset(&some, SIGQUIT), sigaddset(&some, SIGHUP);
    pid_t child = vfork();
    if (child == 0) {
        is_told = 1;
        for (int i = 1; i < 32; i++) {
            if (sigaction(i, NULL, &was) == 0 && i == SIGUSR1) is_told &= was.sa_handler == note;
            sigaction(i, &action, NULL);
        }
        signal(SIGWINCH, SIG_IGN);
        // What its parent blocks is what it begins with.
        is_told &= !pthread_sigmask(SIG_SETMASK, &some, &before) && sigismember(&before, SIGTERM) == 1 && !sigismember(&before, SIGHUP);
        is_told &= !sigprocmask(SIG_UNBLOCK, &some, &before) && sigismember(&before, SIGHUP) == 1 && !sigismember(&before, SIGTERM);
        is_told &= !sigprocmask(SIG_BLOCK, &some, NULL);
        // It exits with the first signals that it blocks, of those that have a number below 8.
        execl("/bin/sh", "sh", "-c", "while read key value; do case $key in SigBlk:) exit $((0x$value & 0x7f)); esac; done < /proc/self/status", NULL);
        _exit(99);
    }
    int how;
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(how) ? WEXITSTATUS(how) : -how;
}

static void *work(void *who) {
    sigset_t terminate, now;
    sigemptyset(&terminate), sigaddset(&terminate, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &terminate, NULL);
    int blocked = start();
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    printf("%s: the child was told %d, and blocked %#x of a byte; blocked here: %d %d %d\n", (char *)who, is_told, blocked & 0xff,
           sigismember(&now, SIGTERM), sigismember(&now, SIGQUIT), sigismember(&now, SIGHUP));
    pthread_kill(pthread_self(), SIGUSR1), raise(SIGUSR2), raise(SIGWINCH);
    printf("handled: %d %d %d\n", handled[SIGUSR1], handled[SIGUSR2], handled[SIGWINCH]);
    return NULL;
}

int main(void) {
    pthread_t thread;
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL), sigaction(SIGCHLD, &action, NULL), signal(SIGWINCH, note);
    work("main");
    pthread_create(&thread, NULL, work, "thread"), pthread_join(thread, NULL);
    return 0;
}
