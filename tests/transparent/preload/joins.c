// Joins of the main thread, of a copy's thread that has forked, and of a thread that joins its joiner and was cancelled; copies of messages in a queue.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

static sem_t done;
static void *joins_and_ends(void *of_whom) {
    void *result = NULL;
    SAY(pthread_join((pthread_t)of_whom, &result)), SAY(result);
    fflush(stdout);
    _exit(7);
}
static void *joins(void *of_whom) {
    SAY(pthread_join((pthread_t)of_whom, NULL));
    return NULL;
}

// What is sent to a copy's first thread ends its call.
static volatile int was_ended;
static void does_nothing(int signal) { (void)signal; }
static void *kills(void *whom) {
    while (!was_ended) pthread_kill((pthread_t)whom, SIGUSR1), pthread_sigqueue((pthread_t)whom, SIGUSR2, (union sigval){0}), usleep(1000);
    return NULL;
}
static void is_killed(void) {
    int ends[2];
    char byte;
    pthread_t killer;
    struct sigaction action = {.sa_handler = does_nothing};
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL);
    if (pipe(ends)) exit(3);
    pthread_create(&killer, NULL, kills, (void *)pthread_self());
    SAY(read(ends[0], &byte, 1)), SAY(errno == EINTR);
    was_ended = 1;
    pthread_join(killer, NULL);
}

// The copy's first thread is the one that has forked.
static void *forks(void *unused) {
    for (int ends = 0; ends < 2; ends++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            pthread_t joiner;
            is_killed();
            pthread_create(&joiner, NULL, joins_and_ends, (void *)pthread_self());
            if (ends) return (void *)43;
            pthread_exit((void *)42);
        }
        int status = 0;
        SAY(waitpid(child, &status, 0) == child), SAY(WEXITSTATUS(status));
    }
    sem_post(&done);
    return unused;
}

static void *circle(void *unused) {
    pthread_t other;
    void *result = NULL;
    SAY(pthread_join(pthread_self(), NULL));
    pthread_create(&other, NULL, joins, (void *)pthread_self());
    // It joins this thread by now or does so later, and ends all the same.
    for (int i = 0; i < 20; i++) usleep(1000);
    SAY(pthread_cancel(other)), SAY(pthread_join(other, &result)), SAY(result == PTHREAD_CANCELED);
    sem_post(&done);
    return unused;
}

// Only one that waits for nothing may copy a message.
static void *copies(void *unused) {
    struct { long kind; char text[8]; } message = {1, "text"};
    int queue = msgget(IPC_PRIVATE, 0600);
    SAY(msgrcv(queue, &message, 8, 0, MSG_COPY)), SAY(errno);
    SAY(msgrcv(queue, &message, 8, 0, MSG_COPY | IPC_NOWAIT)), SAY(errno);
    SAY(msgsnd(queue, &message, 8, 0)), SAY(msgrcv(queue, &message, 8, 0, MSG_COPY | IPC_NOWAIT));
    msgctl(queue, IPC_RMID, NULL), sem_post(&done);
    return unused;
}

int main(void) {
    pthread_t thread;
    void *(*routines[])(void *) = {forks, circle, copies};
    // Nobody joins these but who is told to.
    for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, routines[i], NULL), sem_wait(&done);
    pthread_create(&thread, NULL, joins_and_ends, (void *)pthread_self());
    pthread_exit((void *)41);
}
