//! `libabaca_preload.so`: programs in C, built by the test with the compiler that Rust links with, run with it and without.

mod servers;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The library, which cargo has built beside the tests since they depend on it.
pub(crate) fn library() -> PathBuf {
    let here = std::env::current_exe().expect("the tests have a file");
    let library = here.with_file_name("libabaca_preload.so");
    assert!(library.exists(), "{} was not built", library.display());
    library
}

/// Builds `source`, a file beside this one, and returns the program.
pub(crate) fn build(source: &str) -> PathBuf {
    build_as(source, source.trim_end_matches(".c"), &[])
}

fn build_as(source: &str, name: &str, arguments: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload").join(source);
    let built = Command::new("cc")
        .args(["-O1", "-pthread", "-rdynamic", "-o"])
        .arg(&program)
        .arg(source)
        .args(arguments)
        .status();
    assert!(built.expect("the compiler that Rust links with").success(), "the program does not compile");
    program
}

fn run(program: &Path, workers: Option<&str>) -> Output {
    let mut command = Command::new(program);
    if let Some(workers) = workers {
        command.env("LD_PRELOAD", library()).env("ABACA_WORKERS", workers);
    }
    command.output().expect("the program runs")
}

/// What a program has printed, without its order, which threads leave open.
fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// How the line begins in which a runtime says that it goes on without a thread that it would have liked to have.
const NO_SPARE: &str = "abaca: no thread for a worker";

/// Runs the program in `source` on OS threads, and on fibers of so many workers: what it prints, and how it ends, must be the same.
fn is_as_on_threads(source: &str, workers: &[&str]) {
    let program = build(source);
    let on_threads = run(&program, None);
    assert!(on_threads.status.success(), "{on_threads:?}");
    for workers in workers {
        let on_fibers = run(&program, Some(workers));
        // That there is no thread for a worker is true where a program has limits, and is no error.
        let errors = String::from_utf8_lossy(&on_fibers.stderr);
        let errors: String = errors.lines().filter(|line| !line.starts_with(NO_SPARE)).collect();
        assert_eq!(lines(&on_fibers), lines(&on_threads), "on {workers} workers: {errors}");
        assert_eq!((on_fibers.status, &*errors), (on_threads.status, ""));
    }
}

#[test]
fn pthreads_and_c11s_functions_answer_as_libcs() {
    // More than once on three: a thread that ends meets the next one that begins.
    is_as_on_threads("pthreads.c", &["1", "3", "3", "3", "3"]);
}

#[test]
fn calls_that_wait_end_as_the_kernels_whatever_ends_them() {
    is_as_on_threads("ways.c", &["1", "2"]);
}

#[test]
fn calls_that_wait_meet_changes_as_in_the_kernel() {
    is_as_on_threads("changes.c", &["1", "2"]);
}

#[test]
fn an_accept_without_a_number_for_its_connection_ends_before_it_waits() {
    is_as_on_threads("accepts.c", &["1", "2"]);
}

#[test]
fn waits_for_several_go_on_with_what_is_closed_under_them() {
    is_as_on_threads("several.c", &["1", "2"]);
}

#[test]
fn a_thread_is_refused_whichever_allocation_for_it_fails() {
    is_as_on_threads("scarce.c", &["1", "2"]);
}

#[test]
fn timers_and_signals_by_its_number_reach_a_thread() {
    is_as_on_threads("timers.c", &["1", "2"]);
}

#[test]
fn how_a_thread_is_preferred_is_its_own_and_known_by_its_number() {
    is_as_on_threads("priorities.c", &["1", "2"]);
}

#[test]
fn masks_let_in_what_waits_as_the_kernel_does() {
    is_as_on_threads("looks.c", &["1", "2"]);
}

#[test]
fn functions_by_rare_names_answer_as_libcs() {
    is_as_on_threads("names.c", &["1", "2"]);
}

#[test]
fn a_daemon_closes_descriptors_and_its_children_have_threads() {
    is_as_on_threads("forks.c", &["1", "3"]);
}

