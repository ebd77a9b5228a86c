//! Hooks of descriptors, files and queues.

use super::{GOES_ON, NEVER, NO_DESCRIPTOR, NO_TIME, Row};

pub(super) const ROWS: &[Row] = &[
    Row {
        hooks: "read readv preadv2 preadv64v2 __read __read_chk recv recvfrom recvmsg recvmmsg __recv_chk __recvfrom_chk",
        ways: [
            "reads::a_read_waits_until_something_comes",
            "reads::a_user_that_wants_errors_gets_them",
            "reads::the_time_of_a_socket_ends_a_read",
            "signals",
            "cancel::a_cancelled_read_is_an_error",
            "reads::a_read_goes_on_when_its_descriptor_is_closed_under_it",
        ],
    },
    Row {
        hooks: "write writev pwritev2 pwritev64v2 __write send __send sendto sendmsg sendmmsg",
        ways: [
            "writes::a_write_takes_all_and_waits_for_room",
            "writes::a_user_that_wants_errors_gets_them",
            "writes::the_time_of_a_socket_ends_a_write",
            "signals",
            "cancel::a_cancelled_write_is_an_error_or_the_part",
            "writes::a_write_goes_on_when_its_descriptor_is_closed_under_it",
        ],
    },
    Row {
        hooks: "eventfd_read eventfd_write",
        ways: [
            "rest::an_eventfd_s_own_functions_wait",
            "rest::an_eventfd_s_own_functions_wait",
            NO_TIME,
            "ways.c",
            "cancels.c",
            "ways.c",
        ],
    },
    Row {
        hooks: "accept accept4",
        ways: [
            "connections::a_connection_is_taken_at_once_or_waited_for",
            "connections::an_accept_honours_the_user_s_wishes",
            "connections::an_accept_honours_the_user_s_wishes",
            "signals",
            "cancel::cancelled_looks_accepts_connects_and_sleeps_are_errors",
            "connections::an_accept_goes_on_when_its_listener_is_closed_under_it",
        ],
    },
    Row {
        hooks: "connect __connect",
        ways: [
            "connections::a_connect_waits_for_a_place_in_the_queue",
            "connections::a_connect_succeeds_is_refused_and_is_not_repeated",
            "connections::the_time_of_a_socket_ends_a_connect",
            "ways.c",
            "cancel::a_deadline_ends_a_call_of_std_in_time",
            "ways.c",
        ],
    },
    Row {
        hooks: "poll __poll ppoll __poll_chk __ppoll_chk select __select pselect epoll_wait epoll_pwait epoll_pwait2",
        ways: [
            "looks::a_look_waits_for_one_and_for_several",
            "looks::a_look_without_a_time_does_not_wait",
            "looks::the_time_ends_a_look",
            "signals",
            "cancel::cancelled_looks_accepts_connects_and_sleeps_are_errors",
            "ways.c",
        ],
    },
    Row {
        hooks: "sendfile sendfile64 splice tee vmsplice",
        ways: [
            "writes::a_copy_in_the_kernel_waits_for_room_and_for_bytes",
            "rest::what_need_not_wait_answers_as_libcs",
            "ways.c",
            "ways.c",
            "cancels.c",
            "ways.c",
        ],
    },
    Row {
        hooks: "flock lockf lockf64 fcntl __fcntl fcntl64",
        ways: [
            "files::a_lock_of_a_file_is_waited_for",
            "files::a_lock_of_a_file_is_waited_for",
            NO_TIME,
            "signals",
            "gives_up::a_lock_that_is_given_up_is_nobody_s",
            "ways.c",
        ],
    },
    Row {
        hooks: "open __open open64 __open64 openat openat64 __open_2 __open64_2",
        ways: [
            "files::an_open_of_a_fifo_waits_for_its_other_end",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "signals",
            "gives_up::a_fifo_whose_opening_is_given_up_has_no_reader",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fopen fopen64 _IO_fopen creat creat64 __openat_2 __openat64_2",
        ways: [
            "files::an_fopen_of_a_fifo_waits_for_its_other_end",
            "files::an_fopen_of_a_fifo_waits_for_its_other_end",
            NO_TIME,
            "ways.c",
            "cancels.c",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "pread pread64 __pread64 __pread_chk __pread64_chk preadv preadv64 pwrite pwrite64 __pwrite64 pwritev pwritev64 \
            sync sync_file_range msync",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "- it is waited for to its end, which does not depend on others; sync is left behind",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "tcdrain tcsendbreak tcsetattr",
        ways: [
            "- only a line of a real terminal waits, which a test has not",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "- as fcntl(F_SETLKW): the loop is the same",
            "- as fcntl(F_SETLKW): the loop is the same",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "fsync fdatasync syncfs copy_file_range",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            GOES_ON,
            "gives_up::a_cancelled_fiber_asks_for_no_names_and_waits_for_no_disk",
            "- the kernel's call has the file",
        ],
    },
    Row {
        hooks: "mq_receive mq_timedreceive mq_send mq_timedsend",
        ways: [
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "ways.c",
            "queues::a_cancelled_call_is_an_error",
            "ways.c",
        ],
    },
    Row { hooks: "mq_close", ways: [NEVER, "changes.c", NEVER, NEVER, NEVER, "changes.c"] },
    Row {
        hooks: "msgrcv msgsnd semop semtimedop",
        ways: [
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "queues::queues_wait_time_out_and_say_so",
            "ways.c",
            "queues::a_cancelled_call_is_an_error",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "close __close close_range closefrom dup dup2 __dup2 dup3 socket socketpair pipe __pipe pipe2 eventfd timerfd_create signalfd \
            inotify_init1 epoll_create epoll_create1 memfd_create posix_openpt getsockopt setsockopt shutdown ioctl",
        ways: [
            "gives_up::a_socket_that_lingers_is_closed_whoever_gives_up",
            "rest::what_need_not_wait_answers_as_libcs",
            NEVER,
            "signals",
            "gives_up::a_socket_that_lingers_is_closed_whoever_gives_up",
            "numbers::a_number_that_is_closed_and_used_again_wakes_up",
        ],
    },
];
