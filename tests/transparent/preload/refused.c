// Filters of system calls that refuse what threads do without: the program runs as without the library, whether the filter was there before it or is its own.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipes[2], listener;
static struct sockaddr_in address;
static void *connects(void *unused) {
    char bytes[8];
    int end = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(end, (void *)&address, sizeof address) || send(end, "question", 8, 0) != 8) exit(11);
    if (read(end, bytes, 6) != 6 || read(pipes[0], bytes, 4) != 4 || close(end)) exit(12);
    return unused;
}
static void *serves(void *unused) {
    socklen_t bytes = sizeof address;
    char question[8];
    pthread_t thread;
    listener = socket(AF_INET, SOCK_STREAM, 0), address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&address, bytes) || listen(listener, 1) || getsockname(listener, (void *)&address, &bytes) || pipe(pipes)) exit(13);
    if (pthread_create(&thread, NULL, connects, NULL)) exit(14);
    int end = accept(listener, NULL, NULL);
    if (end < 0 || recv(end, question, 8, MSG_WAITALL) != 8 || write(end, "answer", 6) != 6 || usleep(1000) || write(pipes[1], "that", 4) != 4) exit(15);
    pthread_join(thread, NULL);
    return unused;
}
static void program(void) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, serves, NULL);
    if (error) exit(16);
    pthread_join(thread, NULL), exit(0);
}

static void refuse(int call, int error) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) exit(17);
}

int main(int count, char **arguments) {
    static const struct { const char *name; int call; } all[] = {
        {"gettid", SYS_gettid}, {"prlimit64", SYS_prlimit64}, {"ppoll", SYS_ppoll}, {"accept4", SYS_accept4}, {"recvmsg", SYS_recvmsg}, {"sendmsg", SYS_sendmsg},
        {"getsockopt", SYS_getsockopt}, {"epoll_create1", SYS_epoll_create1}, {"epoll_ctl", SYS_epoll_ctl}, {"eventfd2", SYS_eventfd2}, {"timerfd_create", SYS_timerfd_create},
    };
    if (count > 1) program();
    for (size_t at = 0; at < sizeof all / sizeof *all; at++)
        for (int way = 0; way < 4; way++) {
            int status;
            fflush(stdout);
            pid_t child = fork();
            if (child == 0) {
                // What is said of it is not what is compared.
                int null = open("/dev/null", O_WRONLY);
                dup2(null, 2), close(null), refuse(all[at].call, way & 1 ? EPERM : ENOSYS);
                if (way & 2) program();
                execl("/proc/self/exe", arguments[0], "program", NULL), exit(18);
            }
            waitpid(child, &status, 0);
            printf("%s refused, %s, %s: %x\n", all[at].name, way & 1 ? "EPERM" : "ENOSYS", way & 2 ? "by itself" : "from the start", status);
        }
}
