//! The system calls that are made to fail, and the errors that the kernel could give for each.

/// One kind of call.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) number: libc::c_long,
    #[allow(dead_code, reason = "the child is told which")]
    pub(crate) errors: &'static [i32],
}

macro_rules! kinds {
    ($($name:ident $number:ident: $($error:ident)+;)+) => {
        &[$(Kind { name: stringify!($name), number: libc::$number, errors: &[$(libc::$error),+] }),+]
    };
}

/// All but those that cannot fail in a way that could be answered (close(2) has closed all the same), and futex(2),
/// on which the locks of std itself rest. An answer must not lie about what happened: a connect that is interrupted, or a
/// name of the peer that is missing, means that the connection is on its way.
pub(crate) const KINDS: &[Kind] = kinds! {
    mmap SYS_mmap: ENOMEM;
    madvise SYS_madvise: ENOMEM EINVAL EAGAIN;
    process_madvise SYS_process_madvise: EPERM EINTR;
    mprotect SYS_mprotect: ENOMEM;
    munmap SYS_munmap: ENOMEM;
    epoll_create1 SYS_epoll_create1: EMFILE;
    epoll_ctl SYS_epoll_ctl: ENOMEM ENOSPC;
    epoll_wait SYS_epoll_wait: EINTR;
    epoll_pwait2 SYS_epoll_pwait2: EINTR ENOSYS;
    accept4 SYS_accept4: EMFILE ECONNABORTED EINTR;
    read SYS_read: EIO EINTR;
    write SYS_write: EIO EINTR;
    readv SYS_readv: EIO EINTR;
    writev SYS_writev: ENOSPC EINTR;
    pread64 SYS_pread64: EIO EINTR;
    pwrite64 SYS_pwrite64: ENOSPC EINTR;
    preadv2 SYS_preadv2: EIO EOPNOTSUPP EPERM;
    pwritev2 SYS_pwritev2: EIO EOPNOTSUPP EPERM;
    recvfrom SYS_recvfrom: ECONNRESET EINTR;
    sendto SYS_sendto: ECONNRESET EINTR;
    recvmsg SYS_recvmsg: ENOMEM EINTR;
    sendmsg SYS_sendmsg: ENOBUFS EINTR;
    connect SYS_connect: ECONNREFUSED;
    socket SYS_socket: EMFILE;
    socketpair SYS_socketpair: EMFILE;
    bind SYS_bind: EADDRINUSE;
    listen SYS_listen: EADDRINUSE;
    getsockname SYS_getsockname: ENOBUFS;
    getpeername SYS_getpeername: ENOBUFS;
    getsockopt SYS_getsockopt: ENOMEM;
    setsockopt SYS_setsockopt: ENOMEM;
    shutdown SYS_shutdown: ENOTCONN;
    eventfd2 SYS_eventfd2: EMFILE;
    clone3 SYS_clone3: EAGAIN;
    pidfd_open SYS_pidfd_open: EMFILE ENOSYS;
    pipe2 SYS_pipe2: EMFILE;
    openat SYS_openat: EMFILE EINTR;
    newfstatat SYS_newfstatat: ENOMEM;
    statx SYS_statx: ENOMEM;
    fstat SYS_fstat: ENOMEM;
    lseek SYS_lseek: EINVAL;
    fcntl SYS_fcntl: EMFILE;
    ioctl SYS_ioctl: ENOMEM;
    prctl SYS_prctl: EPERM;
    sigaltstack SYS_sigaltstack: ENOMEM;
    rt_sigaction SYS_rt_sigaction: EINVAL;
    rt_sigprocmask SYS_rt_sigprocmask: EINVAL;
    splice SYS_splice: EINVAL ENOMEM;
    sendfile SYS_sendfile: EINVAL EIO;
    copy_file_range SYS_copy_file_range: EIO ENOSYS;
    wait4 SYS_wait4: EINTR;
    waitid SYS_waitid: EINTR;
    poll SYS_poll: ENOMEM;
    ppoll SYS_ppoll: EINTR ENOMEM;
    getrandom SYS_getrandom: EINTR;
    tgkill SYS_tgkill: EAGAIN;
    sched_getaffinity SYS_sched_getaffinity: EINVAL;
};
