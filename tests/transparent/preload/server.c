// A server with a thread for each connection, as one writes it in C: answers each line with its number. Prints its port. Ends when a
// client sends "end".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long lines, open_now, most;
static int ends;

static void *serve(void *argument) {
    int fd = (int)(long)argument;
    char line[128], answer[64];
    FILE *in = fdopen(dup(fd), "r");
    pthread_mutex_lock(&mutex);
    if (++open_now > most) most = open_now;
    pthread_mutex_unlock(&mutex);
    size_t length = 0;
    char byte;
    while (recv(fd, &byte, 1, 0) == 1) {
        if (byte != '\n') {
            if (length < sizeof line - 1) line[length++] = byte;
            continue;
        }
        line[length] = 0;
        length = 0;
        pthread_mutex_lock(&mutex);
        long number = ++lines;
        if (!strcmp(line, "end")) ends = 1, pthread_cond_signal(&changed);
        pthread_mutex_unlock(&mutex);
        int bytes = snprintf(answer, sizeof answer, "%s is line %ld\n", line, number);
        if (write(fd, answer, bytes) != bytes) break;
    }
    fclose(in);
    close(fd);
    pthread_mutex_lock(&mutex);
    open_now--;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *accepts(void *argument) {
    int listener = (int)(long)argument;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) { perror("accept"); exit(2); }
        if (pthread_create(&thread, &attr, serve, (void *)(long)fd)) { fputs("no thread\n", stderr); exit(3); }
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, size) || listen(listener, 1000) || getsockname(listener, (void *)&address, &size)) {
        perror("listen");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_t acceptor;
    pthread_create(&acceptor, NULL, accepts, (void *)(long)listener);
    pthread_mutex_lock(&mutex);
    while (!ends) pthread_cond_wait(&changed, &mutex);
    printf("%ld lines, at most %ld at once\n", lines, most);
    return 0;
}
