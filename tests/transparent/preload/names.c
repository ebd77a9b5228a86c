// Functions that go by rare names of libc's, each called where it has to wait if it ever waits: the same on threads and on fibers. They are
// asked for by name, as programs of other compilers and languages have them; what this libc does not have is passed over.
#define _GNU_SOURCE
#include <aio.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <locale.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <setjmp.h>
#include <shadow.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <threads.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

static FILE *said;
static void *libc;
// The function that a program finds under this name, if libc has one, be it only for programs of older days.
static void *find(const char *name) {
    void *own = dlsym(libc, name), *function = NULL;
    if (!own) own = dlvsym(libc, name, "GLIBC_2.2.5");
    if (own && !(function = dlsym(RTLD_DEFAULT, name))) function = own;
    fprintf(said, "%s: ", name);
    if (!function) fprintf(said, "not here\n");
    return function;
}
#define SAY(text, ...) fprintf(said, text "\n", ##__VA_ARGS__)
// Calls `f`, which has this name and type, in the statements that follow.
#define WITH(name, result, ...) for (result (*f)(__VA_ARGS__) = find(#name); f; f = NULL)

// A file to read from, into which somebody writes this text a little later; and one to write to, which is full until somebody reads.
static pthread_t other;
static int inside;
static char filler[65536];
static void *writes(void *text) {
    poll(NULL, 0, 2);
    if (write(inside, text, strlen(text)) < 0) exit(3);
    close(inside);
    return NULL;
}
static int fed(const char *text) {
    int ends[2];
    if (pipe(ends)) exit(3);
    inside = ends[1];
    pthread_create(&other, NULL, writes, (void *)text);
    return ends[0];
}
static FILE *feed(const char *text) { return fdopen(fed(text), "r"); }
static void *reads(void *unused) {
    static char bytes[65536];
    long all = 0, part;
    poll(NULL, 0, 2);
    while ((part = read(inside, bytes, sizeof bytes)) > 0) all += part;
    close(inside);
    return (void *)(all - (long)sizeof filler);
}
static int full(void) {
    int ends[2];
    if (pipe(ends)) exit(3);
    fcntl(ends[1], F_SETPIPE_SZ, sizeof filler);
    if (write(ends[1], filler, sizeof filler) != sizeof filler) exit(3);
    inside = ends[0];
    pthread_create(&other, NULL, reads, NULL);
    return ends[1];
}
static long moved(void) {
    void *count;
    pthread_join(other, &count);
    return (long)count;
}
// Puts a file in the place of a standard one, and back.
static FILE *usual;
static void from(const char *text) { usual = stdin, stdin = feed(text); }
static void from_usual(void) { fclose(stdin), stdin = usual, pthread_join(other, NULL); }
static void to_full(void) { usual = stdout, stdout = fdopen(full(), "w"); }
static long to_usual(void) { fclose(stdout), stdout = usual; return moved(); }

