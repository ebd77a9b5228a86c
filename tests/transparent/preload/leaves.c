// A handler that jumps out of a call in which its thread waits for a descriptor.
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static sigjmp_buf buffer;
static sem_t ready;
static int ends[2];
static void jumps(int signal) { siglongjmp(buffer, signal); }
static void *waits(void *unused) {
    char byte;
    if (sigsetjmp(buffer, 1) == 0) {
        sem_post(&ready);
        read(ends[0], &byte, 1);
    }
    puts("it goes on");
    return unused;
}

int main(void) {
    pthread_t thread;
    signal(SIGUSR1, jumps);
    sem_init(&ready, 0, 0);
    if (pipe(ends) || pthread_create(&thread, NULL, waits, NULL)) return 3;
    sem_wait(&ready);
    // The thread waits, or will: its next call runs the handler.
    pthread_kill(thread, SIGUSR1);
    return pthread_join(thread, NULL);
}
