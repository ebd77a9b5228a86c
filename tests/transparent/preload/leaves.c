// Handlers that jump out of calls in which their thread waits: for a byte, for room, for a connection, for any of several, for a child, for a lock, for
// a lock of a file, for a signal. The descriptors of such a call can be closed afterwards, and their peers hear of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAYS = 16 };

static __thread sigjmp_buf buffer;
static __thread volatile sig_atomic_t jumps;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread pthread_mutex_t own;
static __thread pid_t child;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t never;
static int locked_file;
static volatile int is_out;

static void jump(int signal) {
    if (jumps) siglongjmp(buffer, signal);
}

static char big[1 << 20];
static void wait_in(int way, int ends[2]) {
    struct pollfd polled = {ends[0], POLLIN, 0};
    struct epoll_event event = {.events = EPOLLIN};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct timespec late = {4000000000, 0};
    char byte;
    int status, watch;
    sigset_t set;
    fd_set read_set;
    switch (way) {
    case 0: read(ends[0], &byte, 1); break;
    case 1: recv(ends[0], &byte, 1, MSG_WAITALL); break;
    case 2: write(ends[0], big, sizeof big); break;
    case 3: poll(&polled, 1, -1); break;
    case 4:
        FD_ZERO(&read_set);
        FD_SET(ends[0], &read_set);
        select(ends[0] + 1, &read_set, NULL, NULL, NULL);
        break;
    case 5:
        watch = epoll_create1(0), epoll_ctl(watch, EPOLL_CTL_ADD, ends[0], &event);
        epoll_wait(watch, &event, 1, -1);
        break;
    case 6: accept(ends[0], NULL, NULL); break;
    case 7: pthread_mutex_lock(&mutex); break;
    case 8:
        // It may end by itself after a handler that has not jumped.
        for (pthread_mutex_lock(&own);;) pthread_cond_wait(&condition, &own);
    case 9: sem_wait(&never); break;
    case 10: sem_timedwait(&never, &late); break;
    case 11: fcntl(locked_file, F_OFD_SETLKW, &whole); break;
    case 12: sigemptyset(&set), sigaddset(&set, SIGUSR2), sigwaitinfo(&set, NULL); break;
    case 13: nanosleep(&late, NULL); break;
    case 14: sigemptyset(&set), sigsuspend(&set); break;
    default: waitpid(child, &status, 0);
    }
    printf("way %d: it has returned, %s\n", way, strerror(errno));
}

static void *leaves(void *of_way) {
    int way = (int)(long)of_way, ends[2];
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2), pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (volatile int round = 0; round < 2; round++) {
        // What a jump leaves of a condition's mutex is not to be relied on.
        pthread_mutex_init(&own, NULL);
        if (way == WAYS - 1 && (child = fork()) == 0) poll(NULL, 0, -1), _exit(1);
        if (way == 6) {
            struct sockaddr_un address = {.sun_family = AF_UNIX};
            ends[0] = socket(AF_UNIX, SOCK_STREAM, 0), ends[1] = -1;
            if (bind(ends[0], (void *)&address, sizeof(sa_family_t)) || listen(ends[0], 1)) exit(3);
        } else if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) exit(3);
        if (sigsetjmp(buffer, 1) == 0) {
            jumps = 1;
            wait_in(way, ends);
        }
        jumps = 0;
        // The calls of a thread that has jumped park it as ever.
        poll(NULL, 0, 1);
        close(ends[0]);
        if (ends[1] >= 0) {
            long all = 0, some;
            while ((some = read(ends[1], big, sizeof big)) > 0 || (some < 0 && errno == EINTR)) all += some > 0 ? some : 0;
            if (some || (way != 2 && all)) printf("way %d: the peer has read %ld, %ld\n", way, all, some);
            close(ends[1]);
        }
        if (way == WAYS - 1) {
            kill(child, SIGKILL);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    is_out = 1;
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct sigaction action = {.sa_handler = jump};
    char name[] = "/tmp/leaves.XXXXXX";
    int other = mkstemp(name);
    locked_file = open(name, O_RDWR), unlink(name);
    if (other < 0 || locked_file < 0 || fcntl(other, F_OFD_SETLK, &whole)) return 3;
    sem_init(&never, 0, 0), pthread_mutex_lock(&mutex);
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        action.sa_flags = flags;
        sigaction(SIGUSR1, &action, NULL);
        for (long way = 0; way < WAYS; way++) {
            pthread_t thread;
            is_out = 0;
            if (pthread_create(&thread, NULL, leaves, (void *)way)) return 3;
            // A signal that comes when the thread does not wait does nothing.
            while (!is_out) pthread_kill(thread, SIGUSR1), nanosleep(&(struct timespec){0, 1000000}, NULL);
            pthread_join(thread, NULL);
            printf("way %ld is left\n", way);
        }
    }
    // Nobody waits for the lock any more, nor has it.
    printf("%d %d\n", pthread_mutex_unlock(&mutex), pthread_mutex_trylock(&mutex));
    return 0;
}
