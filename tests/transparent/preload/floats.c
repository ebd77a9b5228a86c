// How threads compute with numbers: rounding modes, traps and denormal numbers are each thread's, and a thread begins with its creator's.
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
static const char *const names[] = {"nearest", "upward", "downward", "to zero"};
static const char *name(void) {
    for (int i = 0; i < 4; i++)
        if (fegetround() == modes[i]) return names[i];
    return "unknown";
}
// The sign of the sum of a third and of its negative, and of those of long doubles, which x86 computes elsewhere: 0 unless the mode is up or down.
static int sign(long double sum) { return (sum > 0) - (sum < 0); }
static int thirds(void) {
    volatile double one = 1, minus = -1, three = 3;
    volatile long double long_one = 1, long_minus = -1, long_three = 3;
    double third = one / three, other = minus / three;
    long double long_third = long_one / long_three, long_other = long_minus / long_three;
    return 10 * sign(third + other) + sign(long_third + long_other);
}

static pthread_barrier_t all;
static void *keeps(void *number) {
    int own = (int)(long)number;
    fesetround(modes[own]);
    int first = thirds(), same = 1;
    for (int round = 0; round < 20; round++) {
        pthread_barrier_wait(&all);
        if (round % 5 == own) usleep(100);
        same &= fegetround() == modes[own] && thirds() == first;
    }
    printf("thread %d: %s, %d, %s\n", own, name(), first, same ? "the same after each wait" : "changed");
    return NULL;
}
static void *tells(void *what) {
    usleep(100);
    printf("%s: %s, traps %s\n", (const char *)what, name(), fegetexcept() & FE_DIVBYZERO ? "on" : "off");
    return NULL;
}
static void *creates(void *unused) {
    pthread_t children[2];
    fesetround(FE_UPWARD), feenableexcept(FE_DIVBYZERO);
    pthread_create(&children[0], NULL, tells, "child of upward");
    fesetround(FE_TONEAREST), fedisableexcept(FE_ALL_EXCEPT);
    pthread_create(&children[1], NULL, tells, "child of nearest");
    for (int i = 0; i < 2; i++) pthread_join(children[i], NULL);
    printf("creator: %s\n", name());
    return unused;
}
// What has happened is told of the caller's own, and of its creator's before.
#if !defined(__aarch64__)
static const char *flags(void) {
    static __thread char text[40];
    int now = fetestexcept(FE_ALL_EXCEPT);
    snprintf(text, sizeof text, "%s%s%s%s", now & FE_DIVBYZERO ? "by zero " : "", now & FE_INEXACT ? "inexact " : "", now & FE_INVALID ? "invalid " : "", now & FE_OVERFLOW ? "overflow" : "");
    return text;
}
static pthread_barrier_t four;
static void *child_of_flags(void *unused) {
    usleep(100), printf("child: %s\n", flags());
    return unused;
}
static void *raises(void *number) {
    volatile double zero = 0, one = 1, three = 3, most = 1e308, result __attribute__((unused));
    int own = (int)(long)number;
    feclearexcept(FE_ALL_EXCEPT), pthread_barrier_wait(&four);
    if (own == 1) result = one / zero;
    if (own == 2) result = one / three;
    if (own == 3) result = zero / zero, result = most * most;
    for (int round = 0; round < 5; round++) {
        pthread_barrier_wait(&four);
        if (round == own) usleep(100);
        printf("raises %d, round %d: %s\n", own, round, flags());
    }
    pthread_t child;
    if (own == 1) pthread_create(&child, NULL, child_of_flags, NULL), pthread_join(child, NULL), feclearexcept(FE_DIVBYZERO), usleep(100), printf("cleared: %s\n", flags());
    return NULL;
}
static void all_flags(void) {
    pthread_t threads[4];
    pthread_barrier_init(&four, NULL, 4), feclearexcept(FE_ALL_EXCEPT);
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, raises, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    pthread_create(&threads[0], NULL, child_of_flags, NULL), pthread_join(threads[0], NULL), printf("main: %s\n", flags());
    volatile double most = 1e308, result __attribute__((unused)) = most * most;
    pthread_create(&threads[0], NULL, child_of_flags, NULL), pthread_join(threads[0], NULL), printf("main: %s\n", flags());
}
#endif
#if defined(__x86_64__)
static void *flushes(void *unused) {
    volatile float least = 1e-38f, thousand = 1000;
    _mm_setcsr(_mm_getcsr() | 0x8040);
    usleep(100);
    printf("flushes: %s\n", least / thousand == 0 ? "to zero" : "not");
    return unused;
}
static void *does_not_flush(void *unused) {
    volatile float least = 1e-38f, thousand = 1000;
    for (int round = 0; round < 3; round++) usleep(100);
    printf("does not: %s\n", least / thousand == 0 ? "to zero" : "not");
    return unused;
}
// What one divides by zero traps nobody else, though another does trap: x87 keeps what has happened until somebody asks, or wants it to trap.
static atomic_int has_computed;
static void *traps(void *unused) {
    volatile long double sum = 0;
    feenableexcept(FE_DIVBYZERO | FE_INVALID);
    for (int round = 0; round < 20; round++) usleep(100), sum += 1;
    has_computed = 1;
    printf("traps: %d\n", (int)sum);
    return unused;
}
static void *divides(void *unused) {
    volatile long double zero = 0, one = 1, quotient = 0;
    while (!has_computed) quotient = one / zero, usleep(50);
    printf("divides: %d\n", quotient > 1);
    return unused;
}
#endif

int main(void) {
    pthread_t threads[4];
#if !defined(__aarch64__)
    // Before long doubles raise those of x87.
    all_flags();
#endif
    pthread_barrier_init(&all, NULL, 4);
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, keeps, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    // Those that come next have the stacks of these.
    pthread_create(&threads[0], NULL, tells, "after those"), pthread_join(threads[0], NULL);
    pthread_create(&threads[0], NULL, creates, NULL), pthread_join(threads[0], NULL);
    fesetround(FE_DOWNWARD);
    pthread_create(&threads[0], NULL, tells, "child of main"), pthread_join(threads[0], NULL);
    fesetround(FE_TONEAREST);
#if defined(__x86_64__)
    pthread_create(&threads[0], NULL, flushes, NULL), pthread_create(&threads[1], NULL, does_not_flush, NULL);
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
    pthread_create(&threads[0], NULL, traps, NULL), pthread_create(&threads[1], NULL, divides, NULL);
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
#endif
    printf("main: %s\n", name());
    return 0;
}
