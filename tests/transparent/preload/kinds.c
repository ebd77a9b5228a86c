// Calls that the kernel refuses at once, terminals whose reads end with nothing, mutexes that inherit priorities, and what a thread asks of
// itself by numbers: the same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) (errno = 0, say(#what, (long)(what)))
static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : ""); }
static char byte[4];

// Nothing is open under these numbers.
static void *no_file(void *unused) {
    const int numbers[] = {-1, -2, -2147483647 - 1, 2147483647, 100000};
    for (int i = 0; i < 5; i++) {
        int fd = numbers[i];
        struct sockaddr_in address = {AF_INET};
        struct iovec list = {byte, 1};
        struct msghdr message = {.msg_iov = &list, .msg_iovlen = 1};
        struct epoll_event event;
        struct timeval second = {1, 0};
        printf("-- %d\n", fd);
        SAY(accept(fd, NULL, NULL));
        SAY(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
        SAY(connect(fd, (void *)&address, sizeof address));
        SAY(read(fd, byte, 1)), SAY(readv(fd, &list, 1)), SAY(write(fd, byte, 1)), SAY(writev(fd, &list, 1));
        SAY(recv(fd, byte, 1, 0)), SAY(send(fd, byte, 1, 0)), SAY(recvmsg(fd, &message, 0)), SAY(sendmsg(fd, &message, 0));
        SAY(splice(fd, NULL, fd, NULL, 1, 0)), SAY(tee(fd, fd, 1, 0)), SAY(vmsplice(fd, &list, 1, 0));
        SAY(epoll_wait(fd, &event, 1, -1)), SAY(lockf(fd, F_LOCK, 1)), SAY(fcntl(fd, F_SETFL, O_NONBLOCK));
        SAY(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second)), SAY(close(fd)), SAY(dup(fd)), SAY(tcdrain(fd));
    }
    return unused;
}

// To none of these anybody connects.
static void *nobody_listens(void *unused) {
    int ends[2], pipe_ends[2], stream = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || pipe(pipe_ends)) exit(3);
    SAY(accept(ends[0], NULL, NULL)), SAY(accept(pipe_ends[0], NULL, NULL)), SAY(accept(datagrams, NULL, NULL)), SAY(accept(stream, NULL, NULL));
    SAY(listen(stream, 1)), SAY(accept4(stream, NULL, NULL, 12345)), SAY(accept4(stream, NULL, NULL, SOCK_NONBLOCK | O_APPEND));
    fcntl(stream, F_SETFL, O_NONBLOCK);
    SAY(accept(stream, NULL, NULL));
    return unused;
}

// The mode of either file counts for copies, but of one on a disk.
static void *copies(void *unused) {
    int from[2], to[2], terminal = posix_openpt(O_RDWR | O_NOCTTY), disk = open("/etc/passwd", O_RDONLY | O_NONBLOCK);
    if (pipe(from) || pipe(to)) exit(3);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 2; i++) {
        int *ends = i ? to : from;
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        SAY(splice(from[0], NULL, to[1], NULL, 1, 0)), SAY(tee(from[0], to[1], 1, 0));
        fcntl(ends[i], F_SETFL, 0);
    }
    SAY(splice(terminal, NULL, to[1], NULL, 1, 0)), SAY(splice(disk, NULL, to[1], NULL, 1, 0)), SAY(read(to[0], byte, 4));
    close(terminal), close(disk);
    return unused;
}

// Attempts at a machine that is not there end. Some kernels have no such sockets.
static void *other_families(void *unused) {
    struct { unsigned short family, zero; unsigned port, machine; unsigned char rest[4]; } address = {AF_VSOCK, 0, 99, 40, {0}};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    SAY(fd >= 0 ? connect(fd, (void *)&address, sizeof address) : -2);
    return unused;
}

