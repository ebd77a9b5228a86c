// Look-ups of names while signals come: the name server, of this program, answers when the handler has run. The same on threads and on fibers.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAY(what) (errno = 0, printf("%s: %ld\n", #what, (long)(what)))

static struct sockaddr_in address;
static int server;
static sem_t is_asked, answers, has_handled;
static volatile sig_atomic_t handled;
static void counts(int signal) { (void)signal, handled++, sem_post(&has_handled); }

static void wait_for(sem_t *semaphore) { while (sem_wait(semaphore)) {} }

// Answers each question for an address by 10.1.2.3, and each for a name by "a.test", when it is told to.
static void *serves(void *unused) {
    unsigned char packet[600];
    for (;;) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof from;
        if (recvfrom(server, packet, 512, 0, (void *)&from, &bytes) < 12) return unused;
        unsigned char *end = packet + 12;
        while (*end) end += *end + 1;
        int kind = end[1] << 8 | end[2];
        end += 5;
        packet[2] = 0x81, packet[3] = 0x80, memset(packet + 6, 0, 6);
        static const unsigned char number[16] = {0xc0, 12, 0, T_A, 0, C_IN, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
        static const unsigned char name[20] = {0xc0, 12, 0, T_PTR, 0, C_IN, 0, 0, 0, 60, 0, 8, 1, 'a', 4, 't', 'e', 's', 't', 0};
        if (kind == T_A) packet[7] = 1, memcpy(end, number, sizeof number), end += sizeof number;
        if (kind == T_PTR) packet[7] = 1, memcpy(end, name, sizeof name), end += sizeof name;
        sem_post(&is_asked), wait_for(&answers);
        sendto(server, packet, end - packet, 0, (void *)&from, bytes);
    }
}

static void look_up(int way) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct sockaddr_in number = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010203)};
    struct hostent *host, entry;
    unsigned char answer[600];
    char room[1000];
    int error;
    switch (way) {
    case 0: SAY(error = getaddrinfo("one.test", "80", &hints, &list)); if (!error) SAY(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr), freeaddrinfo(list); break;
    case 1: SAY(gethostbyname_r("two.test", &entry, room, sizeof room, &host, &error)), SAY(host != NULL); break;
    case 2: host = gethostbyname("three.test"), SAY(host != NULL); break;
    case 3: SAY(res_query("four.test", C_IN, T_A, answer, sizeof answer) > 0); break;
    default: SAY(getnameinfo((void *)&number, sizeof number, room, sizeof room, NULL, 0, NI_NAMEREQD)), puts(room); break;
    }
}
static void *looks_up(void *way) {
    res_init(), _res.nscount = 1, _res.nsaddr_list[0] = address, _res.retrans = 30, _res.retry = 1;
    look_up((int)(long)way);
    return NULL;
}
static void *never_returns(void *way) {
    looks_up(way);
    // If no cancellation has ended it so far.
    for (;;) pause();
    return NULL;
}

int main(void) {
    pthread_t serving, asking;
    socklen_t bytes = sizeof address;
    alarm(100);
    server = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(server, (void *)&address, bytes), getsockname(server, (void *)&address, &bytes);
    sem_init(&is_asked, 0, 0), sem_init(&answers, 0, 0), sem_init(&has_handled, 0, 0);
    pthread_create(&serving, NULL, serves, NULL);
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        struct sigaction action = {.sa_handler = counts, .sa_flags = flags};
        sigaction(SIGUSR1, &action, NULL);
        for (long way = 0; way < 5; way++) {
            handled = 0;
            pthread_create(&asking, NULL, looks_up, (void *)way), wait_for(&is_asked);
            // One during the call, and one that is sent when the answer may have come.
            SAY(pthread_kill(asking, SIGUSR1)), wait_for(&has_handled), SAY(handled);
            sem_post(&answers), SAY(pthread_kill(asking, SIGUSR1) & ~ESRCH);
            pthread_join(asking, NULL);
            while (!sem_trywait(&has_handled)) {}
        }
    }
    pthread_create(&asking, NULL, never_returns, (void *)0L), wait_for(&is_asked);
    void *value;
    SAY(pthread_cancel(asking)), sem_post(&answers), SAY(pthread_join(asking, &value)), SAY(value == PTHREAD_CANCELED);
    fflush(NULL), _exit(0);
}
