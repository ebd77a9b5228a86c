// Waits for several descriptors, or for one, whose number is closed or replaced under them: what ends them, and with what, as in the kernel, where the
// wait goes on with the file, and who is woken looks at the number.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>
#include "waits.h"

enum { POLL, PPOLL, SELECT, PSELECT, EPOLL, POLL_ONE, SELECT_ONE, CALLS };
static const char *const calls[] = {"poll", "ppoll", "select", "pselect", "epoll_wait", "poll of one", "select of one"};
enum { TCP, UNIX, STREAM, PIPE, DATAGRAMS, FILES };
static const char *const files[] = {"tcp listener", "unix listener", "stream", "pipe", "datagrams"};
enum { ITS_EVENT, ANOTHERS, LATER, EVENTS };
static const char *const events[] = {"its event", "another's event", "an event later"};

struct wait {
    int call, file, is_replaced, event, one, peer, others[2], idle, set;
    pthread_t thread;
    volatile long number;
    struct sockaddr_storage address;
    socklen_t length;
    char said[100];
};

static void make(struct wait *wait) {
    int ends[2], file = wait->file;
    wait->length = sizeof wait->address;
    if (file == TCP || file == UNIX) {
        struct sockaddr_in *address = (void *)&wait->address;
        wait->address.ss_family = file == TCP ? AF_INET : AF_UNIX;
        if (file == TCP) address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        wait->one = socket(wait->address.ss_family, SOCK_STREAM, 0), wait->peer = socket(wait->address.ss_family, SOCK_STREAM, 0);
        if (bind(wait->one, (void *)address, file == TCP ? sizeof *address : sizeof(sa_family_t)) || listen(wait->one, 4)) exit(3);
        getsockname(wait->one, (void *)address, &wait->length);
    } else {
        if (file == PIPE ? pipe(ends) : socketpair(AF_UNIX, file == STREAM ? SOCK_STREAM : SOCK_DGRAM, 0, ends)) exit(3);
        wait->one = ends[0], wait->peer = ends[1];
    }
    if (pipe(wait->others)) exit(3);
    // A number that nobody gets when it is closed, not even a runtime.
    static int numbers = 750;
    int before = wait->one;
    wait->one = fcntl(before, F_DUPFD, numbers++), close(before);
    if (wait->call != EPOLL) return;
    wait->set = epoll_create1(0);
    epoll_ctl(wait->set, EPOLL_CTL_ADD, wait->one, &(struct epoll_event){EPOLLIN, {.fd = 1}});
    epoll_ctl(wait->set, EPOLL_CTL_ADD, wait->others[0], &(struct epoll_event){EPOLLIN, {.fd = 2}});
}

static void *waits(void *of_wait) {
    struct wait *wait = of_wait;
    int one = wait->one, other = wait->others[0], most = (one > other ? one : other) + 1, result = 0;
    struct pollfd list[2] = {{one, POLLIN, 0}, {other, POLLIN, 0}};
    struct timespec hour = {3600, 0};
    struct epoll_event told[2] = {0};
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(one, &reads);
    if (wait->call != SELECT_ONE) FD_SET(other, &reads);
    wait->number = number_in_kernel(), errno = 0;
    switch (wait->call) {
    case POLL: result = poll(list, 2, -1); break;
    case PPOLL: result = ppoll(list, 2, &hour, NULL); break;
    case SELECT: result = select(most, &reads, NULL, NULL, NULL); break;
    case PSELECT: result = pselect(most, &reads, NULL, NULL, &hour, NULL); break;
    case EPOLL: result = epoll_wait(wait->set, told, 2, -1); break;
    case POLL_ONE: result = poll(list, 1, -1); break;
    case SELECT_ONE: result = select(most, &reads, NULL, NULL, NULL); break;
    }
    int error = result < 0 ? errno : 0;
    snprintf(wait->said, sizeof wait->said, "%d %s, events %x %x, sets %d %d, told %x %d, %x %d", result, error ? strerrorname_np(error) : "", list[0].revents,
             list[1].revents, FD_ISSET(one, &reads) != 0, FD_ISSET(other, &reads) != 0, told[0].events, told[0].data.fd, told[1].events, told[1].data.fd);
    return NULL;
}

static int is_of_one(const struct wait *wait) { return wait->call == POLL_ONE || wait->call == SELECT_ONE; }

static void begin(struct wait *wait) {
    make(wait);
    if (pthread_create(&wait->thread, NULL, waits, wait)) exit(3);
    until_in_any_call(wait->thread, &wait->number);
    // A pipe of which nothing comes.
    int idle[2];
    if (pipe(idle)) exit(3);
    if (wait->is_replaced) dup2(idle[0], wait->one); else close(wait->one);
    close(idle[0]), wait->idle = idle[1];
}

static void end(struct wait *wait) {
    char byte = 'x';
    int is_its_own = wait->event == ITS_EVENT || is_of_one(wait);
    if (is_its_own && wait->file <= UNIX) connect(wait->peer, (void *)&wait->address, wait->length);
    else if (is_its_own && write(wait->peer, &byte, 1) != 1 && wait->call != EPOLL) exit(4);
    // Nobody else has the file that an epoll instance has lost. Of a file that has been replaced the event wakes, and is not found.
    if ((!is_its_own || wait->is_replaced || wait->call == EPOLL) && write(wait->others[1], &byte, 1) != 1) exit(4);
    pthread_join(wait->thread, NULL);
    printf("%s, %s %s, %s: %s\n", calls[wait->call], files[wait->file], wait->is_replaced ? "replaced" : "closed", events[wait->event], wait->said);
    if (wait->is_replaced) close(wait->one);
    if (wait->call == EPOLL) close(wait->set);
    close(wait->peer), close(wait->others[0]), close(wait->others[1]), close(wait->idle);
}

int main(void) {
    static struct wait waiting[EVENTS * CALLS * FILES * 2];
    int count = 0;
    alarm(200), signal(SIGPIPE, SIG_IGN), setvbuf(stdout, NULL, _IOLBF, 0);
    for (int event = 0; event < EVENTS; event++)
        for (int call = 0; call < CALLS; call++)
            for (int file = 0; file < FILES; file++)
                for (int is_replaced = 0; is_replaced < 2; is_replaced++) {
                    struct wait *wait = &waiting[count];
                    *wait = (struct wait){.call = call, .file = file, .is_replaced = is_replaced, .event = event};
                    // Such a wait never ends in the kernel.
                    if (is_of_one(wait) && is_replaced) continue;
                    begin(wait);
                    if (event != LATER) end(wait); else count++;
                }
    // Nothing has happened, so nobody is told that the number is open no more.
    until_looked_at();
    for (int at = 0; at < count; at++) end(&waiting[at]);
    fflush(stdout), _exit(0);
}