static void readers(void) {
    char text[100];
    wchar_t wide[100];
    WITH(getchar, int, void) from("x"), SAY("%d", f()), from_usual();
    WITH(getchar_unlocked, int, void) from("y"), SAY("%d", f()), from_usual();
    WITH(getwchar, wint_t, void) from("\u00e4"), SAY("%d", f()), from_usual();
    WITH(getwchar_unlocked, wint_t, void) from("\u00f6"), SAY("%d", f()), from_usual();
    WITH(__fread_unlocked_chk, size_t, void *, size_t, size_t, size_t, FILE *) {
        FILE *file = feed("abcd");
        SAY("%zu", f(text, sizeof text, 1, 4, file)), fclose(file), pthread_join(other, NULL);
    }
    WITH(__fgets_unlocked_chk, char *, char *, size_t, int, FILE *) {
        FILE *file = feed("a line\n");
        SAY("%s", f(text, sizeof text, 50, file)), fclose(file), pthread_join(other, NULL);
    }
    WITH(__fgetws_unlocked_chk, wchar_t *, wchar_t *, size_t, int, FILE *) {
        FILE *file = feed("wide\n");
        SAY("%d", f(wide, 100, 50, file) != NULL), fclose(file), pthread_join(other, NULL);
    }
    WITH(preadv64v2, ssize_t, int, const struct iovec *, int, off64_t, int) {
        int fd = fed("abc");
        SAY("%zd", f(fd, &(struct iovec){text, 3}, 1, -1, 0)), close(fd), pthread_join(other, NULL);
    }
    WITH(pwritev64v2, ssize_t, int, const struct iovec *, int, off64_t, int) {
        int fd = full();
        SAY("%zd", f(fd, &(struct iovec){filler, 5000}, 1, -1, 0)), close(fd), SAY("%ld", moved());
    }
    WITH(__ppoll_chk, int, struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t) {
        struct pollfd one = {fed("x"), POLLIN, 0};
        SAY("%d", f(&one, 1, NULL, NULL, sizeof one)), close(one.fd), pthread_join(other, NULL);
    }
    WITH(__pread64_chk, ssize_t, int, void *, size_t, off64_t, size_t) {
        int fd = open("/etc/passwd", O_RDONLY);
        SAY("%zd", f(fd, text, 10, 0, sizeof text)), close(fd);
    }
}

static int vscan(int (*f)(const char *, va_list), const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(form, list);
    va_end(list);
    return got;
}
static int vfscan(int (*f)(FILE *, const char *, va_list), FILE *file, const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(file, form, list);
    va_end(list);
    return got;
}
#define SCANS(name) WITH(name, int, const char *, ...) { int n = 0; from("17 "); int got = f("%d", &n); SAY("%d %d", got, n), from_usual(); }
#define FSCANS(name) WITH(name, int, FILE *, const char *, ...) { int n = 0; FILE *file = feed("18 "); int got = f(file, "%d", &n); SAY("%d %d", got, n), fclose(file), pthread_join(other, NULL); }
#define VSCANS(name) WITH(name, int, const char *, va_list) { int n = 0; from("19 "); int got = vscan(f, "%d", &n); SAY("%d %d", got, n), from_usual(); }
#define VFSCANS(name) WITH(name, int, FILE *, const char *, va_list) { int n = 0; FILE *file = feed("20 "); int got = vfscan(f, file, "%d", &n); SAY("%d %d", got, n), fclose(file), pthread_join(other, NULL); }
static void scanners(void) {
    SCANS(scanf) SCANS(__isoc99_scanf) SCANS(__isoc23_scanf)
    FSCANS(fscanf) FSCANS(__isoc99_fscanf) FSCANS(__isoc23_fscanf)
    VSCANS(vscanf) VSCANS(__isoc99_vscanf) VSCANS(__isoc23_vscanf)
    VFSCANS(vfscanf) VFSCANS(__vfscanf) VFSCANS(__isoc99_vfscanf) VFSCANS(__isoc23_vfscanf)
}

