// A function within a function, of which the address is taken: GCC puts code for it on the stack of the thread. Other compilers have no such functions.
#include <pthread.h>
#include <stdio.h>

#if defined(__GNUC__) && !defined(__clang__)
static int call(int (*function)(int), int argument) {
    return function(argument);
}

static void *sums(void *argument) {
    long sum = *(int *)argument;
    int add(int number) {
        sum += number;
        return number;
    }
    for (int i = 1; i <= 10; i++) call(add, i);
    *(int *)argument = sum;
    return NULL;
}
#else
static void *sums(void *argument) {
    *(int *)argument += 55;
    return NULL;
}
#endif

int main(void) {
    pthread_t threads[10];
    int numbers[10];
    for (int i = 0; i < 10; i++) numbers[i] = i, pthread_create(&threads[i], NULL, sums, &numbers[i]);
    for (int i = 0; i < 10; i++) pthread_join(threads[i], NULL), printf("%d\n", numbers[i]);
    return 0;
}
