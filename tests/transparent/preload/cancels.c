// pthread_cancel of threads that wait in each kind of call: the same on threads and on fibers. What is printed does not depend on whether a
// thread waits already when it is cancelled.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static char bytes[1 << 20], fifo[64];
static struct iovec all = {bytes, sizeof bytes};
static const struct timespec hour = {3600, 0}, moment = {0, 20000000};
static int empty[2], full[2], ends[2], full_ends[2], listener, set, locked, queue, event;
static mqd_t messages;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore, begun, free_to_go;
static pthread_t other;

static struct timespec later(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += 3600;
    return t;
}
static sigset_t blocked(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    return signals;
}
static FILE *opened(int number, const char *mode) {
    FILE *file = fdopen(dup(number), mode);
    if (!file) exit(3);
    return file;
}
static void unlock(void *unused) { pthread_mutex_unlock(&mutex); }

#define CALL(name, ...) static void call_##name(void) { __VA_ARGS__; }
CALL(read, read(empty[0], bytes, 1))
CALL(readv, readv(empty[0], &all, 1))
CALL(write, write(full[1], bytes, sizeof bytes))
CALL(writev, writev(full[1], &all, 1))
CALL(recv, recv(ends[0], bytes, 1, 0))
CALL(recv_all, recv(ends[0], bytes, 4, MSG_WAITALL))
CALL(send, send(full_ends[0], bytes, sizeof bytes, 0))
CALL(accept, accept(listener, NULL, NULL))
CALL(poll, struct pollfd one = {empty[0], POLLIN, 0}; poll(&one, 1, -1))
CALL(select, select(0, NULL, NULL, NULL, NULL))
CALL(epoll, struct epoll_event event; epoll_wait(set, &event, 1, -1))
CALL(nanosleep, nanosleep(&hour, NULL))
CALL(sleep, sleep(3600))
CALL(mq_receive, mq_receive(messages, bytes, 64, NULL))
CALL(msgrcv, msgrcv(queue, bytes, 1, 0, 0))
CALL(sem_wait, sem_wait(&semaphore))
CALL(condition, pthread_mutex_lock(&mutex); pthread_cleanup_push(unlock, NULL); for (;;) pthread_cond_wait(&condition, &mutex); pthread_cleanup_pop(1))
CALL(join, pthread_join(other, NULL))
CALL(timed_join, struct timespec t = later(CLOCK_REALTIME); pthread_timedjoin_np(other, NULL, &t))
CALL(clock_join, struct timespec t = later(CLOCK_MONOTONIC); pthread_clockjoin_np(other, NULL, CLOCK_MONOTONIC, &t))
CALL(pause, pause())
CALL(sigsuspend, sigset_t signals = blocked(); sigsuspend(&signals))
CALL(sigwait, sigset_t signals = blocked(); int number; sigwait(&signals, &number))
CALL(sigtimedwait, sigset_t signals = blocked(); sigtimedwait(&signals, NULL, &hour))
CALL(system, system("exec sleep 3600"))
CALL(lock_bytes, struct flock lock = {.l_type = F_WRLCK}; fcntl(locked, F_SETLKW, &lock))
CALL(lockf, lockf(locked, F_LOCK, 0))
CALL(splice, splice(empty[0], NULL, full[1], NULL, 10, 0))
CALL(tee, tee(empty[0], full[1], 10, 0))
CALL(vmsplice, vmsplice(full[1], &all, 1, 0))
CALL(waitpid, waitpid(-1, NULL, 0))
CALL(open_fifo, open(fifo, O_RDONLY))
CALL(fopen_fifo, fopen(fifo, "w"))
CALL(eventfd_read, eventfd_t value; eventfd_read(event, &value))
CALL(sendto, sendto(full_ends[0], bytes, sizeof bytes, 0, NULL, 0))
CALL(sendmsg, sendmsg(full_ends[0], &(struct msghdr){.msg_iov = &all, .msg_iovlen = 1}, 0))
CALL(recvmsg, recvmsg(ends[0], &(struct msghdr){.msg_iov = &all, .msg_iovlen = 1}, 0))
CALL(recvmmsg, recvmmsg(ends[0], (struct mmsghdr[]){{{.msg_iov = &all, .msg_iovlen = 1}, 0}}, 1, 0, NULL))
CALL(accept4, accept4(listener, NULL, NULL, 0))
CALL(ppoll, struct pollfd one = {empty[0], POLLIN, 0}; ppoll(&one, 1, NULL, NULL))
CALL(pselect, pselect(0, NULL, NULL, NULL, NULL, NULL))
CALL(epoll_pwait, struct epoll_event event; epoll_pwait(set, &event, 1, -1, NULL))
CALL(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, NULL))
CALL(usleep, for (;;) usleep(900000))
CALL(thrd_sleep, thrd_sleep(&hour, NULL))
CALL(sem_timedwait, struct timespec t = later(CLOCK_REALTIME); sem_timedwait(&semaphore, &t))
CALL(sem_clockwait, struct timespec t = later(CLOCK_MONOTONIC); sem_clockwait(&semaphore, CLOCK_MONOTONIC, &t))
CALL(mq_timedreceive, struct timespec t = later(CLOCK_REALTIME); mq_timedreceive(messages, bytes, 64, NULL, &t))
CALL(wait, wait(NULL))
CALL(wait3, wait3(NULL, 0, NULL))
CALL(waitid, siginfo_t info; waitid(P_ALL, 0, &info, WEXITED))
CALL(creat_fifo, creat(fifo, 0600))
CALL(sigwaitinfo, sigset_t signals = blocked(); sigwaitinfo(&signals, NULL))
CALL(fputs, FILE *file = opened(full[1], "w"); setvbuf(file, NULL, _IONBF, 0); fputs("text", file))
CALL(fgetwc, fgetwc(opened(empty[0], "r")))
CALL(fgetc, fgetc(opened(empty[0], "r")))
CALL(getline, char *line = NULL; size_t room = 0; getline(&line, &room, opened(empty[0], "r")))
CALL(fscanf, int number; fscanf(opened(empty[0], "r"), "%d", &number))
CALL(fwrite, fwrite(bytes, 1, sizeof bytes, opened(full[1], "w")))
CALL(fprintf, fprintf(opened(full[1], "w"), "%70000d", 5))
#define ROW(name) {#name, call_##name}
static const struct { const char *name; void (*call)(void); } calls[] = {
    ROW(read), ROW(readv), ROW(write), ROW(writev), ROW(recv), ROW(recv_all), ROW(send), ROW(accept), ROW(poll), ROW(select),
    ROW(epoll), ROW(nanosleep), ROW(sleep), ROW(mq_receive), ROW(msgrcv), ROW(sem_wait), ROW(condition), ROW(join),
    ROW(timed_join), ROW(clock_join), ROW(pause), ROW(sigsuspend), ROW(sigwait), ROW(sigtimedwait), ROW(system), ROW(lock_bytes),
    ROW(lockf), ROW(splice), ROW(tee), ROW(vmsplice), ROW(waitpid), ROW(open_fifo), ROW(fopen_fifo), ROW(fgetc), ROW(getline),
    ROW(fscanf), ROW(fwrite), ROW(fprintf), ROW(eventfd_read), ROW(sendto), ROW(sendmsg), ROW(recvmsg), ROW(recvmmsg), ROW(accept4),
    ROW(ppoll), ROW(pselect), ROW(epoll_pwait), ROW(clock_nanosleep), ROW(usleep), ROW(thrd_sleep), ROW(sem_timedwait),
    ROW(sem_clockwait), ROW(mq_timedreceive), ROW(wait), ROW(wait3), ROW(waitid), ROW(creat_fifo), ROW(sigwaitinfo), ROW(fputs),
    ROW(fgetwc)};

