// An exception of another language that nobody in its thread catches: whoever throws it is told, as C++ is, which then calls std::terminate. The
// same on threads and on fibers.
#include <pthread.h>
#include <stdio.h>
#include <threads.h>
#include <unwind.h>

static int throw_it(void) {
    struct _Unwind_Exception exception = {.exception_class = 0x4142434443000000};
    // It returns if nobody is found who catches.
    return _Unwind_RaiseException(&exception) != _URC_NO_REASON;
}
static void *throws(void *unused) {
    printf("pthread: %d\n", throw_it());
    return unused;
}
static int throws_as_c11(void *unused) { return throw_it(); }
// What libc unwinds by goes on.
static void clean(void *unused) { printf("clean\n"); }
static void *exits(void *unused) {
    pthread_cleanup_push(clean, NULL);
    throw_it(), pthread_exit((void *)7);
    pthread_cleanup_pop(0);
    return unused;
}

int main(void) {
    pthread_t thread;
    thrd_t other;
    void *value;
    int result;
    pthread_create(&thread, NULL, throws, NULL), pthread_join(thread, NULL);
    thrd_create(&other, throws_as_c11, NULL), thrd_join(other, &result), printf("thrd: %d\n", result);
    pthread_create(&thread, NULL, exits, NULL), pthread_join(thread, &value), printf("exit: %ld\n", (long)value);
    return 0;
}
