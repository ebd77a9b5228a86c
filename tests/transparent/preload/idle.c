// Signals that do nothing: by default, or since they are ignored. They end no call of a thread that does not block them, also if the main thread
// does, and who blocks them may wait for them. The same on threads and on fibers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) (errno = 0, say(#what, (long)(what)))
static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : ""); }
static const int idle[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    return set;
}
static sigset_t all_idle(void) {
    sigset_t set = set_of(0);
    for (int i = 0; i < 4; i++) sigaddset(&set, idle[i]);
    return set;
}
static void mask(int how, sigset_t set) { pthread_sigmask(how, &set, NULL); }
static void on(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, NULL);
}
static volatile sig_atomic_t handled;
static void counts(int signal) { (void)signal, handled++; }
static int is_pending(int signal) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signal);
}
static void child_ends(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (waitpid(child, NULL, 0) != child) exit(5);
}

// What the calls wait for.
static int ends[2], sockets[2], listener, files[2], queue, word;
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_length;
static sem_t ready, posted;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int is_set;
static pid_t child;
static pthread_t joined;
struct message {
    long kind;
    char text[1];
};
enum { POLL, SELECT, EPOLL, PPOLL, PSELECT, EPOLL_PWAIT, READ, RECV, ACCEPT, SEM, SEM_TIMED, SLEEP, CONDITION, MUTEX, JOIN, CHILD, CHILD_BY_ID, ANY_CHILD, MSGRCV, FLOCK, LOCK, FUTEX, PAUSE, SUSPEND, SIGWAIT, WAYS };

