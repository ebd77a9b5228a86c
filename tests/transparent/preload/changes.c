// Calls that wait while another thread changes what they wait for, or the mode and the time of the file: they end, or go on, as on threads.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "waits.h"

#define SAY(what) (errno = 0, say(#what, (long)(what)))
static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : ""); }
static pthread_t start(void *(*routine)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, argument)) exit(3);
    return thread;
}
// The call's result, or the negative number of its error.
static long join(pthread_t thread) {
    void *value = NULL;
    if (pthread_join(thread, &value)) exit(4);
    return (long)value;
}
static void *result(long value) { return (void *)(value < 0 ? -(long)errno : value); }
static void *number(int value) { return (void *)(long)value; }
static int of(void *argument) { return (int)(long)argument; }

// System V's: what is there for a moment only is for who waits, and the kernel counts who does.
static void *takes(void *set) {
    struct sembuf take = {0, -1, 0};
    return result(semop(of(set), &take, 1));
}
static void *awaits_zero(void *set) {
    struct sembuf zero = {0, 0, 0};
    struct timespec long_time = {100, 0};
    return result(semtimedop(of(set), &zero, 1, &long_time));
}
static void *awaits_first(void *set) {
    // The second would fail at once, if it were its turn.
    struct sembuf both[2] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}};
    return result(semop(of(set), both, 2));
}
static void until_counted(int set, int count, int is_zero) {
    while (semctl(set, 0, is_zero ? GETZCNT : GETNCNT) != count) sched_yield();
}
static void semaphores(void) {
    int set = semget(IPC_PRIVATE, 2, 0600);
    pthread_t one = start(takes, number(set)), two = start(takes, number(set));
    until_counted(set, 2, 0);
    struct sembuf both = {0, 2, 0}, take = {0, -1, IPC_NOWAIT};
    SAY(semop(set, &both, 1)), SAY(semop(set, &take, 1)), SAY(join(one)), SAY(join(two));
    semctl(set, 0, SETVAL, 1), one = start(awaits_zero, number(set)), until_counted(set, 1, 1);
    SAY(semctl(set, 0, SETVAL, 0)), SAY(semctl(set, 0, SETVAL, 1)), SAY(join(one));
    semctl(set, 0, SETVAL, 0), one = start(awaits_first, number(set)), until_counted(set, 1, 0);
    SAY(semctl(set, 0, SETVAL, 1)), SAY(join(one)), SAY(semctl(set, 0, GETVAL)), SAY(semctl(set, 0, SETVAL, 0));
    one = start(takes, number(set)), until_counted(set, 1, 0);
    SAY(semctl(set, 0, SETVAL, 1)), SAY(semctl(set, 0, IPC_RMID)), SAY(join(one));
    set = semget(IPC_PRIVATE, 1, 0600), one = start(takes, number(set)), until_counted(set, 1, 0);
    SAY(semctl(set, 0, IPC_RMID)), SAY(join(one) == -EIDRM);
}
struct message { long kind; char bytes[8]; };
static void *receives(void *queue) {
    struct message message;
    return result(msgrcv(of(queue), &message, sizeof message.bytes, 0, 0));
}
static void messages(void) {
    struct message message = {1, "message"};
    int queue = msgget(IPC_PRIVATE, 0600);
    pthread_t thread = start(receives, number(queue));
    until_so_many_in(SYS_msgrcv, 1);
    SAY(msgsnd(queue, &message, sizeof message.bytes, 0)), SAY(msgctl(queue, IPC_RMID, NULL)), SAY(join(thread));
    queue = msgget(IPC_PRIVATE, 0600), thread = start(receives, number(queue)), until_so_many_in(SYS_msgrcv, 1);
    SAY(msgctl(queue, IPC_RMID, NULL)), SAY(join(thread) == -EIDRM);
}

