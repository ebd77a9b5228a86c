// A daemon: it sets handlers up and then closes all descriptors that it does not know, as daemons do; its threads come later. Then it
// forks children, when it has had threads, and while it has some; each child has threads of its own, which wait for each other. Threads
// fork as well: the child goes on as the thread that has forked, and ends when that and the threads that it starts have ended.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY(call) printf("%s: %ld\n", #call, (long)(call))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile sig_atomic_t handled;
static int served;

static void handler(int signal) { handled = signal; }

static void close_all(void) {
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(folder)) close(fd);
    }
    closedir(folder);
}

// Sends back what comes, and tells the others.
static void *serve(void *argument) {
    int fd = (int)(long)argument;
    char byte;
    while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1);
    close(fd);
    pthread_mutex_lock(&mutex);
    served++;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

// Ten threads, each with a connection to the caller.
static int serve_ten(void) {
    int ends[10][2], sum = 0;
    pthread_t threads[10];
    served = 0;
    for (int i = 0; i < 10; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]);
        if (pthread_create(&threads[i], NULL, serve, (void *)(long)ends[i][1])) return -1;
    }
    for (int i = 0; i < 10; i++) {
        char byte = i;
        write(ends[i][0], &byte, 1);
    }
    for (int i = 0; i < 10; i++) {
        char byte;
        if (read(ends[i][0], &byte, 1) == 1) sum += byte;
        shutdown(ends[i][0], SHUT_WR);
    }
    pthread_mutex_lock(&mutex);
    while (served < 10) pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 10; i++) {
        pthread_join(threads[i], NULL);
        close(ends[i][0]);
    }
    return sum;
}

// What a child of fork(2) does; its parent says what came of it.
static int in_child(int (*body)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(body());
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int serve_in_a_grandchild(void) { return serve_ten() == 45 ? in_child(serve_ten) : 1; }

static sem_t over;
static void *wait_until_over(void *unused) {
    sem_wait(&over);
    return unused;
}

// A handler interrupts the call of the only thread.
static int interrupted(void) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        while (1) {
            usleep(10000);
            if (kill(parent, SIGTERM)) _exit(0);
        }
    }
    struct pollfd poll_for = {ends[0], POLLIN, 0};
    int result = poll(&poll_for, 1, -1), error = errno;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR);
    close(ends[0]);
    close(ends[1]);
    return result == -1 && error == EINTR && handled == SIGTERM;
}

static pthread_t forker;

// Who has forked is who it was, and blocks what it blocked. What waits for it in the parent does not wait in the child.
static int is_the_same(void) {
    sigset_t mask, waiting;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    sigpending(&waiting);
    return pthread_equal(forker, pthread_self()) && sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGTERM)
        && !sigismember(&waiting, SIGUSR2) && !sigismember(&waiting, SIGRTMIN + 1);
}

static void *fork_in_thread(void *body) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigaddset(&mask, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_kill(pthread_self(), SIGUSR2);
    pthread_kill(pthread_self(), SIGRTMIN + 1);
    forker = pthread_self();
    return (void *)(long)in_child((int (*)(void))body);
}

static int in_a_thread(int (*body)(void)) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, fork_in_thread, (void *)body);
    pthread_join(thread, &result);
    return (int)(long)result;
}

static int told[2], told_first[2];

// Tells that it has ended when it was told to, by then the last thread.
static void *end_later(void *unused) {
    char byte;
    if (read(told_first[0], &byte, 1) == 1) write(told[1], &byte, 1);
    return unused;
}

static void *fork_and_end(void *exits) {
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, end_later, NULL);
        if (exits) pthread_exit(exits);
        return exits;
    }
    char byte = 7;
    write(told_first[1], &byte, 1);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR);
    read(told[0], &byte, 1);
    return (void *)(long)(WIFEXITED(status) ? byte * 10 + WEXITSTATUS(status) : -WTERMSIG(status));
}

static int ends(int exits) {
    pthread_t thread;
    void *result;
    pipe(told);
    pipe(told_first);
    fflush(stdout);
    pthread_create(&thread, NULL, fork_and_end, exits ? &told : NULL);
    pthread_join(thread, &result);
    for (int i = 0; i < 2; i++) close(told[i]), close(told_first[i]);
    return (int)(long)result;
}

// A routine that another thread was in when the process was copied is called again in the copy.
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pid_t waits_in;
static sem_t begun_once;
static int times;
static void routine(void) {
    times++;
    if (getpid() != waits_in) return;
    sem_post(&begun_once);
    sem_wait(&over);
}
static void *calls_once(void *unused) {
    pthread_once(&once, routine);
    return unused;
}
static int calls_it_again(void) {
    calls_once(NULL), calls_once(NULL);
    return times;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGUSR1, handler);
    close_all();
    SAY(interrupted());
    SAY(serve_ten());
    SAY(interrupted());
    SAY(in_child(serve_ten));
    SAY(in_child(interrupted));
    sem_init(&over, 0, 0);
    pthread_t waiting;
    pthread_create(&waiting, NULL, wait_until_over, NULL);
    waits_in = getpid();
    pthread_t caller;
    sem_init(&begun_once, 0, 0), pthread_create(&caller, NULL, calls_once, NULL), sem_wait(&begun_once);
    SAY(in_child(calls_it_again)), SAY(in_a_thread(calls_it_again));
    SAY(in_child(serve_in_a_grandchild));
    SAY(in_a_thread(serve_ten));
    SAY(in_a_thread(interrupted));
    SAY(in_a_thread(is_the_same));
    SAY(in_a_thread(serve_in_a_grandchild));
    SAY(ends(0));
    SAY(ends(1));
    SAY(serve_ten());
    sem_post(&over), sem_post(&over);
    SAY(pthread_join(waiting, NULL)), SAY(pthread_join(caller, NULL)), SAY(calls_it_again());
    return 0;
}
