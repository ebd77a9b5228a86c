// Reads and writes of nothing, of more than there are addresses, and of FIFOs that nobody has opened to write: all end at once, although poll(2)
// tells of nothing. The same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

static char bytes[8];
static volatile size_t all = SIZE_MAX; // The compiler is not to know.

static void say(const char *kind, const char *call, long result) {
    printf("%s, %s: %ld %s\n", kind, call, result, result < 0 ? strerrorname_np(errno) : "");
    errno = 0;
}

static void nothing(const char *kind, int reads, int writes) {
    struct iovec empty = {bytes, 0};
    say(kind, "read", read(reads, bytes, 0));
    say(kind, "readv", readv(reads, &empty, 1));
    say(kind, "readv of no buffers", readv(reads, &empty, 0));
    say(kind, "write", write(writes, bytes, 0));
    say(kind, "writev", writev(writes, &empty, 1));
}

static void too_much(const char *kind, int reads, int writes) {
    say(kind, "read of too much", read(reads, bytes, all));
    say(kind, "write of too much", write(writes, bytes, all));
}

static void both(const char *kind, int reads, int writes) {
    nothing(kind, reads, writes);
    too_much(kind, reads, writes);
}

static void pairs(void) {
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    const char *names[] = {"stream", "datagrams", "packets"};
    for (int i = 0; i < 3; i++) {
        int ends[2];
        socketpair(AF_UNIX, types[i], 0, ends);
        both(names[i], ends[0], ends[0]);
        // An empty datagram has come, and a read of nothing leaves it.
        say(names[i], "the other end", read(ends[1], bytes, 0));
        say(names[i], "the other end", recv(ends[1], bytes, 8, MSG_DONTWAIT));
        close(ends[0]), close(ends[1]);
    }
    int ends[2];
    pipe(ends);
    both("pipe", ends[0], ends[1]);
    close(ends[0]), close(ends[1]);
}

static void tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    nothing("no connection", client, client);
    bind(listener, (void *)&address, length), listen(listener, 1), getsockname(listener, (void *)&address, &length);
    nothing("listener", listener, -1);
    connect(client, (void *)&address, length);
    both("tcp", client, client);
    close(client), close(listener);
}

// Calls that have no room for a byte, of sockets with a time: TCP's end with their first wait, however that ends.
static void without_room(const char *kind, int fd) {
    struct iovec empty = {bytes, 0};
    struct msghdr no_room = {.msg_iov = &empty, .msg_iovlen = 1}, no_buffers = {0};
    struct mmsghdr list = {.msg_hdr = no_buffers};
    say(kind, "recv", recv(fd, bytes, 0, 0));
    say(kind, "recv of all", recv(fd, bytes, 0, MSG_WAITALL));
    say(kind, "recv that looks", recv(fd, bytes, 0, MSG_PEEK));
    say(kind, "recv that does not wait", recv(fd, bytes, 0, MSG_DONTWAIT));
    say(kind, "recvfrom", recvfrom(fd, NULL, 0, MSG_TRUNC, NULL, NULL));
    say(kind, "recvmsg", recvmsg(fd, &no_room, 0));
    say(kind, "recvmsg without buffers", recvmsg(fd, &no_buffers, MSG_WAITALL));
    say(kind, "recvmmsg", recvmmsg(fd, &list, 1, 0, NULL));
    say(kind, "recvmmsg of none", recvmmsg(fd, &list, 0, 0, NULL));
    say(kind, "sendmmsg of none", sendmmsg(fd, &list, 0, 0));
    say(kind, "read", read(fd, bytes, 0));
    say(kind, "send", send(fd, bytes, 0, 0));
    say(kind, "sendmsg", sendmsg(fd, &no_room, 0));
}

static pthread_t interrupted;
static volatile sig_atomic_t handled, is_over;
static void counts(int signal) { (void)signal, handled++; }
static void *interrupts(void *unused) {
    while (!is_over) pthread_kill(interrupted, SIGUSR1), sched_yield();
    return unused;
}