static int vform(int (*f)(const char *, va_list), const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(form, list);
    va_end(list);
    return got;
}
static int vform_checked(int (*f)(int, const char *, va_list), int flag, const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(flag, form, list);
    va_end(list);
    return got;
}
static int vfform(int (*f)(void *, const char *, va_list), void *to, const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(to, form, list);
    va_end(list);
    return got;
}
static int vfform_checked(int (*f)(void *, int, const char *, va_list), void *to, int flag, const char *form, ...) {
    va_list list;
    va_start(list, form);
    int got = f(to, flag, form, list);
    va_end(list);
    return got;
}
#define LONG "%70000d"
// The functions that write to a file, or to standard output, or to a descriptor.
#define PRINTS(name, call) WITH(name, int, int, ...) { to_full(); int got = call; SAY("%d %ld", got, to_usual()); }
#define PRINTS_TO(name, call) WITH(name, int, int, ...) { FILE *file = fdopen(full(), "w"); int got = call; fclose(file), SAY("%d %ld", got, moved()); }
#define PRINTS_AT(name, call) WITH(name, int, int, ...) { int fd = full(), got = call; close(fd), SAY("%d %ld", got, moved()); }
#define CAST(...) ((int (*)(__VA_ARGS__))f)
static void printers(void) {
    PRINTS(printf, CAST(const char *, ...)(LONG, 5)) PRINTS(_IO_printf, CAST(const char *, ...)(LONG, 5))
    PRINTS(__printf_chk, CAST(int, const char *, ...)(1, LONG, 5))
    PRINTS(vprintf, vform(CAST(const char *, va_list), LONG, 5))
    PRINTS(__vprintf_chk, vform_checked(CAST(int, const char *, va_list), 1, LONG, 5))
    PRINTS_TO(fprintf, CAST(FILE *, const char *, ...)(file, LONG, 5)) PRINTS_TO(_IO_fprintf, CAST(FILE *, const char *, ...)(file, LONG, 5))
    PRINTS_TO(vfprintf, vfform(CAST(void *, const char *, va_list), file, LONG, 5))
    PRINTS_TO(_IO_vfprintf, vfform(CAST(void *, const char *, va_list), file, LONG, 5))
    PRINTS_TO(__fprintf_chk, CAST(FILE *, int, const char *, ...)(file, 1, LONG, 5))
    PRINTS_TO(__vfprintf_chk, vfform_checked(CAST(void *, int, const char *, va_list), file, 1, LONG, 5))
    WITH(vdprintf, int, int, const char *, va_list) {
        int fd = full(), got = vfform((int (*)(void *, const char *, va_list))f, (void *)(long)fd, LONG, 5);
        close(fd), SAY("%d %ld", got, moved());
    }
    WITH(__vdprintf_chk, int, int, int, const char *, va_list) {
        int fd = full(), got = vfform_checked((int (*)(void *, int, const char *, va_list))f, (void *)(long)fd, 1, LONG, 5);
        close(fd), SAY("%d %ld", got, moved());
    }
    PRINTS(putchar, ({ int last = 0; for (int i = 0; i < 5000; i++) last = CAST(int)('a'); last; }))
    PRINTS(putchar_unlocked, ({ int last = 0; for (int i = 0; i < 5000; i++) last = CAST(int)('b'); last; }))
    PRINTS(_IO_puts, CAST(const char *)("a line"))
    PRINTS(putwchar, ({ int last = 0; for (int i = 0; i < 3000; i++) last = CAST(wchar_t)(L'\u00e4'); last; }))
    PRINTS(putwchar_unlocked, ({ int last = 0; for (int i = 0; i < 3000; i++) last = CAST(wchar_t)(L'\u00f6'); last; }))
    PRINTS(wprintf, CAST(const wchar_t *, ...)(L"%70000d", 5)) PRINTS(__wprintf_chk, CAST(int, const wchar_t *, ...)(1, L"%70000d", 5))
    PRINTS(vwprintf, vform((int (*)(const char *, va_list))f, (const char *)L"%70000d", 5))
    PRINTS(__vwprintf_chk, vform_checked((int (*)(int, const char *, va_list))f, 1, (const char *)L"%70000d", 5))
    PRINTS_TO(vfwprintf, vfform(CAST(void *, const char *, va_list), file, (const char *)L"%70000d", 5))
    PRINTS_TO(__vfwprintf_chk, vfform_checked(CAST(void *, int, const char *, va_list), file, 1, (const char *)L"%70000d", 5))
    PRINTS_TO(_IO_fwrite, (int)((size_t (*)(const void *, size_t, size_t, FILE *))f)(filler, 1, 60000, file))
    PRINTS_TO(_IO_fputs, CAST(const char *, FILE *)("some text", file))
    PRINTS_TO(_IO_putc, ({ int last = 0; for (int i = 0; i < 5000; i++) last = CAST(int, FILE *)('c', file); last; }))
    PRINTS_TO(_IO_fflush, (fputs("text", file), CAST(FILE *)(file)))
    PRINTS_TO(_IO_flush_all_linebuffered, (setvbuf(file, NULL, _IOLBF, 100), fputs("text", file), (*(void (*)(void))f)(), 0))
    PRINTS_TO(_IO_setvbuf, (fputs("text", file), fflush(file), CAST(FILE *, char *, int, size_t)(file, NULL, _IOFBF, 8)))
    PRINTS_TO(_IO_setbuffer, ((*(void (*)(FILE *, char *, size_t))f)(file, filler, 8), fputs("more text than that", file)))
    PRINTS_TO(_IO_flockfile, ((*(void (*)(FILE *))f)(file), fputs("locked", file), funlockfile(file), 0))
    WITH(_IO_fclose, int, FILE *) { FILE *file = fdopen(full(), "w"); fputs("text", file); int got = f(file); SAY("%d %ld", got, moved()); }
    for (int i = 0; i < 2; i++)
        WITH(freopen64, FILE *, const char *, const char *, FILE *) {
            FILE *file = fdopen(full(), "w");
            fputs("text", file), file = i ? freopen("/dev/null", "w", file) : f("/dev/null", "w", file);
            SAY("%d %ld", file != NULL, moved()), fclose(file);
        }
    for (int i = 0; i < 2; i++)
        WITH(_IO_fsetpos64, int, FILE *, const fpos64_t *) {
            FILE *file = tmpfile();
            fpos64_t at;
            fputs("abc", file), fgetpos64(file, &at), fputs("def", file);
            int (*g)(FILE *, const fpos64_t *) = dlsym(RTLD_DEFAULT, "_IO_fsetpos");
            int got = i && g ? g(file, &at) : f(file, &at);
            SAY("%d %ld", got, ftell(file)), fclose(file);
        }
    for (int i = 0; i < 2; i++) {
        WITH(fopen64, FILE *, const char *, const char *) { FILE *file = f("/etc/passwd", "r"); SAY("%d", fgetc(file)), fclose(file); }
        WITH(_IO_fopen, FILE *, const char *, const char *) { FILE *file = f("/etc/none", "r"); SAY("%d %d", file != NULL, errno); }
    }
    WITH(__openat64_2, int, int, const char *, int) { int fd = f(AT_FDCWD, "/etc/passwd", O_RDONLY); SAY("%d", fd >= 0), close(fd); }
    // Of these only that they return.
    int errors = dup(2), null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    WITH(psignal, void, int, const char *) f(SIGINT, "x"), SAY("done");
    WITH(herror, void, const char *) f("x"), SAY("done");
    WITH(__syslog_chk, void, int, int, const char *, ...) f(LOG_DEBUG, 1, "a test"), SAY("done");
    WITH(vsyslog, void, int, const char *, va_list) vform_checked((int (*)(int, const char *, va_list))f, LOG_DEBUG, "a test"), SAY("done");
    WITH(__vsyslog_chk, void, int, int, const char *, va_list) SAY("as vsyslog");
    dup2(errors, 2), close(errors), close(null);
}