static void *ends_later(void *unused) {
    while (sem_wait(&posted)) {}
    return unused;
}
static void *calls(void *argument) {
    long way = (long)argument;
    sigset_t none = set_of(0), usr1 = set_of(SIGUSR1);
    struct pollfd entry = {ends[0], POLLIN, 0};
    struct timespec lasts = {100, 0}, brief = {0, 20000000};
    struct epoll_event event = {.events = EPOLLIN};
    struct message message;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    siginfo_t info;
    fd_set set;
    char byte;
    int epoll = epoll_create1(EPOLL_CLOEXEC), times = 0, taken = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    mask(SIG_SETMASK, way == PPOLL || way == PSELECT || way == EPOLL_PWAIT || way == SUSPEND ? all_idle() : none);
    if (way == SUSPEND || way == SIGWAIT) mask(SIG_BLOCK, usr1);
    printf("%ld\n", way);
    sem_post(&ready);
    switch (way) {
    case POLL: SAY(poll(&entry, 1, -1)); break;
    case SELECT: SAY(select(ends[0] + 1, &set, NULL, NULL, NULL)); break;
    case EPOLL:
    case EPOLL_PWAIT:
        // On threads they end it in EINTR.
        do taken = epoll_pwait(epoll, &event, 1, -1, way == EPOLL ? NULL : &none); while (taken == -1 && errno == EINTR && times++ < 1000);
        SAY(taken);
        break;
    case PPOLL: SAY(ppoll(&entry, 1, &lasts, &none)); break;
    case PSELECT: SAY(pselect(ends[0] + 1, &set, NULL, NULL, NULL, &none)); break;
    case READ: SAY(read(ends[0], &byte, 1)); break;
    case RECV: SAY(recv(sockets[0], &byte, 1, 0)); break;
    case ACCEPT: SAY(accept(listener, NULL, NULL) >= 0); break;
    case SEM: SAY(sem_wait(&posted)); break;
    case SEM_TIMED: SAY(sem_timedwait(&posted, &(struct timespec){time(NULL) + 100, 0})); break;
    case SLEEP: SAY(nanosleep(&brief, NULL)), SAY(usleep(1000)), SAY(poll(NULL, 0, 1)); break;
    case CONDITION:
        pthread_mutex_lock(&mutex);
        while (!is_set) SAY(pthread_cond_wait(&condition, &mutex)), times++;
        SAY(times), pthread_mutex_unlock(&mutex);
        break;
    case MUTEX: SAY(pthread_mutex_lock(&mutex)), pthread_mutex_unlock(&mutex); break;
    case JOIN: SAY(pthread_join(joined, NULL)); break;
    case CHILD: SAY(waitpid(child, NULL, 0) == child); break;
    case CHILD_BY_ID: SAY(waitid(P_PID, child, &info, WEXITED)); break;
    case ANY_CHILD: SAY(waitpid(0, NULL, 0) == child); break;
    case MSGRCV: SAY(msgrcv(queue, &message, 1, 0, 0)); break;
    case FLOCK: SAY(flock(files[0], LOCK_EX)), flock(files[0], LOCK_UN); break;
    case LOCK: SAY(fcntl(files[0], F_OFD_SETLKW, &lock)), lock.l_type = F_UNLCK, fcntl(files[0], F_OFD_SETLK, &lock); break;
    case FUTEX:
        // It may have been woken before it waits.
        taken = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
        if (taken == -1 && errno == EAGAIN) taken = 0;
        SAY(taken);
        break;
    case PAUSE: SAY(pause()), SAY(handled > 0), is_set = 1; break;
    case SUSPEND: SAY(sigsuspend(&none)), SAY(handled); break;
    case SIGWAIT: SAY(sigwait(&usr1, &taken)), SAY(taken == SIGUSR1); break;
    }
    close(epoll);
    return NULL;
}
static void prepares(long way) {
    handled = is_set = word = 0;
    if (way == MUTEX) pthread_mutex_lock(&mutex);
    if (way == FLOCK) flock(files[1], LOCK_EX);
    if (way == LOCK) fcntl(files[1], F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
    if (way == JOIN && pthread_create(&joined, NULL, ends_later, NULL)) exit(3);
    if (way == CHILD || way == CHILD_BY_ID || way == ANY_CHILD) {
        child = fork();
        if (child == 0) {
            // Others of the group are not waited for.
            char byte;
            _exit(read(sockets[1], &byte, 1) != 1);
        }
    }
}
// The event that the call waits for.
static void happens(long way, pthread_t thread) {
    switch (way) {
    case POLL: case SELECT: case EPOLL: case PPOLL: case PSELECT: case EPOLL_PWAIT: case READ:
        if (write(ends[1], "x", 1) != 1) exit(6);
        break;
    case RECV: send(sockets[1], "x", 1, 0); break;
    case CHILD: case CHILD_BY_ID: case ANY_CHILD: send(sockets[0], "x", 1, 0); break;
    case ACCEPT: {
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(client, (struct sockaddr *)&name, name_length)) exit(7);
        close(client);
        break;
    }
    case SEM: case SEM_TIMED: case JOIN: sem_post(&posted); break;
    case CONDITION: pthread_mutex_lock(&mutex), is_set = 1, pthread_cond_signal(&condition), pthread_mutex_unlock(&mutex); break;
    case MUTEX: pthread_mutex_unlock(&mutex); break;
    case MSGRCV: msgsnd(queue, &(struct message){1, "x"}, 1, 0); break;
    case FLOCK: flock(files[1], LOCK_UN); break;
    case LOCK: fcntl(files[1], F_OFD_SETLK, &(struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET}); break;
    case FUTEX: __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST), syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1); break;
    case SUSPEND: case SIGWAIT: pthread_kill(thread, SIGUSR1); break;
    // It may come before the thread pauses.
    case PAUSE: while (!__atomic_load_n(&is_set, __ATOMIC_SEQ_CST)) pthread_kill(thread, SIGUSR1), usleep(1000); break;
    }
}
static void none_ends_a_call(void) {
    for (long way = 0; way < WAYS; way++) {
        pthread_t thread;
        prepares(way);
        if (pthread_create(&thread, NULL, calls, (void *)way)) exit(3);
        while (sem_wait(&ready)) {}
        usleep(1000);
        for (int i = 0; i < 12; i++) {
            kill(getpid(), idle[i % 4]), usleep(100);
            if (way != ANY_CHILD && i % 4 == 0) child_ends();
        }
        happens(way, thread);
        pthread_join(thread, NULL);
        char byte;
        if (way < READ && read(ends[0], &byte, 1) != 1) exit(8);
    }
}

// What waits for a thread that blocks it ends no call that lets it through, and is gone.
static void *lets_its_own_through(void *unused) {
    sigset_t none = set_of(0), blocked = all_idle();
    struct timespec brief = {0, 1000000};
    sigaddset(&blocked, SIGUSR2), sigaddset(&blocked, SIGRTMIN + 2);
    mask(SIG_SETMASK, blocked);
    int all[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGUSR2, SIGRTMIN + 2};
    for (int i = 0; i < 6; i++) {
        raise(all[i]), SAY(is_pending(all[i])), SAY(ppoll(NULL, 0, &brief, &none)), SAY(is_pending(all[i]));
        pthread_kill(pthread_self(), all[i]), SAY(pselect(0, NULL, NULL, NULL, &brief, &none)), SAY(is_pending(all[i]));
        raise(all[i]), mask(SIG_SETMASK, none), SAY(usleep(1000)), SAY(is_pending(all[i])), mask(SIG_SETMASK, blocked);
    }
    return unused;
}

