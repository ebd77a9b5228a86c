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
    pairs(), tcp(), files(), fifo();
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
