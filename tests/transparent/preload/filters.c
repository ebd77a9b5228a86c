// A filter of system calls that refuses what it does not know, as those of older containers do: reads and writes are as without the library.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *what, long result) { printf("%s: %ld, %s\n", what, result, result < 0 ? strerrorname_np(errno) : "no error"); }
#define SAY(what) say(#what, (long)(what))

static int fds[2];
static void *writes(void *unused) {
    struct iovec parts[2] = {{"there", 5}, {" again", 6}};
    SAY(write(fds[1], "hello", 5)), SAY(writev(fds[1], parts, 2)), SAY(close(fds[1]));
    return unused;
}
static void *moves(void *unused) {
    char buffer[16];
    struct iovec part = {buffer, sizeof buffer};
    pthread_t writer;
    if (pipe(fds)) exit(2);
    if (pthread_create(&writer, NULL, writes, NULL)) exit(3);
    for (long got, all = 0; (got = read(fds[0], buffer, sizeof buffer)); all += got)
        if (got < 0) SAY(got), exit(4);
        else if (all + got == 16) printf("all of it\n");
    pthread_join(writer, NULL), close(fds[0]);
    FILE *file = tmpfile();
    int fd = fileno(file);
    SAY(fprintf(file, "%d\n", 12345)), SAY(fflush(file)), SAY(write(fd, "abc", 3)), SAY(writev(fd, &part, 1)), SAY(pwrite(fd, "X", 1, 1));
    SAY(lseek(fd, 0, SEEK_SET)), SAY(read(fd, buffer, 4)), SAY(readv(fd, &part, 1)), SAY(pread(fd, buffer, 3, 0)), SAY(pwritev(fd, &part, 1, 3));
    SAY(preadv(fd, &part, 1, 2)), SAY(preadv2(fd, &part, 1, 2, 0)), SAY(pwritev2(fd, &part, 1, 2, 0)), fclose(file);
    int null = open("/dev/null", O_RDWR);
    SAY(write(null, buffer, 3)), SAY(read(null, buffer, 3)), close(null);
    return unused;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) exit(5);
    pthread_t thread;
    if (pthread_create(&thread, NULL, moves, NULL)) exit(6);
    pthread_join(thread, NULL);
}
