// A call that accepts takes the number for its connection before it waits: where the process has none left it ends at once, and who connects stays in the queue.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const char *what, long result) {
    if (result >= 0) printf("%s: %s\n", what, "a number");
    else printf("%s: %s\n", what, strerrorname_np(errno));
}
#define SAY(what) say(#what, (long)(what))

enum { MOST = 4096 };
static int fillers[MOST], filled;
static void fill(void) {
    while (filled < MOST && (fillers[filled] = dup(0)) >= 0) filled++;
    if (errno != EMFILE) exit(3);
}
static void leave_one(void) { close(fillers[--filled]); }

static void tries(const char *kind, int family, struct sockaddr *address, socklen_t bytes) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    int listener = socket(family, SOCK_STREAM, 0), other = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), none = socket(family, SOCK_STREAM, 0);
    int client = socket(family, SOCK_STREAM, 0), another = socket(family, SOCK_STREAM, 0);
    printf("%s\n", kind);
    if (bind(listener, address, bytes) || bind(other, address, bytes) || listen(listener, 4) || listen(other, 4)) exit(4);
    length = sizeof from, getsockname(listener, (void *)&from, &length);
    fill();
    // Nobody has connected.
    SAY(accept(listener, NULL, NULL)), SAY(accept4(listener, NULL, NULL, SOCK_CLOEXEC)), SAY(accept(other, NULL, NULL)), SAY(accept(none, NULL, NULL));
    SAY(accept(-1, NULL, NULL)), SAY(accept4(listener, NULL, NULL, 1)), SAY(accept(0, NULL, NULL));
    if (connect(client, (void *)&from, length)) exit(5);
    SAY(accept(listener, NULL, NULL));
    leave_one();
    int made = accept(listener, NULL, NULL);
    SAY(made), SAY(accept(listener, NULL, NULL)), SAY(write(client, "x", 1)), close(made);
    SAY(accept(other, NULL, NULL));
    if (connect(another, (void *)&from, length)) exit(5);
    made = accept(listener, NULL, NULL), SAY(made), close(made);
    while (filled) leave_one();
    close(listener), close(other), close(none), close(client), close(another);
}

static void *accepts(void *unused) {
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr local = {.sa_family = AF_UNIX};
    tries("tcp", AF_INET, (void *)&tcp, sizeof tcp), tries("unix", AF_UNIX, &local, sizeof(sa_family_t));
    return unused;
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit), limit.rlim_cur = 300, setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0), close(0), open("/dev/null", O_RDONLY);
    pthread_t thread;
    if (pthread_create(&thread, NULL, accepts, NULL)) exit(6);
    pthread_join(thread, NULL);
    accepts(NULL);
    fflush(stdout);
}
