// How calls that wait end: interrupted by a handler, with and without SA_RESTART, with their descriptor closed under them, and by the time of
// a socket. The same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include "waits.h"

static char bytes[1 << 20], folder[] = "/tmp/ways-XXXXXX", path[4][64];
static struct iovec all = {bytes, sizeof bytes}, one = {bytes, 1};
static const struct timespec hour = {3600, 0};
static pthread_t waiter;
static volatile int handled, marked, ended, value, error;
static volatile long number;
static sem_t begun, never;

// What a call waits with. Whoever lets it go on uses the other end.
static int here, there, queue, set;
static mqd_t messages;
static FILE *file;
static pid_t child;

static void handle(int signal) { if (signal == SIGUSR2) marked++; else handled++; }
static void moment(int us) { nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL); }
static struct timespec later(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += 3600;
    return t;
}
static void fail(const char *what) { printf("%s: %s\n", what, strerror(errno)), exit(3); }
#define MUST(what) ({ long got = (long)(what); if (got < 0) fail(#what); got; })

static void fill(int to) {
    int mode = fcntl(to, F_GETFL);
    fcntl(to, F_SETFL, mode | O_NONBLOCK);
    for (size_t part = 4096; part; part /= 2)
        while (write(to, bytes, part) > 0) {}
    fcntl(to, F_SETFL, mode);
}
static void drain(int from) {
    int mode = fcntl(from, F_GETFL);
    fcntl(from, F_SETFL, mode | O_NONBLOCK);
    // Until the other has moved all that it wants to.
    for (int i = 0; i < 20000 && !ended; i++)
        if (read(from, bytes, sizeof bytes) <= 0) moment(500);
    fcntl(from, F_SETFL, mode);
}

// What is there before a call.
static void empty_pipe(void) { int ends[2]; MUST(pipe(ends)), here = ends[0], there = ends[1]; }
static void full_pipe(void) { int ends[2]; MUST(pipe(ends)), here = ends[1], there = ends[0], fill(here); }
static void socket_pair(void) { int ends[2]; MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)), here = ends[0], there = ends[1]; }
static void full_sockets(void) { socket_pair(), fill(here); }
// Of what is wanted, or to be written, a part is there.
static void half_sockets(void) { socket_pair(), MUST(write(there, "ab", 2)); }
static void half_pipe(void) { full_pipe(), MUST(read(there, bytes, 8192)); }
static void half_full_sockets(void) { full_sockets(), MUST(read(there, bytes, 100000)); }
static void datagrams(void) {
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)), here = ends[0], there = ends[1];
    while (send(here, bytes, 1, MSG_DONTWAIT) > 0) {}
}
static struct sockaddr_un named(const char *name) {
    struct sockaddr_un address = {AF_UNIX};
    return strcpy(address.sun_path, name), address;
}
static void addressed(void) {
    struct sockaddr_un address = named(path[3]);
    unlink(path[3]), here = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), there = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(bind(there, (void *)&address, sizeof address));
    while (sendto(here, bytes, 1, MSG_DONTWAIT, (void *)&address, sizeof address) > 0) {}
}
static void full_for_a_time(void) {
    full_sockets();
    MUST(setsockopt(here, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0, 20000}, sizeof(struct timeval)));
}
static void event(void) { here = there = MUST(eventfd(0, 0)); there = dup(here); }
static void full_event(void) { event(), eventfd_write(here, UINT64_MAX - 1); }
static void listener(void) {
    struct sockaddr_un address = named(path[0]);
    unlink(path[0]);
    here = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(here, (void *)&address, sizeof address)), MUST(listen(here, 0));
    there = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}
static void full_listener(void) {
    struct sockaddr_un address = named(path[0]);
    listener();
    int other = there;
    for (fcntl(other, F_SETFL, O_NONBLOCK); !connect(other, (void *)&address, sizeof address);)
        other = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    close(other);
    there = here, here = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}
