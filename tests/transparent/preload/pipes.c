// The signals of calls that fail, SIGPIPE and SIGXFSZ, are the calling thread's: its handler has run when the call returns, and if it blocks them they
// wait for it and nobody else, also if they would end the process.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

static pthread_t writer;
static volatile int handled, on_writer;
static void handle(int signal) {
    (void)signal;
    handled++;
    on_writer += pthread_equal(pthread_self(), writer) != 0;
}

// The end of a pipe, or of a pair of sockets, whose other end is closed.
static int broken(int is_socket) {
    int ends[2];
    if (is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) exit(3);
    close(ends[0]);
    return ends[1];
}

static void *others_have_none(void *unused) {
    sigset_t pending;
    sigpending(&pending), SAY(sigismember(&pending, SIGPIPE));
    return unused;
}

static void *blocks(void *unused) {
    sigset_t pipes, pending, before;
    struct timespec now = {0, 0};
    sigemptyset(&pipes), sigaddset(&pipes, SIGPIPE);
    SAY(pthread_sigmask(SIG_BLOCK, &pipes, &before));
    for (int how = 0; how < 3; how++) {
        int fd = broken(how);
        pthread_t other;
        if (how < 2) SAY(write(fd, "x", 1));
        else SAY(send(fd, "x", 1, 0));
        SAY(errno == EPIPE), sigpending(&pending), SAY(sigismember(&pending, SIGPIPE));
        pthread_create(&other, NULL, others_have_none, NULL), pthread_join(other, NULL);
        SAY(sigtimedwait(&pipes, NULL, &now)), SAY(sigtimedwait(&pipes, NULL, &now));
        sigpending(&pending), SAY(sigismember(&pending, SIGPIPE));
        close(fd);
    }
    // Set to its default anew, it waits all the same.
    signal(SIGPIPE, SIG_DFL);
    int fd = broken(1);
    SAY(write(fd, "x", 1)), SAY(sigtimedwait(&pipes, NULL, &now));
    close(fd);
    SAY(pthread_sigmask(SIG_SETMASK, &before, NULL));
    return unused;
}

static void *handles(void *unused) {
    writer = pthread_self();
    signal(SIGPIPE, handle);
    for (int how = 0; how < 3; how++) {
        int fd = broken(how);
        handled = on_writer = 0;
        long sent = how < 2 ? write(fd, "x", 1) : send(fd, "x", 1, 0);
        int seen = handled, here = on_writer;
        SAY(sent), SAY(seen), SAY(here);
        close(fd);
    }
    signal(SIGPIPE, SIG_DFL);

    char name[] = "/tmp/abaca-pipes-XXXXXX";
    int fd = mkstemp(name);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t before = limit.rlim_cur;
    unlink(name);
    signal(SIGXFSZ, handle);
    limit.rlim_cur = 10, setrlimit(RLIMIT_FSIZE, &limit);
    handled = on_writer = 0;
    long first = write(fd, "0123456789abcdef", 16), second = write(fd, "x", 1);
    int seen = handled, here = on_writer;
    limit.rlim_cur = before, setrlimit(RLIMIT_FSIZE, &limit);
    SAY(first), SAY(second), SAY(seen), SAY(here);
    close(fd);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, blocks, NULL), pthread_join(thread, NULL);
    pthread_create(&thread, NULL, handles, NULL), pthread_join(thread, NULL);
    return 0;
}