static void *writes_later(void *to) {
    poll(NULL, 0, 1);
    if (write(*(int *)to, "abcd", 4) != 4) exit(3);
    return NULL;
}
static void *terminals(void *unused) {
    struct termios settings;
    pthread_t writer;
    int ours = posix_openpt(O_RDWR | O_NOCTTY);
    if (ours < 0 || grantpt(ours) || unlockpt(ours)) exit(3);
    int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
    struct iovec list = {byte, 4};
    tcgetattr(theirs, &settings);
    cfmakeraw(&settings);
    for (int time = 0; time < 2; time++) {
        settings.c_cc[VMIN] = 0, settings.c_cc[VTIME] = time;
        SAY(tcsetattr(theirs, TCSANOW, &settings));
        SAY(read(theirs, byte, 4)), SAY(readv(theirs, &list, 1));
        FILE *file = fdopen(dup(theirs), "r");
        SAY(fgetc(file)), SAY(feof(file) != 0), SAY(ferror(file)), SAY(fclose(file));
        SAY(write(ours, "abcd", 4));
        struct pollfd one = {theirs, POLLIN, 0};
        SAY(poll(&one, 1, -1)), SAY(read(theirs, byte, 2)), SAY(read(theirs, byte, 4)), SAY(read(theirs, byte, 4));
        fcntl(theirs, F_SETFL, O_NONBLOCK);
        SAY(read(theirs, byte, 4));
        fcntl(theirs, F_SETFL, 0);
    }
    settings.c_cc[VMIN] = 4, settings.c_cc[VTIME] = 0;
    SAY(tcsetattr(theirs, TCSANOW, &settings));
    pthread_create(&writer, NULL, writes_later, &ours);
    SAY(read(theirs, byte, 4));
    pthread_join(writer, NULL);
    return unused;
}

