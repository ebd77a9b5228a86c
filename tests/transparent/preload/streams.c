// Sockets on which a blocking call takes more, does more, or ends where a first attempt that does not wait would not: SO_RCVLOWAT, MSG_FASTOPEN,
// descriptors that come with a later part of what MSG_WAITALL waits for, datagrams after shutdown(2), connections that break after a part.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

static struct sockaddr_in any(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return address;
}
static int bound(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t bytes = sizeof *address;
    *address = any();
    bind(fd, (void *)address, bytes), getsockname(fd, (void *)address, &bytes);
    return fd;
}
static void connected(int ends[2]) {
    struct sockaddr_in address;
    int listener = bound(&address), one = 1;
    listen(listener, 5);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(ends[0], (void *)&address, sizeof address);
    ends[1] = accept(listener, NULL, NULL);
    setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    close(listener);
}

static void *sends_more(void *to) {
    SAY(write((long)to, "and twelve..", 12));
    return NULL;
}

// Four bytes are there, ten are wanted, twelve more come.
static void waits_for_least(int is_tcp) {
    int ends[2], ten = 10;
    char buffer[100];
    struct timeval soon = {0, 10000};
    if (is_tcp) connected(ends);
    else socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_RCVLOWAT, &ten, sizeof ten));
    for (int how = is_tcp ? 0 : 1; how < 7; how++) {
        struct iovec list[2] = {{buffer, 3}, {buffer + 3, 90}};
        struct msghdr message = {.msg_iov = list, .msg_iovlen = 2};
        pthread_t other;
        write(ends[1], "four", 4);
        pthread_create(&other, NULL, sends_more, (void *)(long)ends[1]);
        switch (how) {
        case 0: SAY(recv(ends[0], buffer, 100, MSG_PEEK)); break;
        case 1: SAY(read(ends[0], buffer, 100)); break;
        case 2: SAY(recv(ends[0], buffer, 100, 0)); break;
        case 3: SAY(recvfrom(ends[0], buffer, 100, 0, NULL, NULL)); break;
        case 4: SAY(readv(ends[0], list, 2)); break;
        case 5: SAY(recvmsg(ends[0], &message, 0)); break;
        case 6: SAY(recv(ends[0], buffer, 4, 0)); break;
        }
        pthread_join(other, NULL);
        SAY(recv(ends[0], buffer, 100, MSG_DONTWAIT));
    }
    // A limit, and the end, end the wait with what there is.
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    write(ends[1], "four", 4);
    SAY(recv(ends[0], buffer, 100, 0)), SAY(recv(ends[0], buffer, 100, 0)), SAY(errno == EAGAIN);
    write(ends[1], "five.", 5), shutdown(ends[1], SHUT_WR);
    SAY(read(ends[0], buffer, 100)), SAY(read(ends[0], buffer, 100));
    close(ends[0]), close(ends[1]);
}

static void *counts(void *listener) {
    for (int round = 0; round < 4; round++) {
        int fd = accept((long)listener, NULL, NULL);
        char buffer[100];
        long all = 0, some;
        while ((some = read(fd, buffer, sizeof buffer)) > 0) all += some;
        printf("has come: %ld\n", all);
        close(fd);
    }
    return NULL;
}

// The socket is connected by what is sent.
static void opens_by_sending(void) {
    struct sockaddr_in address, nobody;
    int listener = bound(&address), unused = bound(&nobody), queue = 5;
    char buffer[70] = "";
    pthread_t server;
    setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue);
    listen(listener, 5);
    pthread_create(&server, NULL, counts, (void *)(long)listener);
    for (int how = 0; how < 4; how++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct iovec list = {buffer, 70};
        struct mmsghdr message = {.msg_hdr = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &list, .msg_iovlen = 1}};
        switch (how) {
        case 0: SAY(sendto(fd, buffer, 70, MSG_FASTOPEN, (void *)&address, sizeof address)); break;
        case 1: SAY(sendmsg(fd, &message.msg_hdr, MSG_FASTOPEN)); break;
        case 2: SAY(sendmmsg(fd, &message, 1, MSG_FASTOPEN)); break;
        case 3: SAY(sendto(fd, buffer, 70, MSG_FASTOPEN, (void *)&address, sizeof address)), SAY(send(fd, buffer, 30, 0)); break;
        }
        close(fd);
    }
    pthread_join(server, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAY(sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&nobody, sizeof nobody)), SAY(errno == ECONNREFUSED);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SAY(sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&nobody, sizeof nobody)), SAY(errno == EINPROGRESS);
    close(fd), close(listener), close(unused);
}