static volatile int raised;
static void raise_flag(int unused) { raised++; }
static void kernel(void) {
    int status;
    pid_t child;
    char *const words[] = {"true", NULL};
    WITH(posix_spawnp, int, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]) {
        int error = f(&child, "true", NULL, NULL, words, environ);
        int is_child = waitpid(child, &status, 0) == child;
        SAY("%d %d %d", error, is_child, status);
        SAY("%d", f(&child, "/none", NULL, NULL, words, environ));
    }
    WITH(posix_spawn, int, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[])
        SAY("%d", f(&child, "/none", NULL, NULL, words, environ));
    static char byte[8];
    static struct aiocb64 request;
    const struct aiocb64 *requests[] = {&request};
    WITH(aio_suspend64, int, const struct aiocb64 *const[], int, const struct timespec *) {
        request = (struct aiocb64){.aio_fildes = fed("abc"), .aio_buf = byte, .aio_nbytes = 3};
        int begun = aio_read64(&request), waited = f(requests, 1, NULL);
        SAY("%d %d %zd", begun, waited, aio_return64(&request)), close(request.aio_fildes), pthread_join(other, NULL);
    }
    WITH(lio_listio64, int, int, struct aiocb64 *const[], int, struct sigevent *) {
        request = (struct aiocb64){.aio_fildes = fed("abcd"), .aio_buf = byte, .aio_nbytes = 4, .aio_lio_opcode = LIO_READ};
        int got = f(LIO_WAIT, (struct aiocb64 *const *)requests, 1, NULL);
        SAY("%d %zd", got, aio_return64(&request)), close(request.aio_fildes), pthread_join(other, NULL);
    }
    struct rlimit64 limit;
    WITH(prlimit64, int, pid_t, int, const struct rlimit64 *, struct rlimit64 *) SAY("%d %d", f(0, RLIMIT_NOFILE, NULL, &limit), f(0, 1000, NULL, &limit));
    char here[4] = "", there[4] = "abc";
    struct iovec to = {here, 3}, source = {there, 3};
    WITH(process_vm_writev, ssize_t, pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long) SAY("%zd %s", f(getpid(), &source, 1, &to, 1, 0), here);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2], again[2];
    WITH(capget, int, void *, void *) SAY("%d", f(&header, sets));
    WITH(capset, int, void *, void *) SAY("%d", f(&header, sets));
    WITH(capget, int, void *, void *) f(&header, again), SAY("%d", memcmp(sets, again, sizeof sets));
    // Of a mask that lets all through.
    sigset_t none;
    sigemptyset(&none);
    struct sigaction action = {.sa_handler = raise_flag};
    sigaction(SIGUSR1, &action, NULL);
    sigset_t blocked = none;
    sigaddset(&blocked, SIGUSR1);
    for (int i = 0; i < 2; i++) {
        pthread_sigmask(SIG_BLOCK, &blocked, NULL), pthread_kill(pthread_self(), SIGUSR1);
        if (i) WITH(__sigsuspend, int, const sigset_t *) status = f(&none), SAY("%d %d %d", status, errno == EINTR, raised);
        if (!i) WITH(__sigpause, int, int, int) status = f(0, 0), SAY("%d %d %d", status, errno == EINTR, raised);
        pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    }
    SAY("%d", raised);
    typedef void (*handler)(int);
    WITH(ssignal, handler, int, handler) SAY("%d", f(SIGUSR2, raise_flag) == SIG_DFL), raise(SIGUSR2), SAY("%d", raised);
    WITH(sysv_signal, handler, int, handler) {
        SAY("%d", f(SIGUSR2, raise_flag) == raise_flag), raise(SIGUSR2), SAY("%d", raised);
        sigaction(SIGUSR2, NULL, &action), SAY("%d", action.sa_handler == SIG_DFL);
    }
    WITH(siginterrupt, int, int, int) {
        SAY("%d", f(SIGUSR1, 0)), sigaction(SIGUSR1, NULL, &action), SAY("%d", !!(action.sa_flags & SA_RESTART));
        SAY("%d", f(SIGUSR1, 1)), sigaction(SIGUSR1, NULL, &action), SAY("%d", !!(action.sa_flags & SA_RESTART));
    }
}