// A FIFO whose other end is open for a moment only.
static char path[] = "/tmp/changes.XXXXXX", fifo[64];
static void *opens(void *flags) {
    int end = open(fifo, of(flags));
    if (end < 0) return result(end);
    int mode = fcntl(end, F_GETFL) & (O_ACCMODE | O_NONBLOCK);
    close(end);
    return number(mode);
}
static void fifos(void) {
    if (!mkdtemp(path)) exit(5);
    snprintf(fifo, sizeof fifo, "%s/fifo", path), mkfifo(fifo, 0600);
    for (int is_writer = 0; is_writer < 2; is_writer++) {
        pthread_t thread = start(opens, number(is_writer ? O_WRONLY : O_RDONLY));
        until_so_many_in(SYS_openat, 1);
        SAY(close(open(fifo, is_writer ? O_RDONLY | O_NONBLOCK : O_RDWR))), SAY(join(thread));
    }
    unlink(fifo), rmdir(path);
}

// An attempt to connect, to a listener without room, that is shut down.
static struct sockaddr_in listener;
static void *connects(void *end) { return result(connect(of(end), (void *)&listener, sizeof listener)); }
static void attempts(void) {
    int listens = socket(AF_INET, SOCK_STREAM, 0), ends[4];
    socklen_t length = sizeof listener;
    listener.sin_family = AF_INET, listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listens, (void *)&listener, sizeof listener), listen(listens, 0), getsockname(listens, (void *)&listener, &length);
    for (int at = 0; at < 4; at++) ends[at] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), connect(ends[at], (void *)&listener, sizeof listener);
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        int end = socket(AF_INET, SOCK_STREAM, 0);
        pthread_t thread = start(connects, number(end));
        struct tcp_info about = {0};
        do length = sizeof about, getsockopt(end, IPPROTO_TCP, TCP_INFO, &about, &length);
        while (about.tcpi_state != TCP_SYN_SENT);
        if (how == SHUT_RD) {
            // It goes on; and another one cannot begin.
            SAY(shutdown(end, SHUT_RD));
            SAY(fcntl(end, F_SETFL, O_NONBLOCK)), SAY(connect(end, (void *)&listener, sizeof listener)), SAY(shutdown(end, SHUT_RDWR));
            SAY(join(thread)), close(end);
            continue;
        }
        SAY(shutdown(end, how)), SAY(join(thread) == -ECONNRESET);
        // Nothing of the attempt is left.
        SAY(fcntl(end, F_SETFL, O_NONBLOCK)), SAY(connect(end, (void *)&listener, sizeof listener)), close(end);
    }
    for (int at = 0; at < 4; at++) close(ends[at]);
    close(listens);
}

// A copy from a socket that is shut down, and to one that is, or whose peer closes: without a signal, since it waits.
static int from, to;
static void *splices(void *unused) { return (void)unused, result(splice(from, NULL, to, NULL, 100, 0)); }
static void *sends_file(void *unused) { return (void)unused, result(sendfile(to, from, NULL, 100)); }
static volatile sig_atomic_t signals;
static void counts(int signal) { (void)signal, signals++; }
static void copies(void) {
    int pair[2], pipes[2], end;
    char byte = 'x';
    signal(SIGPIPE, counts);
    for (int is_stream = 0; is_stream < 3; is_stream++) {
        for (int way = 0; way < 4; way++) {
            if (socketpair(AF_UNIX, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0, pair) || pipe(pipes)) exit(6);
            from = is_stream == 2 ? open("/proc/self/exe", O_RDONLY) : is_stream ? pipes[0] : pair[0], to = is_stream ? pair[0] : pipes[1];
            if (!is_stream && way > 1) continue;
            if (is_stream && write(pipes[1], &byte, 1) != 1) exit(6);
            while (is_stream && send(pair[0], &byte, 1, MSG_DONTWAIT) == 1) {}
            pthread_t thread = start(is_stream == 2 ? sends_file : splices, NULL);
            until_waiting(&thread, 1, is_stream == 2 ? SYS_sendfile : SYS_splice), signals = 0;
            if (!is_stream) end = shutdown(pair[0], way ? SHUT_RDWR : SHUT_RD);
            else end = way == 3 ? close(pair[1]) : shutdown(pair[way == 2], way == 0 ? SHUT_WR : way == 1 ? SHUT_RDWR : SHUT_RD);
            printf("copy %d %d: %d, %ld, %d signals\n", is_stream, way, end, join(thread), (int)signals);
            close(pair[0]), close(pipes[0]), close(pipes[1]);
            if (way < 3 || !is_stream) close(pair[1]);
        }
    }
    signal(SIGPIPE, SIG_IGN);
}