static void message_queue(void) {
    char name[64];
    snprintf(name, sizeof name, "/ways-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 64};
    messages = here = MUST(mq_open(name, O_RDWR | O_CREAT, 0600, &attributes)), there = dup(here), mq_unlink(name);
}
static void full_message_queue(void) { message_queue(), MUST(mq_send(messages, "x", 1, 0)); }
static void system_v(void) { queue = MUST(msgget(IPC_PRIVATE, 0600)); }
static void full_system_v(void) {
    system_v();
    while (!msgsnd(queue, &(struct { long kind; char text[4096]; }){1}, 4096, IPC_NOWAIT)) {}
}
static void semaphores(void) { queue = MUST(semget(IPC_PRIVATE, 1, 0600)); }
static void child_that_stays(void) {
    empty_pipe();
    if (!(child = fork())) _exit(read(here, bytes, 1) == 1 ? 0 : 7);
}
static void locked_file(void) {
    here = MUST(open(path[1], O_RDWR | O_CREAT, 0600));
    int ends[2];
    MUST(pipe(ends)), there = ends[1];
    if (!(child = fork())) {
        struct flock lock = {.l_type = F_WRLCK};
        int own = open(path[1], O_RDWR);
        if (flock(own, LOCK_EX) || fcntl(own, F_SETLK, &lock) || write(ends[1], "x", 1) != 1) _exit(3);
        for (;;) pause();
    }
    MUST(read(ends[0], bytes, 1)), close(ends[0]);
}
static void reads_by_stdio(void) { empty_pipe(), file = fdopen(here, "r"); }
static void writes_by_stdio(void) { full_pipe(), file = fdopen(here, "w"), setvbuf(file, NULL, _IOFBF, 16); }
static void full_buffer(void) { writes_by_stdio(), fputs("some", file); }
static void epoll_set(void) {
    empty_pipe(), set = MUST(epoll_create1(0));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, here, &(struct epoll_event){EPOLLIN}));
}
static void epoll_alone(void) {
    epoll_set();
    queue = here, here = set;
}
static void nothing(void) {}

// What lets it go on.
// Nobody may be there yet, if the call has not begun.
static void give(void) { if (write(there, "abcdefgh", 8) < 0 && errno != EPIPE) fail("give"); }
static void take(void) { drain(there); }
static void give_event(void) { eventfd_write(there, 5); }
static void take_event(void) { eventfd_t number; eventfd_read(there, &number); }
static void call_it(void) {
    struct sockaddr_un address = named(path[0]);
    if (connect(there, (void *)&address, sizeof address) && errno != ECONNREFUSED) fail("call");
}
static void answer_it(void) { for (fcntl(there, F_SETFL, O_NONBLOCK); !ended; moment(500)) accept(there, NULL, NULL); }
static void give_message(void) { MUST(mq_send(there, "message", 7, 0)); }
static void take_message(void) { MUST(mq_receive(there, bytes, 64, NULL)); }
static void give_system_v(void) { MUST(msgsnd(queue, &(struct { long kind; char text[4]; }){1, "abc"}, 4, 0)); }
static void take_system_v(void) { for (; !ended; moment(500)) msgrcv(queue, &(struct { long kind; char text[4096]; }){0}, 4096, 0, IPC_NOWAIT); }
static void give_semaphore(void) { MUST(semop(queue, &(struct sembuf){0, 1, 0}, 1)); }
static void end_child(void) { MUST(write(there, "x", 1)); }
static void kill_child(void) { MUST(kill(child, SIGKILL)), MUST(waitpid(child, NULL, 0)); }
static void post(void) { sem_post(&never); }
static void open_to_read(void) { there = MUST(open(path[2], O_RDONLY | O_NONBLOCK)); }
static void open_to_write(void) { there = MUST(open(path[2], O_WRONLY)); }