static pthread_mutex_t mutex;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int count, (*lock)(void *), (*unlock)(void *), waiting;
static mtx_t plain;
static cnd_t condition;
static void counts(void) { count++; }
static void *adds(void *unused) {
    for (int i = 0; i < 300; i++) {
        lock(unused);
        int before = count;
        if (i % 50 == 0) sched_yield();
        count = before + 1, unlock(unused);
    }
    return NULL;
}
static int waits(void *unused) {
    mtx_lock(&plain), waiting++;
    while (waiting > 0) cnd_wait(&condition, &plain);
    mtx_unlock(&plain);
    return 7;
}
static int ends(void *unused) { return 0; }
static void excludes(void *what) {
    pthread_t threads[4];
    count = 0;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, adds, what);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SAY("%d", count);
}
static void threads(void) {
    WITH(__pthread_mutex_init, int, pthread_mutex_t *, const void *) SAY("%d", f(&mutex, NULL));
    WITH(__pthread_mutex_unlock, int, void *) unlock = f, SAY("found");
    WITH(__pthread_mutex_lock, int, void *) lock = f, excludes(&mutex);
    WITH(__pthread_mutex_trylock, int, void *) SAY("%d", f(&mutex)), SAY("%d", f(&mutex)), SAY("%d", pthread_mutex_unlock(&mutex));
    WITH(__pthread_rwlock_unlock, int, void *) unlock = f, SAY("found");
    WITH(__pthread_rwlock_wrlock, int, void *) lock = f, excludes(&rwlock);
    WITH(__pthread_rwlock_rdlock, int, void *) SAY("%d", f(&rwlock));
    WITH(__pthread_rwlock_tryrdlock, int, void *) f(&rwlock), SAY("%d", pthread_rwlock_trywrlock(&rwlock) == EBUSY);
    pthread_rwlock_unlock(&rwlock), pthread_rwlock_unlock(&rwlock), count = 0;
    WITH(__pthread_once, int, pthread_once_t *, void (*)(void)) f(&once, counts), f(&once, counts), SAY("%d", count);
    WITH(cnd_broadcast, int, cnd_t *) {
        thrd_t three[3];
        int result, sum = 0;
        mtx_init(&plain, mtx_plain), cnd_init(&condition);
        for (int i = 0; i < 3; i++) thrd_create(&three[i], waits, NULL);
        for (int all = 0; all < 3; mtx_unlock(&plain), thrd_yield()) mtx_lock(&plain), all = waiting;
        mtx_lock(&plain), waiting = 0, result = f(&condition), mtx_unlock(&plain);
        for (int i = 0; i < 3; i++) thrd_join(three[i], &count), sum += count;
        SAY("%d %d", result, sum);
    }
    WITH(thrd_detach, int, thrd_t) { thrd_t one; thrd_create(&one, ends, NULL), SAY("%d", f(one)); }
    struct sched_param none = {0}, high = {99};
    clockid_t clock;
    WITH(pthread_setschedparam, int, pthread_t, int, const struct sched_param *) SAY("%d %d", f(pthread_self(), SCHED_OTHER, &none), f(pthread_self(), SCHED_OTHER, &high));
    WITH(pthread_setschedprio, int, pthread_t, int) SAY("%d %d", f(pthread_self(), 0), f(pthread_self(), 99));
    // Not every thread has one.
    WITH(pthread_getcpuclockid, int, pthread_t, clockid_t *) { int error = f(pthread_self(), &clock); SAY("%d", error == 0 || error == ENOTSUP); }
    jmp_buf place;
    sigjmp_buf with_mask;
    volatile int jumps = 0;
    find("__sigsetjmp"), SAY("");
    if (sigsetjmp(with_mask, 1) < 3) siglongjmp(with_mask, ++jumps);
    WITH(_longjmp, void, jmp_buf, int) if (_setjmp(place) < 6) f(place, ++jumps);
    WITH(__longjmp_chk, void, jmp_buf, int) if (setjmp(place) < 9) f(place, ++jumps);
    SAY("%d", jumps);
}

