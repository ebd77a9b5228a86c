//! Hooks of what libc makes of other calls: stdio, names, children, libc's own threads.

use super::{GOES_ON, NEVER, NO_DESCRIPTOR, NO_TIME, Row, SHIELDED};

pub(super) const ROWS: &[Row] = &[
    Row {
        hooks: "aio_suspend aio_suspend64 lio_listio lio_listio64 gai_suspend getaddrinfo_a",
        ways: [
            "asynchronous::a_read_that_libc_makes_is_waited_for",
            "asynchronous::look_ups_that_libc_makes_are_waited_for",
            "asynchronous::a_read_that_libc_makes_is_waited_for",
            "signals",
            "asynchronous::a_wait_for_a_read_that_libc_makes_can_be_given_up",
            "- the read is libc's",
        ],
    },
    Row {
        hooks: "aio_read aio_read64 aio_write aio_write64 aio_fsync aio_fsync64",
        ways: [
            NEVER,
            "asynchronous::what_has_begun_leaves_errno_as_it_was",
            NEVER,
            NEVER,
            NEVER,
            "- it is told a number, and returns at once",
        ],
    },
    Row {
        hooks: "wait __wait waitpid __waitpid wait3 wait4 waitid",
        ways: [
            "files::children_are_waited_for",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "signals",
            "cancels.c",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "posix_spawn posix_spawnp",
        ways: [
            NEVER,
            "wishes::a_user_that_wants_errors_from_now_on_gets_them",
            NEVER,
            NEVER,
            NEVER,
            "- it is told numbers, and returns at once",
        ],
    },
    Row {
        hooks: "system popen _IO_popen pclose",
        ways: [
            "rest::what_need_not_wait_answers_as_libcs",
            "files::pipes_of_stdio_are_read_when_something_comes",
            NO_TIME,
            "signals",
            "gives_up::a_command_ends_with_the_fiber_that_waits_for_it",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fgets __fgets_chk _IO_fgets fread __fread_chk _IO_fread fgetc getc _IO_getc getline getdelim __getdelim fgets_unlocked \
            fread_unlocked getc_unlocked fgetc_unlocked getchar getchar_unlocked __uflow __fread_unlocked_chk __fgets_unlocked_chk",
        ways: [
            "stdio::a_read_by_stdio_waits_for_bytes_and_for_the_end",
            "stdio::a_read_by_stdio_without_waiting_is_an_error",
            NO_TIME,
            "signals",
            "stdio::a_read_by_stdio_waits_for_all_parts_and_can_be_given_up_between_two",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fwrite fwrite_unlocked _IO_fwrite fputs fputs_unlocked _IO_fputs puts _IO_puts fputc fputc_unlocked putc putc_unlocked _IO_putc \
            putchar putchar_unlocked __overflow fflush fflush_unlocked _IO_fflush fclose _IO_fclose freopen freopen64 perror \
            printf _IO_printf fprintf _IO_fprintf dprintf vprintf vfprintf _IO_vfprintf vdprintf __printf_chk __fprintf_chk \
            __dprintf_chk __vprintf_chk __vfprintf_chk __vdprintf_chk",
        ways: [
            "sinks::a_write_by_stdio_waits_for_room_and_moves_all",
            "sinks::a_write_by_stdio_without_waiting_is_an_error",
            "sinks::the_time_of_a_socket_ends_a_write_by_stdio",
            "signals",
            "sinks::a_write_by_stdio_to_a_full_pipe_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fseek fseeko fseeko64 fsetpos fsetpos64 _IO_fsetpos _IO_fsetpos64 rewind setvbuf _IO_setvbuf setbuffer _IO_setbuffer setbuf",
        ways: [
            "flushes::what_moves_a_file_or_changes_its_buffer_waits_for_room",
            "flushes::what_moves_a_file_or_changes_its_buffer_waits_for_room",
            "- as fflush, which they call",
            "ways.c",
            "flushes::what_moves_a_file_or_changes_its_buffer_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "_IO_flush_all _IO_flush_all_linebuffered _flushlbf flockfile funlockfile _IO_flockfile",
        ways: [
            "flushes::all_files_are_written",
            "flushes::a_lock_of_a_file_that_a_neighbour_has_is_waited_for",
            "- as fflush, which they call",
            "- as fflush, which they call",
            "flushes::a_lock_of_a_file_that_a_neighbour_has_is_waited_for",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fputwc putwc putwchar fputwc_unlocked putwc_unlocked putwchar_unlocked fputws fputws_unlocked wprintf fwprintf vwprintf \
            vfwprintf __wprintf_chk __fwprintf_chk __vwprintf_chk __vfwprintf_chk",
        ways: [
            "wides::a_write_of_wide_characters_waits_for_room_and_moves_all",
            "wides::a_write_of_wide_characters_without_waiting_is_an_error_and_can_be_given_up",
            "- as write: the loop is the same",
            "ways.c",
            "wides::a_write_of_wide_characters_without_waiting_is_an_error_and_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "fgetwc getwc getwchar fgetwc_unlocked getwc_unlocked getwchar_unlocked __wuflow fgetws fgetws_unlocked __fgetws_chk \
            __fgetws_unlocked_chk",
        ways: [
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            NO_TIME,
            "ways.c",
            "wides::a_read_of_wide_characters_waits_for_all_parts_and_for_the_end",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "psignal herror syslog vsyslog __syslog_chk __vsyslog_chk openlog closelog",
        ways: [
            "- as fputs, write, or a call on the pool: it is the process's own file, or log",
            "rest::what_need_not_wait_answers_as_libcs",
            NO_TIME,
            "- as fputs, write, or a call on the pool",
            "- as fputs and write; a line for the log is written whatever happens",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "scanf fscanf vscanf vfscanf __vfscanf __isoc99_scanf __isoc99_fscanf __isoc99_vscanf __isoc99_vfscanf __isoc23_scanf __isoc23_fscanf \
            __isoc23_vscanf __isoc23_vfscanf",
        ways: [
            "scans::a_scan_waits_for_what_it_reads_and_leaves_the_rest",
            "scans::a_scan_of_a_user_that_wants_errors_is_one",
            NO_TIME,
            "signals",
            "scans::a_scan_can_be_given_up",
            "- closing a file that another uses is undefined",
        ],
    },
    Row {
        hooks: "getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyaddr gethostbyname_r gethostbyname2_r gethostbyaddr_r \
            getpwnam getpwuid getpwnam_r getpwuid_r getgrnam getgrgid getgrnam_r getgrgid_r initgroups res_query res_search \
            res_querydomain __res_query __res_search __res_querydomain getservbyname getservbyname_r getservbyport getservbyport_r \
            getprotobyname getprotobyname_r getprotobynumber getprotobynumber_r getnetbyname getnetbyname_r getnetbyaddr \
            getnetbyaddr_r getspnam getspnam_r",
        ways: [
            "files::names_are_asked_for_elsewhere",
            "lookups::look_ups_answer_as_libcs",
            NO_TIME,
            GOES_ON,
            "gives_up::a_cancelled_fiber_asks_for_no_names_and_waits_for_no_disk",
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "fgetpwent fgetpwent_r fgetgrent fgetgrent_r getgrouplist res_nquery res_nsearch res_nsend __res_nquery __res_nsearch \
            getrpcbyname getrpcbynumber innetgr setnetgrent getnetgrent ether_hostton ether_ntohost getlogin getlogin_r wordexp \
            dlopen dlclose",
        ways: [
            "lookups::look_ups_answer_as_libcs",
            "lookups::look_ups_answer_as_libcs",
            NO_TIME,
            GOES_ON,
            SHIELDED,
            NO_DESCRIPTOR,
        ],
    },
    Row {
        hooks: "getpwent getpwent_r setpwent endpwent getgrent getgrent_r setgrent endgrent getspent getspent_r setspent endspent \
            gethostent gethostent_r sethostent endhostent getnetent getnetent_r setnetent endnetent getprotoent getprotoent_r \
            setprotoent endprotoent getservent getservent_r setservent endservent",
        ways: [
            "walks::an_entry_that_was_left_behind_is_the_next_caller_s",
            "lookups::look_ups_answer_as_libcs",
            NO_TIME,
            GOES_ON,
            "walks::an_entry_that_was_left_behind_is_the_next_caller_s",
            NO_DESCRIPTOR,
        ],
    },
];
