// A thread's own settings of the resolver (_res): its look-ups ask the server that it has set, here one of this program's; those of another thread do not.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

static struct sockaddr_in address;
static int server;

// Answers each question for an address by 10.1.2.3, but for those for a name that begins with an x, which there is none of.
static void *serves(void *unused) {
    unsigned char packet[600];
    for (;;) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof from;
        if (recvfrom(server, packet, 512, 0, (void *)&from, &bytes) < 12) return unused;
        unsigned char *end = packet + 12;
        int is_unknown = end[1] == 'x';
        while (*end) end += *end + 1;
        int kind = end[1] << 8 | end[2];
        end += 5;
        packet[2] = 0x81, packet[3] = is_unknown ? 0x83 : 0x80;
        memset(packet + 6, 0, 6);
        if (!is_unknown && kind == T_A) {
            static const unsigned char record[16] = {0xc0, 12, 0, T_A, 0, C_IN, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
            packet[7] = 1;
            memcpy(end, record, sizeof record), end += sizeof record;
        }
        sendto(server, packet, end - packet, 0, (void *)&from, bytes);
    }
}

static void *asks(void *unused) {
    unsigned char answer[600];
    char here[] = "here.test";
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct hostent *host, entry;
    int length, error;
    char room[1000];
    SAY(res_init());
    _res.nscount = 1, _res.nsaddr_list[0] = address, _res.retrans = 30, _res.retry = 1;
    _res.dnsrch[0] = here, _res.dnsrch[1] = NULL;
    SAY(length = res_query("one.test", C_IN, T_A, answer, sizeof answer)), SAY(length > 4 && answer[length - 4] == 10);
    SAY(res_query("xone.test", C_IN, T_A, answer, sizeof answer)), SAY(h_errno);
    SAY(length = res_search("two", C_IN, T_A, answer, sizeof answer)), SAY(length > 4 && answer[length - 1] == 3);
    host = gethostbyname("three.test"), printf("%s\n", host ? inet_ntoa(*(struct in_addr *)host->h_addr) : hstrerror(h_errno));
    SAY(gethostbyname_r("xfour.test", &entry, room, sizeof room, &host, &error)), SAY(host == NULL), SAY(error);
    SAY(error = getaddrinfo("five.test", "80", &hints, &list));
    if (!error) printf("%s\n", inet_ntoa(((struct sockaddr_in *)list->ai_addr)->sin_addr)), freeaddrinfo(list);
    SAY(_res.nscount), SAY(_res.retry), SAY(_res.dnsrch[0] == here), SAY(_res.nsaddr_list[0].sin_port == address.sin_port);
    return unused;
}

static void *has_others(void *unused) {
    SAY(_res.options & RES_INIT);
    SAY(res_init()), SAY(_res.nsaddr_list[0].sin_port == address.sin_port), SAY(_res.retry);
    return unused;
}

static void *all(void *unused) {
    pthread_t answers, other;
    socklen_t bytes = sizeof address;
    server = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(server, (void *)&address, bytes), getsockname(server, (void *)&address, &bytes);
    pthread_create(&answers, NULL, serves, NULL);
    asks(NULL);
    // Another one's stay as they are, also after look-ups by this one's settings.
    pthread_create(&other, NULL, has_others, NULL), pthread_join(other, NULL);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, all, NULL);
    pthread_join(thread, NULL);
    return 0;
}