// A terminal whose other end is closed.
static void *reads(void *end) {
    char bytes[8];
    return result(read(of(end), bytes, sizeof bytes));
}
static void terminals(void) {
    int master, slave;
    if (openpty(&master, &slave, NULL, NULL, NULL)) exit(7);
    pthread_t thread = start(reads, number(slave));
    until_waiting(&thread, 1, SYS_read), close(master);
    SAY(join(thread) == -EIO), close(slave);
}

// A time, or a mode, that is set while a call waits is none of that call's.
static void *accepts(void *end) {
    int made = accept(of(end), NULL, NULL);
    return made < 0 ? result(made) : number(1);
}
static void *sends(void *end) { return result(send(of(end), "x", 1, MSG_NOSIGNAL)); }
static void *takes_message(void *queue) {
    char bytes[8];
    return result(mq_receive(of(queue), bytes, sizeof bytes, NULL));
}
static void times_and_modes(void) {
    enum { ENDS = 4 };
    int pairs[ENDS][2], at, queues[2], other;
    char name[32], byte = 'x';
    pthread_t threads[ENDS + 2];
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8}, errors = {.mq_flags = O_NONBLOCK};
    struct timeval brief = {0, 10000};
    struct sockaddr_un { sa_family_t family; char name[108]; } address = {.family = AF_UNIX};
    socklen_t length = sizeof address;
    for (at = 0; at < ENDS; at++) if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[at])) exit(8);
    // One is full, and one listens.
    while (send(pairs[1][0], &byte, 1, MSG_DONTWAIT) == 1);
    close(pairs[2][0]), pairs[2][0] = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(pairs[2][0], (void *)&address, sizeof(sa_family_t)), getsockname(pairs[2][0], (void *)&address, &length), listen(pairs[2][0], 1);
    for (at = 0; at < 2; at++) {
        snprintf(name, sizeof name, "/changes-%d-%d", (int)getpid(), at);
        if ((queues[at] = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes)) < 0) exit(8);
        if (at == 1) other = mq_open(name, O_RDWR);
        mq_unlink(name);
    }
    threads[0] = start(reads, number(pairs[0][0])), threads[1] = start(reads, number(pairs[3][0]));
    threads[2] = start(sends, number(pairs[1][0])), threads[3] = start(accepts, number(pairs[2][0]));
    threads[4] = start(takes_message, number(queues[0])), threads[5] = start(takes_message, number(queues[1]));
    until_waiting(threads, 2, SYS_read), until_waiting(threads + 2, 1, SYS_sendto), until_waiting(threads + 3, 1, SYS_accept);
    until_waiting(threads + 4, 2, SYS_mq_timedreceive);
    for (at = 0; at < ENDS; at++) {
        SAY(setsockopt(pairs[at][0], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief));
        SAY(setsockopt(pairs[at][0], SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief));
    }
    SAY(fcntl(pairs[3][0], F_SETFL, O_NONBLOCK)), SAY(mq_setattr(queues[0], &errors, NULL)), SAY(mq_close(queues[1]));
    until_looked_at();
    SAY(write(pairs[0][1], &byte, 1)), SAY(join(threads[0]));
    while (recv(pairs[1][1], name, sizeof name, MSG_DONTWAIT) > 0);
    SAY(join(threads[2])), SAY(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, length)), SAY(join(threads[3]));
    SAY(write(pairs[3][1], &byte, 1)), SAY(join(threads[1]));
    SAY(mq_send(queues[0], &byte, 1, 0)), SAY(join(threads[4])), SAY(mq_send(other, &byte, 1, 0)), SAY(join(threads[5]));
    // The next call's it is.
    SAY(join(start(reads, number(pairs[0][0])))), SAY(join(start(takes_message, number(queues[0]))));
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    semaphores(), messages(), fifos(), attempts(), copies(), terminals(), times_and_modes();
    return 0;
}