static pthread_mutex_t mutex;
static long count;
static void *adds(void *unused) {
    for (int i = 0; i < 200; i++) {
        int error = pthread_mutex_lock(&mutex);
        if (error) printf("lock: %d\n", error);
        long before = count;
        if (i % 20 == 0) sched_yield();
        count = before + 1;
        error = pthread_mutex_unlock(&mutex);
        if (error) printf("unlock: %d\n", error);
    }
    return unused;
}
static void *takes_and_ends(void *unused) {
    pthread_mutex_lock(&mutex);
    return unused;
}
static void *priorities(void *unused) {
    for (int kind = 0; kind < 12; kind++) {
        pthread_mutexattr_t attributes;
        pthread_t threads[6];
        int protocol = -1, is_robust = kind & 1;
        printf("-- mutex %d\n", kind);
        pthread_mutexattr_init(&attributes);
        SAY(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
        SAY(pthread_mutexattr_getprotocol(&attributes, &protocol)), SAY(protocol == PTHREAD_PRIO_INHERIT);
        if (is_robust) SAY(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
        if (kind & 2) SAY(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
        SAY(pthread_mutexattr_settype(&attributes, kind / 4));
        SAY(pthread_mutex_init(&mutex, &attributes));
        count = 0;
        for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, adds, NULL);
        for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
        SAY(count);
        pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
        struct timespec long_ago = {0, 0};
        SAY(pthread_mutex_lock(&mutex)), SAY(pthread_cond_timedwait(&condition, &mutex, &long_ago)), SAY(pthread_mutex_unlock(&mutex));
        if (is_robust) {
            pthread_create(&threads[0], NULL, takes_and_ends, NULL), pthread_join(threads[0], NULL);
            SAY(pthread_mutex_lock(&mutex)), SAY(pthread_mutex_consistent(&mutex)), SAY(pthread_mutex_unlock(&mutex));
            pthread_create(&threads[0], NULL, takes_and_ends, NULL), pthread_join(threads[0], NULL);
            // Nobody says that what it protects is right.
            SAY(pthread_mutex_lock(&mutex)), SAY(pthread_mutex_unlock(&mutex)), SAY(pthread_mutex_lock(&mutex));
        }
        SAY(pthread_mutex_destroy(&mutex));
    }
    return unused;
}

static void *looks(void *processors) {
    char name[16] = "";
    SAY(sched_getaffinity(0, sizeof(cpu_set_t), processors));
    SAY(prctl(PR_GET_NAME, name));
    puts(name);
    return NULL;
}
static void *by_numbers(void *unused) {
    cpu_set_t before, one, after;
    char name[16] = "", again[16] = "";
    CPU_ZERO(&before);
    CPU_ZERO(&one);
    SAY(sched_getaffinity(0, sizeof before, &before));
    int first = 0;
    while (!CPU_ISSET(first, &before)) first++;
    CPU_SET(first, &one);
    SAY(sched_setaffinity(gettid(), sizeof one, &one)), SAY(sched_getaffinity(0, sizeof after, &after)), SAY(CPU_EQUAL(&after, &one));
    SAY(pthread_getaffinity_np(pthread_self(), sizeof after, &after)), SAY(CPU_EQUAL(&after, &one));
    CPU_ZERO(&one);
    SAY(sched_setaffinity(0, sizeof one, &one)), SAY(sched_getaffinity(0, 1, &after));
    SAY(prctl(PR_SET_NAME, "a name that is much too long"));
    SAY(prctl(PR_GET_NAME, name));
    puts(name);
    SAY(pthread_getname_np(pthread_self(), again, 16)), SAY(strcmp(name, again));
    SAY(pthread_setname_np(pthread_self(), "other")), SAY(prctl(PR_GET_NAME, name));
    puts(name);
    return unused;
}
// What a handler leaves of a wait, restarted or not.
static volatile int has_ended;
static void does_nothing(int signal) { (void)signal; }
static sem_t nothing;
static void *sleeps(void *unused) {
    // In its first moment nothing has gone by.
    unsigned left = 1000;
    for (int i = 0; i < 50 && left == 1000; i++) left = sleep(1000);
    SAY(left < 1000);
    has_ended = 1;
    return unused;
}
static void *waits_for_long(void *unused) {
    struct timespec late = {time(NULL) + 1000, 0};
    SAY(sem_timedwait(&nothing, &late));
    has_ended = 1;
    return unused;
}
static void *is_cut_short(void *routine) {
    pthread_t thread;
    has_ended = 0;
    pthread_create(&thread, NULL, (void *(*)(void *))routine, NULL);
    while (!has_ended) pthread_kill(thread, SIGUSR1), poll(NULL, 0, 1);
    pthread_join(thread, NULL);
    return NULL;
}
// What is removed while a thread waits for it.
static int removed;
static struct { long kind; char text[8]; } message = {1, ""};
static void *receives(void *unused) { return (void *)(msgrcv(removed, &message, 8, 0, 0) < 0 ? (long)errno : 0L); }
static void *sends(void *unused) { return (void *)(msgsnd(removed, &message, 8, 0) < 0 ? (long)errno : 0L); }
static void *operates(void *unused) { return (void *)(semop(removed, &(struct sembuf){0, -1, 0}, 1) < 0 ? (long)errno : 0L); }
static void removal(const char *name, void *(*waits)(void *)) {
    void *error = NULL;
    // A thread that comes too late does not find it at all.
    for (int pause = 1; pause < 10000 && error != (void *)EIDRM; pause *= 2) {
        pthread_t thread;
        removed = waits == operates ? semget(IPC_PRIVATE, 1, 0600) : msgget(IPC_PRIVATE, 0600);
        while (waits == sends && msgsnd(removed, &message, 8, IPC_NOWAIT) == 0) {}
        pthread_create(&thread, NULL, waits, NULL), poll(NULL, 0, pause);
        if (waits == operates) semctl(removed, 0, IPC_RMID); else msgctl(removed, IPC_RMID, NULL);
        pthread_join(thread, &error);
    }
    printf("%s: %s\n", name, strerrorname_np((int)(long)error));
}
static void *waits_to_be_joined(void *unused) {
    sem_wait(&nothing);
    return unused;
}
static void *joins(void *thread) {
    SAY(pthread_join(*(pthread_t *)thread, NULL));
    return NULL;
}
static void *endings(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    SAY(sigprocmask(77, &set, NULL));
    sem_init(&nothing, 0, 0);
    // A priority that the policy does not have.
    pthread_attr_t wrong;
    pthread_t none;
    struct sched_param priority = {sched_get_priority_max(SCHED_FIFO)};
    pthread_attr_init(&wrong), pthread_attr_setschedpolicy(&wrong, SCHED_FIFO), pthread_attr_setschedparam(&wrong, &priority);
    pthread_attr_setschedpolicy(&wrong, SCHED_OTHER), pthread_attr_setinheritsched(&wrong, PTHREAD_EXPLICIT_SCHED);
    SAY(pthread_create(&none, &wrong, no_file, NULL));
    struct sigaction action = {.sa_handler = does_nothing};
    for (action.sa_flags = 0;; action.sa_flags = SA_RESTART) {
        sigaction(SIGUSR1, &action, NULL);
        is_cut_short(sleeps), is_cut_short(waits_for_long);
        if (action.sa_flags) break;
    }
    removal("msgrcv", receives), removal("msgsnd", sends), removal("semop", operates);
    // To try to join asks only whether the thread has ended.
    pthread_t thread, joiner;
    SAY(pthread_tryjoin_np(pthread_self(), NULL));
    pthread_create(&thread, NULL, waits_to_be_joined, NULL), pthread_create(&joiner, NULL, joins, &thread);
    for (int i = 0; i < 20; i++) poll(NULL, 0, 1), printf("%d", pthread_tryjoin_np(thread, NULL));
    sem_post(&nothing), pthread_join(joiner, NULL);
    pthread_create(&thread, NULL, waits_to_be_joined, NULL), SAY(pthread_detach(thread)), SAY(pthread_tryjoin_np(thread, NULL));
    sem_post(&nothing);
    return unused;
}

// A thread's number is its own, while others run, and what is sent to the number reaches the thread.
static _Thread_local volatile int handled;
static void note(int signal) { handled += signal == SIGUSR1; }
static volatile int numbers[4], may_send;
static pthread_barrier_t together;
static void *numbered(void *of_index) {
    long index = (long)of_index, same = 0;
    numbers[index] = gettid();
    pthread_barrier_wait(&together);
    for (int i = 0; i < 4; i++) same += numbers[i] == numbers[index];
    int is_number = syscall(SYS_gettid) == numbers[index] && numbers[index] != getpid();
    if (tgkill(getpid(), numbers[(index + 1) % 4], SIGUSR1)) exit(3);
    while (!handled) sched_yield();
    handled = 0;
    pthread_barrier_wait(&together);
    if (syscall(SYS_tgkill, getpid(), numbers[index], SIGUSR1)) exit(3);
    int by_itself = handled;
    handled = 0;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, ._sigev_un._tid = gettid()};
    timer_t timer;
    int created = timer_create(CLOCK_MONOTONIC, &event, &timer);
    created += timer_delete(timer);
    // By its number the kernel is asked of the thread.
    struct sched_param parameters = {0};
    created += getpriority(PRIO_PROCESS, gettid()) + setpriority(PRIO_PROCESS, gettid(), getpriority(PRIO_PROCESS, 0)) + sched_getscheduler(gettid());
    created += sched_getparam(gettid(), &parameters) + sched_setparam(gettid(), &parameters) + sched_setscheduler(gettid(), SCHED_OTHER, &parameters);
    struct { unsigned version; int thread; } header = {0x20080522, gettid()}, refused = {0, gettid()};
    unsigned capabilities[6], attributes[14] = {56};
    struct timespec interval;
    struct rlimit limit;
    struct iovec list = {&header, 4}, same_list = {capabilities, 4};
    cpu_set_t set;
    created += syscall(SYS_capget, &header, capabilities) + syscall(SYS_capset, &header, capabilities) + (getpgid(gettid()) != getpgrp());
    created += (syscall(SYS_capget, &refused, NULL) != 0) + syscall(SYS_sched_getattr, gettid(), attributes, 56, 0) + (getsid(gettid()) != getsid(0));
    created += sched_rr_get_interval(gettid(), &interval) + prlimit(gettid(), RLIMIT_NOFILE, NULL, &limit) + (syscall(SYS_ioprio_get, 1, gettid()) < 0);
    created += (process_vm_readv(gettid(), &same_list, 1, &list, 1, 0) != 4) + (syscall(SYS_sched_getaffinity, gettid(), sizeof set, &set) <= 0);
    created += syscall(SYS_sched_setaffinity, 0, sizeof set, &set) + (syscall(SYS_getpriority, PRIO_PROCESS, gettid()) < 0);
    struct f_owner_ex owner = {F_OWNER_TID, gettid()};
    created += fcntl(0, F_SETOWN_EX, &owner);
    printf("%ld has its number, %d, which was handled, %d, and by itself, %d; %d\n", same, is_number, 1, by_itself, created);
    return NULL;
}
static void *together_with_others(void *unused) {
    pthread_t threads[4];
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    pthread_barrier_init(&together, NULL, 4);
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, numbered, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SAY(tgkill(getpid(), 1 << 29, 0)), SAY(tgkill(getppid(), gettid(), 0)), SAY(tgkill(0, gettid(), 0)), SAY(syscall(SYS_tgkill, -1, gettid(), 0));
    return unused;
}

// A file on a disk waits, whatever its mode is, also if it is not in memory.
static void *disks(void *unused) {
    static char page[1 << 16];
    char name[] = "./kinds-XXXXXX";
    int fd = mkstemp(name), whole = 0;
    for (int i = 0; i < 16; i++) if (write(fd, page, sizeof page) != sizeof page) exit(3);
    unlink(name), fsync(fd), fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 8; i++) {
        struct iovec list = {page, sizeof page};
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), lseek(fd, 0, SEEK_SET);
        whole += read(fd, page, sizeof page) == sizeof page, whole += readv(fd, &list, 1) == sizeof page;
    }
    SAY(whole);
    return unused;
}