#[test]
fn a_child_has_threads_whatever_another_thread_did_when_it_was_forked() {
    is_as_on_threads("moments.c", &["1", "2"]);
}

#[test]
fn a_cancelled_thread_ends_from_every_call_that_waits() {
    is_as_on_threads("cancels.c", &["1", "2"]);
}

#[test]
fn what_is_refused_at_once_and_what_ends_by_itself_is_so_on_fibers() {
    is_as_on_threads("kinds.c", &["1", "2"]);
}

#[test]
fn reads_and_writes_of_nothing_end_at_once() {
    is_as_on_threads("empty.c", &["1", "2"]);
}

#[test]
fn each_thread_rounds_as_it_has_set_and_begins_as_its_creator_does() {
    let program = build_as("floats.c", "floats", &["-lm"]);
    let on_threads = run(&program, None);
    for workers in ["1", "2"] {
        let on_fibers = run(&program, Some(workers));
        assert!(on_fibers.status.success(), "{on_fibers:?}");
        assert_eq!(lines(&on_fibers), lines(&on_threads), "on {workers} workers");
    }
}

#[test]
fn a_lock_is_not_kept_for_ever_by_who_takes_it_again_at_once() {
    is_as_on_threads("fair.c", &["1", "2"]);
}

#[test]
fn a_filter_may_refuse_system_calls_that_it_does_not_know() {
    is_as_on_threads("filters.c", &["1", "2"]);
}

#[test]
fn threads_stay_threads_where_a_filter_refuses_what_fibers_need() {
    is_as_on_threads("refused.c", &["1", "2"]);
}

#[test]
fn a_collector_stops_all_threads_by_signals_whatever_they_do() {
    is_as_on_threads("stops.c", &["1", "2"]);
}

#[test]
fn a_child_that_borrows_the_memory_changes_its_own_signals_only() {
    is_as_on_threads("vforks.c", &["1", "2"]);
}

#[test]
fn a_program_may_have_functions_of_libcs_names() {
    is_as_on_threads("interposed.c", &["1"]);
}

#[test]
fn threads_of_a_library_that_is_closed_call_what_nobody_has_called() {
    // Its destructor waits for them, and the loader's lock is held meanwhile.
    build_as("loads.c", "loads.so", &["-shared", "-fPIC", "-DLIBRARY"]);
    is_as_on_threads("loads.c", &["1", "2"]);
}

#[test]
fn a_main_thread_and_who_joins_its_joiner_are_joined() {
    let program = build("joins.c");
    let on_threads = run(&program, None);
    for workers in ["1", "2"] {
        let on_fibers = run(&program, Some(workers));
        let said = (lines(&on_fibers), on_fibers.status, on_fibers.stderr);
        assert_eq!(said, (lines(&on_threads), on_threads.status, Vec::new()), "on {workers} workers");
    }
    assert_eq!(on_threads.status.code(), Some(7), "{on_threads:?}");
}

#[test]
fn streams_wait_for_the_least_and_for_connections_that_they_open() {
    is_as_on_threads("streams.c", &["1", "2"]);
}

#[test]
fn a_look_up_asks_the_server_that_its_thread_has_set() {
    is_as_on_threads("resolver.c", &["1", "2"]);
}

#[test]
fn handlers_run_during_look_ups_of_names() {
    is_as_on_threads("lookups.c", &["1", "2"]);
}

#[test]
fn the_signals_of_calls_that_fail_are_the_callers() {
    is_as_on_threads("pipes.c", &["1", "2"]);
}

#[test]
fn attributes_are_obeyed_as_on_threads() {
    is_as_on_threads("attributes.c", &["1", "2", "2"]);
}

#[test]
fn more_threads_than_a_pool_has_wait_in_the_kernel_for_each_other() {
    is_as_on_threads("crowds.c", &["1", "2"]);
}

#[test]
fn waits_for_what_processes_share_are_interrupted_and_cancelled() {
    is_as_on_threads("shared.c", &["1", "2", "2"]);
}

#[test]
fn code_on_the_stacks_of_threads_is_executed() {
    is_as_on_threads("nested.c", &["1", "2"]);
}