#define CALL(name, ...) static long call_##name(void) { return ({ __VA_ARGS__; }); }
CALL(read, read(here, bytes, 4))
CALL(readv, readv(here, &one, 1))
CALL(preadv2, preadv2(here, &one, 1, -1, 0))
CALL(preadv64v2, preadv64v2(here, &one, 1, -1, 0))
CALL(write, write(here, bytes, 100000))
CALL(writev, writev(here, &(struct iovec){bytes, 100000}, 1))
CALL(pwritev2, pwritev2(here, &(struct iovec){bytes, 100000}, 1, -1, 0))
CALL(pwritev64v2, pwritev64v2(here, &(struct iovec){bytes, 100000}, 1, -1, 0))
CALL(recv, recv(here, bytes, 4, 0))
CALL(recvfrom, recvfrom(here, bytes, 4, 0, NULL, NULL))
CALL(recvmsg, recvmsg(here, &(struct msghdr){.msg_iov = &one, .msg_iovlen = 1}, 0))
CALL(recvmmsg, recvmmsg(here, (struct mmsghdr[]){{{.msg_iov = &one, .msg_iovlen = 1}, 0}}, 1, 0, NULL))
CALL(recv_all, recv(here, bytes, 6, MSG_WAITALL))
CALL(recvmsg_all, recvmsg(here, &(struct msghdr){.msg_iov = &(struct iovec){bytes, 6}, .msg_iovlen = 1}, MSG_WAITALL))
CALL(read_least, setsockopt(here, SOL_SOCKET, SO_RCVLOWAT, &(int){4}, sizeof(int)); read(here, bytes, 6))
CALL(write_part, write(here, bytes, 100000) > 0)
CALL(writev_part, writev(here, &(struct iovec){bytes, 100000}, 1) > 0)
CALL(send_part, send(here, bytes, 1000000, 0) > 0)
CALL(send, send(here, bytes, 1000000, 0))
CALL(sendmsg, sendmsg(here, &(struct msghdr){.msg_iov = &all, .msg_iovlen = 1}, 0))
CALL(sendmmsg, sendmmsg(here, (struct mmsghdr[]){{{.msg_iov = &one, .msg_iovlen = 1}, 0}}, 1, 0))
CALL(sendto, sendto(here, bytes, 1, 0, NULL, 0))
CALL(sendto_address, struct sockaddr_un address = named(path[3]); sendto(here, bytes, 1, 0, (void *)&address, sizeof address))
CALL(splice_out, splice(queue, NULL, here, NULL, 4, 0))
CALL(eventfd_read, eventfd_t number; eventfd_read(here, &number))
CALL(eventfd_write, eventfd_write(here, 7))
CALL(accept, accept(here, NULL, NULL) < 0 ? -1 : 0)
CALL(accept4, accept4(here, NULL, NULL, SOCK_CLOEXEC) < 0 ? -1 : 0)
CALL(connect, struct sockaddr_un address = named(path[0]); connect(here, (void *)&address, sizeof address))
CALL(poll, struct pollfd entry = {here, POLLIN, 0}; poll(&entry, 1, -1) * 100 + entry.revents)
CALL(ppoll, struct pollfd entry = {here, POLLIN, 0}; ppoll(&entry, 1, &hour, NULL) * 100 + entry.revents)
CALL(poll_two, struct pollfd entries[2] = {{here, POLLIN, 0}, {0, 0, 0}}; poll(entries, 2, -1) * 100 + entries[0].revents)
CALL(select, fd_set wanted; FD_ZERO(&wanted); FD_SET(here, &wanted); select(here + 1, &wanted, NULL, NULL, NULL))
CALL(pselect, fd_set wanted; FD_ZERO(&wanted); FD_SET(here, &wanted); pselect(here + 1, &wanted, NULL, NULL, &hour, NULL))
CALL(epoll_wait, struct epoll_event event; epoll_wait(set, &event, 1, -1))
CALL(epoll_alone, struct epoll_event event; epoll_wait(here, &event, 1, -1))
CALL(epoll_pwait, struct epoll_event event; epoll_pwait(set, &event, 1, -1, NULL))
CALL(epoll_pwait2, struct epoll_event event; epoll_pwait2(set, &event, 1, &hour, NULL))
CALL(sendfile, int from = open("/proc/self/exe", O_RDONLY); off_t at = 0; long sent = sendfile(here, from, &at, 4096); close(from); sent)
CALL(splice, splice(here, NULL, queue, NULL, 4, 0))
CALL(tee, tee(here, queue, 4, 0))
CALL(vmsplice, vmsplice(here, &(struct iovec){bytes, 4096}, 1, 0))
CALL(open, int fd = open(path[2], O_RDONLY); fd < 0 ? -1 : close(fd))
CALL(fopen, FILE *opened = fopen(path[2], "w"); opened ? fclose(opened) : -1)
CALL(fopen64, FILE *opened = fopen64(path[2], "r"); opened ? fclose(opened) : -1)
CALL(creat, int fd = creat(path[2], 0600); fd < 0 ? -1 : close(fd))
CALL(flock, flock(here, LOCK_EX))
CALL(lockf, lockf(here, F_LOCK, 0))
CALL(fcntl, struct flock lock = {.l_type = F_WRLCK}; fcntl(here, F_SETLKW, &lock))
CALL(mq_receive, mq_receive(here, bytes, 64, NULL))
CALL(mq_timedreceive, struct timespec t = later(CLOCK_REALTIME); mq_timedreceive(here, bytes, 64, NULL, &t))
CALL(mq_send, mq_send(here, "y", 1, 0))
CALL(mq_timedsend, struct timespec t = later(CLOCK_REALTIME); mq_timedsend(here, "y", 1, 0, &t))
CALL(msgrcv, msgrcv(queue, bytes, 64, 0, 0))
CALL(msgsnd, msgsnd(queue, &(struct { long kind; char text[4096]; }){1}, 4096, 0))
CALL(semop, semop(queue, &(struct sembuf){0, -1, 0}, 1))
CALL(semtimedop, semtimedop(queue, &(struct sembuf){0, -1, 0}, 1, &hour))
CALL(wait, wait(NULL) < 0 ? -1 : 0)
CALL(wait3, wait3(NULL, 0, NULL) < 0 ? -1 : 0)
CALL(wait4, wait4(child, NULL, 0, NULL) < 0 ? -1 : 0)
CALL(waitid, waitid(P_PID, child, NULL, WEXITED))
CALL(fgetc, fgetc(file))
CALL(fgets, fgets(bytes, 5, file) ? 0 : -1)
CALL(fread, fread(bytes, 1, 4, file))
CALL(getline, char *line = NULL; size_t room = 0; getdelim(&line, &room, 'c', file))
CALL(fscanf, fscanf(file, "%3s", bytes))
CALL(fgetwc, fgetwc(file))
CALL(fgetws, wchar_t text[5]; fgetws(text, 5, file) ? 0 : -1)
CALL(fwrite, fwrite(bytes, 1, 100000, file) == 100000 ? 0 : -1)
CALL(fputs, fputs("many more than sixteen", file) < 0 ? -1 : 0)
CALL(fputws, fputws(L"many more than sixteen", file) < 0 ? -1 : 0)
CALL(fwprintf, fwprintf(file, L"%100d", 5) < 0 ? -1 : 0)
CALL(fflush, fflush(file))
CALL(fseek, fseek(file, 0, SEEK_SET))
CALL(sem_clockwait, struct timespec t = later(CLOCK_MONOTONIC); sem_clockwait(&never, CLOCK_MONOTONIC, &t))
CALL(thrd_sleep, thrd_sleep(&hour, NULL))
CALL(clock_nanosleep, struct timespec t = later(CLOCK_MONOTONIC); clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))

