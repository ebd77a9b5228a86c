//! What goes wrong while the lab measures is a row that says so, or an error before the run; and nothing outlives it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use abaca_lab::data::Run;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const LAB: &str = env!("CARGO_BIN_EXE_abaca-lab");

/// The arguments of a run of `models` that takes a few seconds.
fn arguments(models: &str, duration: &str, out: &Path) -> Vec<String> {
    let out = out.display().to_string();
    let all = ["--quick", "--models", models, "--rates", "none", "--idle", "none", "--no-micro"];
    let all = all.into_iter().chain(["--duration", duration, "--out", &out]);
    all.map(str::to_owned).collect()
}

fn read(folder: &Path) -> Run {
    Run::read(&folder.join("run.json")).expect("a run was written")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The processes that descend from `pid`, with their command lines.
fn descendants(pid: u32) -> Vec<(u32, String)> {
    let mut found = vec![(pid, String::new())];
    let mut next = 0;
    while let Some((parent, _)) = found.get(next) {
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let children: String = tasks
            .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default())
            .collect();
        for child in children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()) {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            found.push((child, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
        next += 1;
    }
    found.split_off(1)
}

/// Waits until the lab has a descendant whose command line has this word.
fn await_descendant(lab: &mut Child, word: &str) -> u32 {
    loop {
        if let Some((pid, _)) = descendants(lab.id()).into_iter().find(|(_, line)| line.contains(word)) {
            return pid;
        }
        assert_eq!(lab.try_wait().expect("it is ours"), None, "the lab ended before {word:?} was seen");
        thread::yield_now();
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process has a number");
    kill_process(pid, signal).expect("it is there");
}

/// Does something to the first model that runs, and returns the run, which goes on.
fn run_with_trouble(trouble: Signal) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Command::new(LAB);
    lab.args(arguments("threads", "400ms", folder.path())).stdout(Stdio::null()).stderr(Stdio::null());
    let mut lab = lab.spawn().expect("the lab starts");
    signal(await_descendant(&mut lab, "serve threads"), trouble);
    assert!(lab.wait().expect("it ends").success());
    read(folder.path())
}

#[test]
fn a_model_that_crashes_is_a_row_that_says_so_and_the_run_goes_on() {
    let run = run_with_trouble(Signal::KILL);
    assert!(run.complete);
    let note = run.peaks[0].note.as_ref().expect("the model was killed");
    assert!(note.contains("signal: 9"), "{note}");
    assert_eq!(run.mixed.len(), 4, "what comes after it is measured");
    assert!(run.mixed.iter().all(|row| row.note.is_none()), "{:?}", run.mixed);
}

#[test]
fn a_model_that_hangs_is_a_row_that_says_so_and_the_run_goes_on() {
    let run = run_with_trouble(Signal::STOP);
    assert!(run.complete && run.peaks[0].note.is_some(), "{:?}", run.peaks);
    assert!(run.mixed.iter().all(|row| row.note.is_none()), "{:?}", run.mixed);
}

#[test]
fn a_model_that_cannot_hold_so_many_is_a_row_that_says_after_how_many() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each thread of the model has a stack of 64 KiB; there is address space for some, and not for all.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 1200000; exec \"$@\"", "sh", LAB]);
    limited.args(["--quick", "--models", "threads", "--rates", "none", "--idle", "20000", "--no-micro"]);
    let output = limited.args(["--duration", "50ms", "--out"]).arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let run = read(folder.path());
    let idle = &run.idles[0];
    assert!(run.complete && idle.held > 0 && idle.held < 20_000, "{idle:?}");
    let note = idle.note.as_ref().expect("it could not");
    assert!(note.contains(&format!("after {} connections", idle.held)), "{note}");
}

#[test]
fn a_model_whose_command_is_missing_is_a_row_that_says_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Command::new(LAB);
    lab.args(arguments("gevent,iterative", "50ms", folder.path())).env("PATH", "/nowhere");
    let output = lab.output().expect("the lab starts");
    assert!(output.status.success(), "{}", text(&output));
    let run = read(folder.path());
    let absent = run.models[0].absent.as_ref().expect("there is no python3 on that path");
    assert!(absent.contains("pip install gevent"), "{absent}");
    assert!(run.peak_of("gevent").is_none() && run.peak_of("iterative").is_some());
}