// Waits of clean-up handlers are not ended.
static void clean(void *count) {
    struct pollfd none = {empty[0], POLLIN, 0};
    ++*(int *)count;
    poll(&none, 1, 1);
    ++*(int *)count;
}
static int cleaned;
static void *waits(void *number) {
    pthread_cleanup_push(clean, &cleaned);
    sem_post(&begun);
    calls[(intptr_t)number].call();
    printf("%s has returned\n", calls[(intptr_t)number].name);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *stays(void *unused) {
    sem_wait(&free_to_go);
    return unused;
}
// None of these waits, and each goes on in a thread that is cancelled.
static int went_on;
static void *does_not_wait(void *unused) {
    pthread_cancel(pthread_self());
    lockf(locked, F_TEST, 0), lockf(locked, F_ULOCK, 0);
    fcntl(locked, F_GETFL);
    pthread_tryjoin_np(other, NULL);
    sem_post(&begun);
    went_on = 1;
    pthread_testcancel();
    return unused;
}
// What is printed by a thread that is cancelled is not lost.
static void *prints(void *to) {
    pthread_cancel(pthread_self());
    fputs("a line\n", to);
    pthread_testcancel();
    return to;
}
static void *ends_at_once(void *unused) { return unused; }

// A thread that wants to end wherever it is ends where it says so.
static void *ends_itself(void *way) {
    int kind = -1, state = -1;
    printf("%d %d", pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &kind), kind);
    printf(" %d", pthread_setcanceltype(5, NULL));
    if (way == (void *)1) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (way == (void *)2) pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &kind);
    pthread_cancel(pthread_self());
    printf(" goes on with %d", kind);
    if (way == (void *)1) pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    if (way == (void *)2) pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &kind);
    printf(" not here");
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    char folder[] = "/tmp/cancels-XXXXXX", lock_file[64];
    if (!mkdtemp(folder)) return 3;
    snprintf(lock_file, sizeof lock_file, "%s/lock", folder), snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    locked = open(lock_file, O_RDWR | O_CREAT, 0600);
    if (pipe(empty) || pipe(full) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, full_ends)) return 3;
    // A child has the lock, and does not end.
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK};
        if (fcntl(locked, F_SETLK, &lock) || write(ends[1], "x", 1) != 1) _exit(3);
        for (;;) pause();
    }
    if (read(ends[0], bytes, 1) != 1 || mkfifo(fifo, 0600)) return 3;
    fcntl(full[1], F_SETFL, O_NONBLOCK);
    while (write(full[1], bytes, 4096) > 0) {}
    fcntl(full[1], F_SETFL, 0);
    while (send(full_ends[0], bytes, 1000, MSG_DONTWAIT) > 0) {}
    event = eventfd(0, 0), set = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0), queue = msgget(IPC_PRIVATE, 0600);
    if (listen(listener, 1)) return 3;
    char name[64];
    snprintf(name, sizeof name, "/cancels-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 64};
    messages = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes), mq_unlink(name);
    sem_init(&semaphore, 0, 0), sem_init(&begun, 0, 0), sem_init(&free_to_go, 0, 0);
    sigset_t signals = blocked();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_create(&other, NULL, stays, NULL);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        pthread_t thread;
        void *value = NULL;
        cleaned = 0;
        pthread_create(&thread, NULL, waits, (void *)i);
        sem_wait(&begun);
        // Most threads wait by then.
        nanosleep(&moment, NULL);
        int error = pthread_cancel(thread);
        // On a busy machine it may take long; for ever is longer.
        struct timespec end = later(CLOCK_REALTIME);
        end.tv_sec -= 3570;
        int joined = pthread_timedjoin_np(thread, &value, &end);
        printf("%s: %d %d %s, cleaned %d, the lock %d\n", calls[i].name, error, joined, value == PTHREAD_CANCELED ? "cancelled" : "returned", cleaned, pthread_mutex_trylock(&mutex));
        pthread_mutex_unlock(&mutex);
        if (joined) break;
    }
    pthread_t thread;
    void *value;
    pthread_create(&thread, NULL, does_not_wait, NULL);
    pthread_join(thread, &value);
    printf("went on: %d, cancelled: %d\n", went_on, value == PTHREAD_CANCELED);
    FILE *file = fdopen(ends[1], "w");
    setvbuf(file, NULL, _IOLBF, 0);
    pthread_create(&thread, NULL, prints, file), pthread_join(thread, &value);
    fflush(file);
    printf("cancelled: %d, %zd bytes\n", value == PTHREAD_CANCELED, recv(ends[0], bytes, 100, MSG_DONTWAIT));
    for (long way = 0; way < 3; way++) {
        pthread_create(&thread, NULL, ends_itself, (void *)way), pthread_join(thread, &value);
        printf(", cancelled: %d\n", value == PTHREAD_CANCELED);
    }
    // Whoever was cancelled in a join has left the thread to others.
    sem_post(&free_to_go);
    printf("join: %d\n", pthread_join(other, NULL));
    pthread_create(&thread, NULL, ends_at_once, NULL), pthread_join(thread, NULL);
    kill(child, SIGKILL), waitpid(child, NULL, 0);
    msgctl(queue, IPC_RMID, NULL), unlink(lock_file), unlink(fifo), rmdir(folder);
    fflush(stdout);
    _exit(0);
}