#define ROW(call, before, after) {#call, call_##call, before, after}
static const struct row { const char *name; long (*call)(void); void (*before)(void), (*after)(void); } rows[] = {
    ROW(read, empty_pipe, give), ROW(readv, empty_pipe, give), ROW(preadv2, empty_pipe, give), ROW(preadv64v2, empty_pipe, give),
    ROW(write, full_pipe, take), ROW(writev, full_pipe, take), ROW(pwritev2, full_pipe, take), ROW(pwritev64v2, full_pipe, take),
    ROW(recv, socket_pair, give), ROW(recvfrom, socket_pair, give), ROW(recvmsg, socket_pair, give), ROW(recvmmsg, socket_pair, give),
    ROW(send, full_sockets, take), ROW(sendmsg, full_sockets, take), ROW(sendmmsg, full_sockets, take), ROW(sendto, datagrams, take),
    ROW(eventfd_read, event, give_event), ROW(eventfd_write, full_event, take_event), ROW(accept, listener, call_it),
    ROW(accept4, listener, call_it), ROW(connect, full_listener, answer_it), ROW(poll, empty_pipe, give), ROW(ppoll, empty_pipe, give),
    ROW(poll_two, empty_pipe, give), ROW(select, empty_pipe, give), ROW(pselect, empty_pipe, give), ROW(sendfile, full_pipe, take),
    ROW(splice, empty_pipe, give), ROW(tee, empty_pipe, give), ROW(vmsplice, full_pipe, take), ROW(mq_receive, message_queue, give_message),
    ROW(mq_timedreceive, message_queue, give_message), ROW(mq_send, full_message_queue, take_message),
    ROW(mq_timedsend, full_message_queue, take_message), ROW(sendto_address, addressed, take), ROW(flock, locked_file, kill_child),
    ROW(recv_all, half_sockets, give), ROW(recvmsg_all, half_sockets, give), ROW(read_least, half_sockets, give),
    ROW(write_part, half_pipe, take), ROW(writev_part, half_pipe, take), ROW(send_part, half_full_sockets, take),
    ROW(epoll_alone, epoll_alone, give),
    // From here on nothing is closed under a call.
    ROW(epoll_wait, epoll_set, give), ROW(epoll_pwait, epoll_set, give), ROW(epoll_pwait2, epoll_set, give),
    ROW(open, nothing, open_to_write), ROW(fopen, nothing, open_to_read), ROW(fopen64, nothing, open_to_write),
    ROW(creat, nothing, open_to_read), ROW(lockf, locked_file, kill_child),
    ROW(fcntl, locked_file, kill_child), ROW(msgrcv, system_v, give_system_v), ROW(msgsnd, full_system_v, take_system_v),
    ROW(semop, semaphores, give_semaphore), ROW(semtimedop, semaphores, give_semaphore), ROW(wait, child_that_stays, end_child),
    ROW(wait3, child_that_stays, end_child), ROW(wait4, child_that_stays, end_child), ROW(waitid, child_that_stays, end_child),
    ROW(fgetc, reads_by_stdio, give), ROW(fgets, reads_by_stdio, give), ROW(fread, reads_by_stdio, give),
    ROW(getline, reads_by_stdio, give), ROW(fscanf, reads_by_stdio, give), ROW(fgetwc, reads_by_stdio, give),
    ROW(fgetws, reads_by_stdio, give), ROW(fwrite, writes_by_stdio, take), ROW(fputs, writes_by_stdio, take),
    ROW(fputws, writes_by_stdio, take), ROW(fwprintf, writes_by_stdio, take), ROW(fflush, full_buffer, take),
    ROW(fseek, full_buffer, take), ROW(sem_clockwait, nothing, post), ROW(thrd_sleep, nothing, nothing),
    ROW(clock_nanosleep, nothing, nothing)};