// A handler, restarting or not, ends a call of TCP's, and one of another kind only if it does not restart.
static void after_handlers(const char *kind, int fd) {
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        struct sigaction action = {.sa_handler = counts, .sa_flags = flags};
        struct iovec empty = {bytes, 0};
        struct msghdr no_room = {.msg_iov = &empty, .msg_iovlen = 1};
        pthread_t other;
        sigaction(SIGUSR1, &action, NULL), is_over = 0, interrupted = pthread_self();
        pthread_create(&other, NULL, interrupts, NULL);
        say(kind, "recv with handlers", recv(fd, bytes, 0, 0));
        say(kind, "recvmsg with handlers", recvmsg(fd, &no_room, 0));
        is_over = 1, pthread_join(other, NULL);
    }
    signal(SIGUSR1, SIG_IGN);
}

static void timed(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct timeval brief = {0, 20000}, ever = {0, 0};
    int listener = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0), ends[2];
    bind(listener, (void *)&address, length), listen(listener, 1), getsockname(listener, (void *)&address, &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    connect(client, (void *)&address, length);
    int server = accept(listener, NULL, NULL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    // Its own peer would read what it sends.
    bind(datagrams, (void *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof address), connect(datagrams, (void *)&address, length);
    int all[] = {client, ends[0], datagrams};
    const char *names[] = {"timed tcp", "timed stream", "timed datagrams"};
    for (int i = 0; i < 3; i++) {
        setsockopt(all[i], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief), setsockopt(all[i], SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
        if (i < 2) without_room(names[i], all[i]);
        else say(names[i], "recv", recv(all[i], bytes, 0, 0)), say(names[i], "read", read(all[i], bytes, 0));
    }
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &ever, sizeof ever);
    after_handlers("tcp", client);
    write(server, "some", 4), without_room("tcp with some", client), say("tcp with some", "recv of some", recv(client, bytes, 8, 0));
    shutdown(server, SHUT_WR), without_room("tcp at its end", client);
    for (int i = 0; i < 3; i++) close(all[i]);
    close(server), close(listener), close(ends[1]);
}

static void files(void) {
    int numbers = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0), folder = open("/", O_RDONLY), null = open("/dev/null", O_RDWR);
    both("eventfd", numbers, numbers);
    both("timerfd", timer, timer);
    both("folder", folder, folder);
    both("null", null, null);
    both("no file", -1, -1);
}

// A reader that has not waited for a writer, and waits from then on.
static int reader(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    fcntl(fd, F_SETFL, 0);
    return fd;
}

static void fifo(void) {
    char folder[] = "/tmp/abaca-empty-XXXXXX", path[64];
    snprintf(path, sizeof path, "%s/fifo", mkdtemp(folder));
    mkfifo(path, 0600);
    struct iovec list = {bytes, 8};
    int fd = reader(path), polls = open(path, O_RDONLY | O_NONBLOCK), ends[2];
    say("no writer", "read", read(fd, bytes, 8));
    say("no writer", "readv", readv(fd, &list, 1));
    say("no writer", "read that need not wait", read(polls, bytes, 8));
    pipe(ends);
    say("no writer", "splice", splice(fd, NULL, ends[1], NULL, 8, 0));
    both("fifo", fd, -1);
    FILE *file = fdopen(reader(path), "r");
    say("no writer", "fgetc", fgetc(file));
    say("no writer", "feof", feof(file));
    int writes = open(path, O_WRONLY);
    say("a writer", "read that need not wait", read(polls, bytes, 8));
    say("a writer", "write", write(writes, "ab", 2));
    say("a writer", "read", read(fd, bytes, 8));
    close(writes);
    say("gone", "read", read(fd, bytes, 8));
    fclose(file), close(fd), close(polls), close(ends[0]), close(ends[1]);
    unlink(path), rmdir(folder);
}

static void *calls(void *unused) {
    pairs(), tcp(), timed(), files(), fifo();
    return unused;
}

static void *unwanted(void *unused) { return unused; }

int main(void) {
    alarm(120), signal(SIGPIPE, SIG_IGN), setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, calls, NULL);
    pthread_join(thread, NULL);
    // With its guard it has more bytes than there are addresses.
    pthread_attr_t attributes;
    pthread_attr_init(&attributes), pthread_attr_setstacksize(&attributes, SIZE_MAX);
    printf("a stack of all addresses: %s\n", strerrorname_np(pthread_create(&thread, &attributes, unwanted, NULL)));
    pthread_attr_setstacksize(&attributes, 1 << 20), pthread_attr_setguardsize(&attributes, SIZE_MAX);
    printf("a guard of all addresses: %s\n", strerrorname_np(pthread_create(&thread, &attributes, unwanted, NULL)));
}