// All block them: who waits for one gets it.
static int are_others_blocked;
static void *takes_them(void *unused) {
    sigset_t set = all_idle();
    int taken;
    mask(SIG_BLOCK, set);
    // Where they were blocked before there were threads, the kernel has some.
    while (sigtimedwait(&set, NULL, &(struct timespec){0, 0}) > 0) {}
    for (int i = 0; i < 4; i++) {
        sigset_t one = set_of(idle[i]);
        kill(getpid(), idle[i]), SAY(is_pending(idle[i])), SAY(sigwait(&one, &taken)), SAY(taken == idle[i]), SAY(is_pending(idle[i]));
    }
    child_ends(), SAY(sigwaitinfo(&set, NULL) == SIGCHLD);
    // There signalfd is the kernel's, which is not told what threads send.
    if (are_others_blocked) return unused;
    int told = signalfd(-1, &set, 0);
    struct signalfd_siginfo info;
    kill(getpid(), SIGWINCH), SAY(read(told, &info, sizeof info) == sizeof info), SAY(info.ssi_signo == SIGWINCH), close(told);
    return unused;
}

// The main thread lets them through again, or for the time of a call.
static void *kills_main(void *thread) {
    usleep(2000), kill(getpid(), SIGCHLD), usleep(1000), pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}
static void main_lets_them_through(void) {
    sigset_t none = set_of(0), set = all_idle();
    struct pollfd entry = {ends[0], POLLIN, 0};
    pthread_t self = pthread_self(), thread;
    int taken;
    for (int round = 0; round < 3; round++) {
        mask(SIG_BLOCK, set), mask(SIG_UNBLOCK, set);
        pid_t child = fork();
        if (child == 0) usleep(2000), _exit(0);
        SAY(poll(&entry, 1, 10)), SAY(waitpid(child, NULL, 0) == child);
        mask(SIG_BLOCK, set), mask(SIG_BLOCK, set_of(SIGUSR1)), handled = 0;
        if (pthread_create(&thread, NULL, kills_main, &self)) exit(3);
        SAY(sigsuspend(&none)), SAY(handled), pthread_join(thread, NULL);
        mask(SIG_UNBLOCK, set), on(SIGCHLD, counts), on(SIGCHLD, SIG_DFL), mask(SIG_BLOCK, set);
        // It is the main one's alone: the other thread that there was has ended.
        kill(getpid(), SIGCHLD), SAY(sigwait(&set, &taken)), SAY(taken == SIGCHLD);
        mask(SIG_UNBLOCK, set_of(SIGUSR1));
    }
    // What is ignored from now on waits no more.
    mask(SIG_BLOCK, set_of(SIGTERM)), raise(SIGTERM), SAY(is_pending(SIGTERM)), on(SIGTERM, SIG_IGN), SAY(is_pending(SIGTERM));
    on(SIGTERM, SIG_DFL), mask(SIG_UNBLOCK, set_of(SIGTERM)), mask(SIG_UNBLOCK, set);
}

static void *does_nothing(void *unused) { return unused; }
static void in_a_thread(void *(*routine)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, NULL)) exit(3);
    pthread_join(thread, NULL);
}

int main(int count, char **arguments) {
    (void)arguments;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sem_init(&ready, 0, 0), sem_init(&posted, 0, 0);
    char path[] = "/tmp/abaca-idle-XXXXXX";
    files[0] = mkstemp(path), files[1] = open(path, O_RDWR), unlink(path);
    queue = msgget(IPC_PRIVATE, 0600), listener = socket(AF_UNIX, SOCK_STREAM, 0), name_length = sizeof name;
    // A name that the kernel chooses.
    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t)) || listen(listener, 8)) exit(2);
    getsockname(listener, (struct sockaddr *)&name, &name_length);
    on(SIGUSR1, counts), on(SIGUSR2, SIG_IGN), on(SIGRTMIN + 2, SIG_IGN);
    if (count == 1) {
        // The other time they are blocked before there are threads.
        fflush(stdout);
        pid_t other = fork();
        if (other == 0) execl(arguments[0], arguments[0], "early", NULL), _exit(9);
        int status;
        SAY(waitpid(other, &status, 0) == other), SAY(status);
        in_a_thread(does_nothing);
    } else {
        are_others_blocked = 1;
    }
    mask(SIG_BLOCK, all_idle());
    none_ends_a_call(), in_a_thread(takes_them);
    mask(SIG_UNBLOCK, all_idle());
    in_a_thread(lets_its_own_through), main_lets_them_through();
    msgctl(queue, IPC_RMID, NULL);
}