// Through a file that does not wait nobody waits for a child.
static void *children(void *unused) {
    int ends[2];
    siginfo_t info;
    if (pipe(ends)) exit(3);
    pid_t child = fork();
    if (child == 0) _exit(read(ends[0], byte, 1) == 1 ? 5 : 6);
    int file = syscall(SYS_pidfd_open, child, O_NONBLOCK);
    SAY(waitid(P_PIDFD, file, &info, WEXITED)), SAY(write(ends[1], "x", 1));
    struct pollfd one = {file, POLLIN, 0};
    SAY(poll(&one, 1, -1)), SAY(waitid(P_PIDFD, file, &info, WEXITED)), SAY(info.si_status);
    return unused;
}

static void *alone(void *routine) {
    pthread_t thread;
    pthread_create(&thread, NULL, (void *(*)(void *))routine, NULL), pthread_join(thread, NULL);
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_NAME, "the process");
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    void *routines[] = {no_file, nobody_listens, copies, other_families, terminals, priorities, by_numbers, together_with_others, disks, endings, children};
    for (int i = 0; i < 11; i++) alone(routines[i]);
    // What one thread has set is no other's.
    pthread_t thread;
    CPU_ZERO(&after);
    pthread_create(&thread, NULL, looks, &after), pthread_join(thread, NULL);
    SAY(CPU_EQUAL(&before, &after));
}
