// Threads that want to end wherever they are (PTHREAD_CANCEL_ASYNCHRONOUS), and compute: without a call, and with calls that are no cancellation points.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile long count;
static volatile int is_ready, cleaned, may_go_on, is_in_handler, has_returned;
static void cleans(void *unused) {
    (void)unused;
    // What a clean-up handler waits for is waited for.
    struct timespec brief = {0, 1000000};
    nanosleep(&brief, NULL), cleaned++;
}
static void ends_anywhere(void) { pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL); }

static void *computes(void *unused) {
    pthread_cleanup_push(cleans, NULL);
    ends_anywhere(), is_ready = 1;
    for (;;) count++;
    pthread_cleanup_pop(0);
    return unused;
}
static void *calls(void *unused) {
    pthread_cleanup_push(cleans, NULL);
    ends_anywhere(), is_ready = 1;
    for (;;) sched_yield(), count += pthread_self() != 0;
    pthread_cleanup_pop(0);
    return unused;
}
// Deeper than one frame, in another one's.
static void deep(int frames) {
    pthread_cleanup_push(cleans, NULL);
    if (frames > 0) deep(frames - 1);
    is_ready = 1;
    for (;;) count++;
    pthread_cleanup_pop(0);
}
static void *computes_deeply(void *unused) { return ends_anywhere(), deep(5), unused; }
// It is not to end, and computes until it is told to go on.
static void *is_disabled(void *unused) {
    pthread_cleanup_push(cleans, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), ends_anywhere(), is_ready = 1;
    while (!may_go_on) count++;
    has_returned = 1, pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), has_returned = 2;
    pthread_cleanup_pop(0);
    return unused;
}
static void *is_deferred(void *unused) {
    pthread_cleanup_push(cleans, NULL);
    is_ready = 1;
    while (!may_go_on) count++;
    has_returned = 1, pthread_testcancel(), has_returned = 2;
    pthread_cleanup_pop(0);
    return unused;
}
// It may have ended by itself.
static void *ends_soon(void *unused) {
    ends_anywhere(), is_ready = 1;
    for (int i = 0; i < 2000; i++) count++;
    return unused;
}

static void one(const char *name, void *(*routine)(void *), int goes_on) {
    pthread_t thread;
    void *value = NULL;
    is_ready = cleaned = may_go_on = has_returned = 0;
    if (pthread_create(&thread, NULL, routine, NULL)) exit(3);
    while (!is_ready) sched_yield();
    int error = pthread_cancel(thread);
    if (goes_on) may_go_on = 1;
    pthread_join(thread, &value);
    printf("%s: %d, %s, cleaned %d, after %d\n", name, error, value == PTHREAD_CANCELED ? "cancelled" : "returned", cleaned, has_returned);
}
static void all(const char *by) {
    puts(by);
    for (int round = 0; round < 20; round++) {
        one("computes", computes, 0), one("calls", calls, 0), one("computes deeply", computes_deeply, 0);
        one("is disabled", is_disabled, 1), one("is deferred", is_deferred, 1);
    }
    for (int round = 0; round < 300; round++) {
        pthread_t thread;
        is_ready = 0;
        if (pthread_create(&thread, NULL, ends_soon, NULL)) exit(3);
        while (!is_ready) sched_yield();
        pthread_cancel(thread), pthread_join(thread, NULL);
    }
}
static void *by_a_thread(void *unused) { return all("by a thread"), unused; }

int main(void) {
    pthread_t thread;
    alarm(200), setvbuf(stdout, NULL, _IOLBF, 0);
    all("by the main thread");
    pthread_create(&thread, NULL, by_a_thread, NULL), pthread_join(thread, NULL);
}