enum { ROWS = sizeof rows / sizeof *rows };
static const struct row timed[] = {
    ROW(send, full_for_a_time, nothing), ROW(sendmsg, full_for_a_time, nothing), ROW(write, full_for_a_time, nothing),
    ROW(sendfile, full_for_a_time, nothing), ROW(splice_out, full_for_a_time, nothing)};

static void *calls(void *row) {
    number = number_in_kernel(), sem_post(&begun);
    errno = 0;
    value = ((struct row *)row)->call(), error = errno;
    ended = 1;
    return NULL;
}
static void begin(const struct row *row) {
    int beyond[2];
    here = there = -1;
    row->before();
    if (row->call == call_splice || row->call == call_tee) MUST(pipe(beyond)), queue = beyond[1];
    if (row->call == call_splice_out) MUST(pipe(beyond)), queue = beyond[0], MUST(write(beyond[1], "abcd", 4));
    ended = handled = number = 0;
    pthread_create(&waiter, NULL, calls, (void *)row), sem_wait(&begun);
}
static void end(const struct row *row, const char *how) {
    pthread_join(waiter, NULL);
    printf("%s, %s: %d %s\n", row->name, how, value, value < 0 || error == EINTR ? strerrorname_np(error) : "");
    fflush(stdout);
    if (here >= 0) close(here);
    if (there >= 0) close(there);
}