static int passed;
static void *sends_a_descriptor(void *to) {
    char room[CMSG_SPACE(sizeof(int))] = "";
    struct iovec list = {"with", 4};
    struct msghdr message = {.msg_iov = &list, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    SAY(sendmsg((long)to, &message, 0));
    return NULL;
}

static void takes_a_descriptor(void) {
    int ends[2], pipes[2];
    char buffer[30], byte = 0, room[CMSG_SPACE(sizeof(int))];
    struct iovec list = {buffer, 20};
    struct msghdr message = {.msg_iov = &list, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    pthread_t other;
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    if (pipe(pipes)) return;
    passed = pipes[1];
    write(ends[1], "four", 4);
    pthread_create(&other, NULL, sends_a_descriptor, (void *)(long)ends[1]);
    // It is the last part, although more was wanted.
    SAY(recvmsg(ends[0], &message, MSG_WAITALL)), SAY(message.msg_controllen == sizeof room), SAY(message.msg_flags & MSG_CTRUNC);
    pthread_join(other, NULL);
    if (message.msg_controllen) {
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        SAY(write(fd, "!", 1)), SAY(read(pipes[0], &byte, 1)), SAY(byte);
        close(fd);
    }
    close(ends[0]), close(ends[1]), close(pipes[0]), close(pipes[1]);
}

static int shut;
static void *waits_for_a_datagram(void *how) {
    char buffer[10];
    struct sockaddr_in from;
    socklen_t bytes = sizeof from;
    struct iovec list = {buffer, 10};
    struct msghdr message = {.msg_name = &from, .msg_namelen = bytes, .msg_iov = &list, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{message}, {message}};
    switch ((long)how) {
    case 0: SAY(recv(shut, buffer, 10, 0)); break;
    case 1: SAY(recvfrom(shut, buffer, 10, 0, (void *)&from, &bytes)), SAY(bytes); break;
    case 2: SAY(recvmsg(shut, &message, 0)), SAY(message.msg_namelen); break;
    case 3: SAY(read(shut, buffer, 10)); break;
    case 4: SAY(readv(shut, &list, 1)); break;
    case 5: SAY(recvmmsg(shut, messages, 2, 0, NULL)), SAY(messages[0].msg_len); break;
    }
    return NULL;
}

// A thread that waits for datagrams is ended by a shutdown, which is an error for a socket without a peer. Whether it waits by then does not matter.
static void ends_by_a_shutdown(void) {
    for (int kind = 0; kind < 4; kind++) {
        for (long how = 0; how < 6; how++) {
            int ends[2] = {-1, -1};
            struct sockaddr_in address = any();
            char buffer[10];
            pthread_t thread;
            if (kind < 2) {
                shut = socket(AF_INET, SOCK_DGRAM, 0);
                bind(shut, (void *)&address, sizeof address);
                socklen_t bytes = sizeof address;
                if (kind == 1) getsockname(shut, (void *)&address, &bytes), connect(shut, (void *)&address, bytes);
            } else {
                socketpair(AF_UNIX, kind == 2 ? SOCK_DGRAM : SOCK_SEQPACKET, 0, ends);
                shut = ends[0];
            }
            pthread_create(&thread, NULL, waits_for_a_datagram, (void *)how);
            for (int i = 0; i < 10; i++) sched_yield();
            SAY(shutdown(shut, SHUT_RD));
            pthread_join(thread, NULL);
            SAY(recv(shut, buffer, 10, MSG_DONTWAIT));
            close(shut), close(ends[1]);
        }
    }
}

static char large[32 << 20];
static int broken[2];
static volatile int signals;
static void counts_signals(int signal) { (void)signal, signals++; }
static void *breaks(void *how) {
    char byte;
    struct linger none = {1, 0};
    // The other one has begun, and there has been no room for a while: it waits.
    SAY(recv(broken[1], &byte, 1, MSG_PEEK));
    for (int looks = 0; looks < 200; looks++) {
        struct pollfd room = {.fd = broken[0], .events = POLLOUT};
        if (poll(&room, 1, 0)) looks = 0;
        sched_yield();
    }
    if ((long)how == 0) setsockopt(broken[1], SOL_SOCKET, SO_LINGER, &none, sizeof none);
    if ((long)how < 2) close(broken[1]);
    else shutdown(broken[0], SHUT_WR);
    return NULL;
}

// A call that has sent a part returns it. The error, and the signal, are those of the next one.
static void breaks_after_a_part(void) {
    struct sigaction action = {.sa_handler = counts_signals};
    sigaction(SIGPIPE, &action, NULL);
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        for (long how = 0; how < 3; how++) {
            for (int call = 0; call < 4; call++) {
                struct iovec list[2] = {{large, 16 << 20}, {large, 16 << 20}};
                struct msghdr message = {.msg_iov = list, .msg_iovlen = 2};
                pthread_t thread;
                long sent = 0;
                signals = 0;
                if (is_tcp) connected(broken);
                else socketpair(AF_UNIX, SOCK_STREAM, 0, broken);
                pthread_create(&thread, NULL, breaks, (void *)how);
                switch (call) {
                case 0: sent = send(broken[0], large, sizeof large, 0); break;
                case 1: sent = write(broken[0], large, sizeof large); break;
                case 2: sent = writev(broken[0], list, 2); break;
                case 3: sent = sendmsg(broken[0], &message, 0); break;
                }
                SAY(sent > 0 && sent < (long)sizeof large), SAY(signals);
                SAY(send(broken[0], large, 1, 0)), SAY(errno), SAY(signals);
                SAY(send(broken[0], large, 1, 0)), SAY(errno), SAY(signals);
                pthread_join(thread, NULL);
                close(broken[0]);
                if (how == 2) close(broken[1]);
            }
        }
    }
}

static int reached;
static void *waits_for_room(void *end) {
    __atomic_store_n(&reached, 1, __ATOMIC_SEQ_CST);
    long sent = send((long)end, large, 1 << 16, 0);
    return (void *)(sent < 0 ? (long)errno : -sent);
}
// Who waits for room in a Unix socket, and has sent nothing, is told of the end, and of unread bytes that the other one has left, but by no signal.
static void ends_without_a_signal(void) {
    struct sigaction action = {.sa_handler = counts_signals};
    sigaction(SIGPIPE, &action, NULL);
    for (int how = 0; how < 4; how++) {
        long error = 0;
        int is_quiet = 0;
        // A thread that does not wait yet gets the signal: then once more.
        for (int tries = 0; tries < 50 && !is_quiet; tries++) {
            int ends[2];
            pthread_t thread;
            void *result;
            socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
            while (send(ends[0], large, 1 << 16, MSG_DONTWAIT) > 0) continue;
            signals = reached = 0;
            pthread_create(&thread, NULL, waits_for_room, (void *)(long)ends[0]);
            while (!__atomic_load_n(&reached, __ATOMIC_SEQ_CST)) sched_yield();
            for (int looks = 0; looks < 200 << tries % 6; looks++) sched_yield();
            switch (how) {
            case 0: shutdown(ends[0], SHUT_WR); break;
            case 1: shutdown(ends[0], SHUT_RDWR); break;
            case 2: shutdown(ends[1], SHUT_RD); break;
            case 3: close(ends[1]); break;
            }
            pthread_join(thread, &result);
            error = (long)result, is_quiet = signals == 0;
            close(ends[0]);
            if (how < 3) close(ends[1]);
        }
        SAY(error), SAY(is_quiet);
    }
}

static void *resets(void *other) {
    struct linger none = {1, 0};
    for (int i = 0; i < 10; i++) sched_yield();
    setsockopt((long)other, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close((long)other);
    return NULL;
}
static void breaks_after_bytes(void) {
    for (int call = 0; call < 3; call++) {
        int ends[2], error;
        socklen_t bytes = sizeof error;
        char buffer[10];
        struct iovec list = {buffer, 10};
        struct msghdr message = {.msg_iov = &list, .msg_iovlen = 1};
        pthread_t thread;
        connected(ends);
        write(ends[1], "abc", 3);
        pthread_create(&thread, NULL, resets, (void *)(long)ends[1]);
        if (call == 1) SAY(recvmsg(ends[0], &message, MSG_WAITALL));
        else SAY(recv(ends[0], buffer, 10, MSG_WAITALL));
        if (call == 2) SAY(getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error, &bytes)), SAY(error);
        SAY(recv(ends[0], buffer, 10, 0)), SAY(errno), SAY(recv(ends[0], buffer, 10, 0));
        pthread_join(thread, NULL);
        close(ends[0]);
    }
}

// A peek by a list of buffers that wants all.
static void peeks_at_all(void) {
    int ends[2];
    char buffer[20] = "";
    struct iovec list[2] = {{buffer, 3}, {buffer + 3, 13}};
    struct msghdr message = {.msg_iov = list, .msg_iovlen = 2};
    pthread_t other;
    connected(ends);
    write(ends[1], "four", 4);
    pthread_create(&other, NULL, sends_more, (void *)(long)ends[1]);
    SAY(recvmsg(ends[0], &message, MSG_PEEK | MSG_WAITALL)), SAY(memcmp(buffer, "fourand twelve..", 16));
    pthread_join(other, NULL), SAY(recv(ends[0], buffer, sizeof buffer, 0));
    close(ends[0]), close(ends[1]);
}

// An attempt to connect whose time is over goes on, and the next one says so when its own is.
static void connects_again(void) {
    struct sockaddr_in address;
    struct timeval brief = {0, 20000};
    int listener = bound(&address), fds[16], count = 0, result = 0;
    listen(listener, 0);
    while (count < 16 && result == 0) {
        fds[count] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fds[count], SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
        result = connect(fds[count++], (void *)&address, sizeof address);
    }
    SAY(result), SAY(errno == EINPROGRESS);
    SAY(connect(fds[count - 1], (void *)&address, sizeof address)), SAY(errno == EALREADY);
    while (count) close(fds[--count]);
    close(listener);
}

static void *all(void *unused) {
    breaks_after_a_part(), breaks_after_bytes();
    ends_by_a_shutdown();
    ends_without_a_signal();
    waits_for_least(1), waits_for_least(0);
    opens_by_sending();
    takes_a_descriptor();
    peeks_at_all(), connects_again();
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, all, NULL);
    pthread_join(thread, NULL);
    return 0;
}