static char room[20000];
static int after;
#define HOST(entry) SAY("%d %d %s", error, after == NETDB_SUCCESS, found ? entry.h_name : "none")
#define NAME(what) SAY("%d %s", error, found ? what : "none")
// With a server of names that nobody is.
static void no_server(struct __res_state *state) {
    res_ninit(state);
    state->nscount = 1, state->retry = state->retrans = 1, state->options &= ~RES_DNSRCH;
    state->nsaddr_list[0] = (struct sockaddr_in){AF_INET, htons(1), {htonl(INADDR_LOOPBACK)}, {0}};
}
static void names(void) {
    int error, local = htonl(INADDR_LOOPBACK);
    struct hostent host, *found;
    no_server(&_res);
    WITH(gethostbyname2_r, int, const char *, int, struct hostent *, char *, size_t, struct hostent **, int *) found = NULL, error = f("127.0.0.1", AF_INET, &host, room, sizeof room, &found, &after), HOST(host);
    WITH(gethostbyaddr_r, int, const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **, int *) found = NULL, error = f(&local, 4, AF_INET, &host, room, sizeof room, &found, &after), HOST(host);
    WITH(gethostent_r, int, struct hostent *, char *, size_t, struct hostent **, int *) found = NULL, error = f(&host, room, sizeof room, &found, &after), HOST(host);
    WITH(sethostent, void, int) f(0), endhostent(), SAY("done");
    unsigned char *answer = (unsigned char *)room;
    WITH(__res_query, int, const char *, int, int, unsigned char *, int) SAY("%d", f("a.invalid", 1, 1, answer, 512));
    WITH(__res_search, int, const char *, int, int, unsigned char *, int) SAY("%d", f("a.invalid", 1, 1, answer, 512));
    WITH(res_querydomain, int, const char *, const char *, int, int, unsigned char *, int) SAY("%d", f("a", "invalid", 1, 1, answer, 512));
    WITH(__res_querydomain, int, const char *, const char *, int, int, unsigned char *, int) SAY("%d", f("a", "invalid", 1, 1, answer, 512));
    static struct __res_state state;
    no_server(&state);
    WITH(res_nquery, int, void *, const char *, int, int, unsigned char *, int) SAY("%d", f(&state, "a.invalid", 1, 1, answer, 512));
    WITH(__res_nquery, int, void *, const char *, int, int, unsigned char *, int) SAY("%d", f(&state, "a.invalid", 1, 1, answer, 512));
    WITH(res_nsearch, int, void *, const char *, int, int, unsigned char *, int) SAY("%d", f(&state, "a.invalid", 1, 1, answer, 512));
    WITH(__res_nsearch, int, void *, const char *, int, int, unsigned char *, int) SAY("%d", f(&state, "a.invalid", 1, 1, answer, 512));
    WITH(res_nsend, int, void *, const unsigned char *, int, unsigned char *, int) {
        unsigned char question[512];
        int bytes = res_nmkquery(&state, QUERY, "a.invalid", 1, 1, NULL, 0, NULL, question, sizeof question);
        SAY("%d", f(&state, question, bytes, answer, 512));
    }
    struct servent service, *services;
    WITH(getservbyport_r, int, int, const char *, struct servent *, char *, size_t, struct servent **) { error = f(htons(22), "tcp", &service, room, sizeof room, &services); SAY("%d %s", error, services ? service.s_name : "none"); }
    WITH(setservent, void, int) f(1), SAY("done");
    WITH(getservent_r, int, struct servent *, char *, size_t, struct servent **) { error = f(&service, room, sizeof room, &services); SAY("%d %s", error, services ? service.s_name : "none"), endservent(); }
    struct protoent protocol, *protocols;
    WITH(getprotobyname_r, int, const char *, struct protoent *, char *, size_t, struct protoent **) { error = f("tcp", &protocol, room, sizeof room, &protocols); SAY("%d %d", error, protocols ? protocol.p_proto : -1); }
    WITH(getprotobynumber_r, int, int, struct protoent *, char *, size_t, struct protoent **) { error = f(17, &protocol, room, sizeof room, &protocols); SAY("%d %d", error, protocols ? protocol.p_proto : -1); }
    WITH(setprotoent, void, int) f(1), SAY("done");
    WITH(getprotoent_r, int, struct protoent *, char *, size_t, struct protoent **) { error = f(&protocol, room, sizeof room, &protocols); SAY("%d %d", error, protocols ? protocol.p_proto : -1), endprotoent(); }
    struct netent network, *networks;
    WITH(setnetent, void, int) f(1), SAY("done");
    WITH(getnetent, struct netent *, void) { networks = f(); SAY("%s", networks ? networks->n_name : "none"); }
    WITH(getnetent_r, int, struct netent *, char *, size_t, struct netent **, int *) { error = f(&network, room, sizeof room, &networks, &after); SAY("%d %s", error, networks ? network.n_name : "none"); }
    WITH(endnetent, void, void) f(), SAY("done");
    WITH(getnetbyname_r, int, const char *, struct netent *, char *, size_t, struct netent **, int *) { error = f("loopback", &network, room, sizeof room, &networks, &after); SAY("%d %s", error, networks ? network.n_name : "none"); }
    WITH(getnetbyaddr, struct netent *, uint32_t, int) { networks = f(127 << 24, AF_INET); SAY("%s", networks ? networks->n_name : "none"); }
    WITH(getnetbyaddr_r, int, uint32_t, int, struct netent *, char *, size_t, struct netent **, int *) { error = f(127 << 24, AF_INET, &network, room, sizeof room, &networks, &after); SAY("%d %s", error, networks ? network.n_name : "none"); }
    struct spwd shadow, *shadows;
    struct group group, *groups;
    struct passwd user, *users;
    WITH(getspnam_r, int, const char *, struct spwd *, char *, size_t, struct spwd **) { error = f("root", &shadow, room, sizeof room, &shadows); SAY("%d %s", error, shadows ? shadow.sp_namp : "none"); }
    WITH(getspent_r, int, struct spwd *, char *, size_t, struct spwd **) { setspent(), error = f(&shadow, room, sizeof room, &shadows); SAY("%d %s", error, shadows ? shadow.sp_namp : "none"), endspent(); }
    WITH(getgrent_r, int, struct group *, char *, size_t, struct group **) { setgrent(), error = f(&group, room, sizeof room, &groups); SAY("%d %s", error, groups ? group.gr_name : "none"), endgrent(); }
    WITH(fgetgrent_r, int, FILE *, struct group *, char *, size_t, struct group **) { FILE *file = feed("some:x:5:\n"); error = f(file, &group, room, sizeof room, &groups); SAY("%d %d", error, groups ? group.gr_gid : 0), fclose(file), pthread_join(other, NULL); }
    WITH(fgetpwent_r, int, FILE *, struct passwd *, char *, size_t, struct passwd **) { FILE *file = feed("some:x:6:7::/:\n"); error = f(file, &user, room, sizeof room, &users); SAY("%d %d", error, users ? user.pw_uid : 0), fclose(file), pthread_join(other, NULL); }
    struct entry { char *name, **others; int number; } *entry;
    WITH(getrpcbyname, struct entry *, const char *) entry = f("portmapper"), SAY("%d", entry ? entry->number : -1);
    WITH(getrpcbynumber, struct entry *, int) entry = f(100000), SAY("%s", entry ? entry->name : "none");
    char *host_name = NULL, *user_name = NULL, *domain = NULL;
    WITH(setnetgrent, int, const char *) SAY("%d", f("nobody"));
    WITH(getnetgrent, int, char **, char **, char **) SAY("%d", f(&host_name, &user_name, &domain));
    struct ether_addr address = {{0, 1, 2, 3, 4, 5}};
    WITH(ether_hostton, int, const char *, struct ether_addr *) SAY("%d", f("nobody.invalid", &address) != 0);
    WITH(ether_ntohost, int, char *, const struct ether_addr *) SAY("%d", f(room, &address) != 0);
    WITH(getlogin, char *, void) SAY("%d", f() != NULL);
    wordexp_t expanded;
    WITH(wordexp, int, const char *, wordexp_t *, int) { error = f("a $(echo b c)", &expanded, 0); SAY("%d %zu %s", error, expanded.we_wordc, expanded.we_wordv[2]), wordfree(&expanded); }
}

static void *named(void *body) {
    ((void (*)(void))body)();
    return NULL;
}
int main(void) {
    setlocale(LC_ALL, "C.UTF-8");
    said = fdopen(dup(1), "w"), libc = dlopen("libc.so.6", RTLD_LAZY);
    void (*const bodies[])(void) = {readers, scanners, printers, kernel, threads, names};
    for (unsigned i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, named, (void *)bodies[i]), pthread_join(thread, NULL);
        fflush(said);
    }
    _exit(0);
}