#[test]
fn a_thread_without_room_for_its_stack_is_refused() {
    is_as_on_threads("refuses.c", &["1", "2"]);
}

#[test]
fn who_throws_what_nobody_catches_is_told() {
    is_as_on_threads("exceptions.c", &["1", "2"]);
}

#[test]
fn jumps_restore_the_masks_of_threads_that_are_fibers() {
    is_as_on_threads("jumps.c", &["1", "2"]);
}

#[test]
fn handlers_may_jump_out_of_calls_that_wait() {
    is_as_on_threads("leaves.c", &["1", "2"]);
}

#[test]
fn a_program_begins_with_the_mask_of_the_fiber_that_starts_it() {
    is_as_on_threads("execs.c", &["1", "2"]);
}

#[test]
fn signals_go_to_whom_they_are_for_and_handlers_run_in_waits() {
    is_as_on_threads("sends.c", &["1", "2"]);
}

#[test]
fn a_plain_thread_gets_what_is_held_back() {
    is_as_on_threads("plain.c", &["1", "2"]);
}

#[test]
fn a_signal_that_does_nothing_ends_no_call_and_waits_for_who_blocks_it() {
    is_as_on_threads("idle.c", &["1", "2"]);
}

#[test]
fn a_thread_that_there_is_no_memory_for_is_refused() {
    let program = build("memory.c");
    let on_threads = run(&program, None);
    for workers in ["1", "2"] {
        // It may say that there is no memory for a spare thread either.
        let on_fibers = run(&program, Some(workers));
        assert_eq!(
            (lines(&on_fibers), on_fibers.status),
            (lines(&on_threads), on_threads.status),
            "{on_fibers:?}"
        );
    }
}

#[test]
fn workers_that_only_lack_a_processor_need_no_spare_threads() {
    let program = build("turns.c");
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let output = run(&program, Some(&(4 * processors).to_string()));
    let spares: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    assert!(spares <= 2 * processors, "{spares} spare threads for {processors} processors");
}

/// How many connections are open at once: more than a small number of threads.
const CONNECTIONS: usize = 300;

/// Fewer threads than this are not one for each connection.
const FEW: usize = 100;

/// Lets `program` serve all connections at once. Returns its last line, and how many threads of the kernel it had meanwhile.
fn serve(program: &Path, workers: Option<&str>) -> (String, usize) {
    let mut command = Command::new(program);
    if let Some(workers) = workers {
        command.env("LD_PRELOAD", library()).env("ABACA_WORKERS", workers);
    }
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let port: u16 = output.next().unwrap().unwrap().parse().unwrap();
    let mut clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            (stream.try_clone().unwrap(), BufReader::new(stream).lines())
        })
        .collect();
    let mut numbers = Vec::new();
    for round in 0..3 {
        clients.iter_mut().for_each(|(stream, _)| writeln!(stream, "round {round}").unwrap());
        for (_, lines) in &mut clients {
            let answer = lines.next().unwrap().unwrap();
            let number = answer.strip_prefix(&format!("round {round} is line ")).unwrap();
            numbers.push(number.parse::<usize>().unwrap());
        }
    }
    // Threads that only make the storage of fibers may still be about to end.
    let looks = (0..1000).map(|_| std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().count());
    let mut threads = usize::MAX;
    for count in looks {
        threads = threads.min(count);
        if !(FEW..=CONNECTIONS).contains(&threads) {
            break;
        }
        std::thread::yield_now();
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=3 * CONNECTIONS), "each line is counted once");
    writeln!(clients[0].0, "end").unwrap();
    let last = output.next().unwrap().unwrap();
    assert!(server.wait().unwrap().success());
    (last, threads)
}

#[test]
fn a_servers_threads_are_fibers_of_two_workers() {
    let program = build("server.c");
    let (said, threads) = serve(&program, None);
    assert!(threads > CONNECTIONS, "{threads} threads");
    let (said_on_fibers, threads) = serve(&program, Some("2"));
    assert_eq!(said_on_fibers, said);
    assert!(threads < FEW, "{threads} threads");
}