// A handler runs until the call has ended, or, if calls go on after it, twenty times.
static void interrupt(const struct row *row, int flags) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    begin(row);
    int looks = 0;
    while (!ended && handled < 20 && looks < 5000) {
        // None is on its way when the call goes on: one that comes after a part was moved ends it.
        int before = handled;
        pthread_kill(waiter, SIGUSR1);
        do moment(1000); while (!ended && handled == before && looks++ < 5000);
    }
    int has_ended = ended;
    if (!has_ended) row->after();
    if (looks > 5000) printf("%s is not interrupted\n", row->name), exit(4);
    end(row, flags ? has_ended ? "restarting, ended" : "restarting, went on" : "interrupted");
    if (has_ended && child) kill(child, SIGKILL), waitpid(child, NULL, 0);
    child = 0;
}
// Handlers run all the time, and afterwards still: none of the looks by which the call goes on takes a signal for what it waits for.
static void storm(const struct row *row) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL);
    begin(row);
    for (int i = 0; i < 3000; i++) pthread_kill(waiter, SIGUSR1);
    int before = handled, looks = 0;
    while (handled == before && looks++ < 5000) pthread_kill(waiter, SIGUSR1), moment(1000);
    // None of them is on its way when the call goes on: the one with the lowest number is taken first.
    for (marked = 0, pthread_kill(waiter, SIGUSR2); !marked && !ended && looks++ < 10000;) moment(1000);
    row->after();
    end(row, handled > before ? "in a storm" : "taken for its event");
}
// The call waits already when its descriptor is closed.
static void close_under(const struct row *row) {
    begin(row);
    until_in_any_call(waiter, &number);
    close(here), here = -1, moment(1000), row->after();
    end(row, "closed");
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit)), limit.rlim_cur = limit.rlim_max, MUST(setrlimit(RLIMIT_NOFILE, &limit));
    if (!mkdtemp(folder)) return 3;
    for (int i = 0; i < 4; i++) snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
    MUST(mkfifo(path[2], 0600)), sem_init(&begun, 0, 0), sem_init(&never, 0, 0);
    int is_closed = 1;
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        is_closed &= row->call != call_epoll_wait;
        // The name of a row, to look at it alone.
        if (argc > 1 && strcmp(argv[1], row->name)) continue;
        interrupt(row, 0), interrupt(row, SA_RESTART);
        if (is_closed) close_under(row);
    }
    for (const struct row *row = rows; row < rows + ROWS; row++)
        if (row->call == call_fgetws || row->call == call_fgetc || row->call == call_fscanf || row->call == call_write || row->call == call_splice)
            if (argc < 2 || !strcmp(argv[1], row->name)) storm(row);
    for (const struct row *row = timed; row < timed + sizeof timed / sizeof *timed; row++) begin(row), end(row, "timed");
    for (int i = 0; i < 4; i++) unlink(path[i]);
    rmdir(folder);
    _exit(0);
}