#[test]
fn nothing_outlives_a_lab_that_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Command::new(LAB);
    lab.args(arguments("preforked", "5s", folder.path())).stdout(Stdio::null()).stderr(Stdio::null());
    let mut lab = lab.spawn().expect("the lab starts");
    await_descendant(&mut lab, "serve preforked");
    // The delay server, the model and all processes of the model's pool.
    let all = loop {
        let all = descendants(lab.id());
        if all.len() > 64 {
            break all;
        }
        thread::yield_now();
    };
    lab.kill().expect("it is ours");
    lab.wait().expect("it ends");
    for (pid, _) in all {
        let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        // Gone, a zombie that nobody takes leave of, or a number that another process has by now.
        while status().contains("abaca-lab") && !status().contains("State:\tZ") {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn ctrl_c_ends_the_run_and_writes_what_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Command::new(LAB);
    lab.args(arguments("reactors,abaca", "300ms", folder.path())).process_group(0);
    let mut lab = lab.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the lab starts");
    let mut progress = BufReader::new(lab.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("sustained rate") {
        line.clear();
        assert!(progress.read_line(&mut line).expect("text") > 0, "it runs until it is interrupted");
    }
    // The peaks are done. The terminal sends the signal to the whole group of processes, the models included.
    kill_process_group(Pid::from_child(&lab), Signal::INT).expect("it is there");
    progress.read_to_string(&mut line).expect("text");
    assert!(lab.wait().expect("it ends").success(), "{line}");
    let run = read(folder.path());
    assert!(!run.complete && run.mixed.is_empty());
    assert_eq!(run.peaks.len(), 2);
    // The measurement that was under way came to its end: the model has not had the signal. On a busy machine the next one may
    // have been under way.
    assert!(!run.sustained.is_empty());
    let is_clean = |note: &Option<String>| note.as_ref().is_none_or(|note| !note.contains("signal"));
    assert!(run.sustained.iter().all(|row| is_clean(&row.note)), "{:?}", run.sustained);
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("a report");
    assert!(page.contains("This run was interrupted"));
}

#[test]
fn limits_are_raised_where_that_is_allowed_and_told_where_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |limit: &str| {
        let mut lab = Command::new("sh");
        lab.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh", LAB]);
        let output = lab.args(arguments("none", "50ms", folder.path())).output().expect("a shell");
        assert!(output.status.success(), "{}", text(&output));
        let run = read(folder.path());
        assert!(run.complete && run.models.is_empty());
        run.machine.limits["open files"].clone()
    };
    let files = |told: &str| told.split(';').next().expect("text").parse::<u64>().expect("a number");
    assert!(files(&told("-Sn 256")) > 256, "the hard limit allows more");
    // Above the hard limit, it takes a privilege.
    let both = told("-n 256");
    assert!(files(&both) > 256 || both.contains("was not allowed"), "{both}");
}

#[test]
fn a_full_disk_is_an_error_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_small_disk = |script: &str| {
        // The mount is the child's own, and ends with it.
        let script = format!("mount -t tmpfs -o size=64k lab \"$FOLDER\" && {script}");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh", LAB]).env("FOLDER", folder.path());
        command.args(arguments("threads", "50ms", &folder.path().join("out"))).output()
    };
    if !in_small_disk("true").is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: a small disk takes the right to mount one");
        return;
    }
    let output = in_small_disk(
        "mkdir \"$FOLDER/out\" && echo earlier >\"$FOLDER/out/report.html\" || exit 0
         \"$@\" && exit 0
         cat \"$FOLDER/out/report.html\"; exit 7",
    );
    let output = output.expect("it did before");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert!(text(&output).contains("report.html: no room"), "{}", text(&output));
    assert!(!text(&output).contains("peak"), "nothing was measured: {}", text(&output));
    assert!(text(&output).contains("earlier"), "what was there is kept: {}", text(&output));
}
