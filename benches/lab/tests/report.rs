//! A quick run from the command line, and its report as a browser shows it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use abaca_lab::data::Run;

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_abaca-lab"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A run that takes a few seconds.
fn small(out: &Path, duration: &str) -> Command {
    let mut command = lab();
    command.args(["--quick", "--models", "threads,reactors,abaca", "--rates", "50", "--idle", "20"]);
    command.args(["--duration", duration, "--out"]).arg(out);
    command
}

#[test]
fn a_quick_run_measures_everything_and_writes_both_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = small(folder.path(), "60ms").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let run = Run::read(&folder.path().join("run.json")).unwrap();
    assert!(run.complete && run.quick);
    for model in ["threads", "reactors", "abaca"] {
        assert!(run.peak_of(model).is_some_and(|peak| peak.median > 0.0), "{model}: {:?}", run.peaks);
        // On a busy machine no model may keep up with any rate. Its row says so then, and there is none of a share.
        let sustained = run.sustained.iter().find(|row| row.model == model).expect("a row");
        if let Some(note) = &sustained.note {
            assert!(note.contains("falls behind"), "{model}: {note}");
            assert!(run.shares_of(model).is_empty(), "{model}: {:?}", run.latencies);
        } else {
            assert!(sustained.requests_per_second > 0.0, "{model}: {sustained:?}");
            assert_eq!(run.shares_of(model), [0.5], "{model}");
        }
        assert!(run.idle_of(model, 20).is_some(), "{model}: {:?}", run.idles);
        assert_eq!(run.mixed.iter().filter(|row| row.model == model).count(), 4, "{model}");
    }
    assert!(run.micros.len() > 30);
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.matches("<svg").count() > 10);
    let again = folder.path().join("again.html");
    let raw = folder.path().join("run.json");
    let output = lab().args(["report"]).args([&raw, &raw]).arg("--out").arg(&again).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(std::fs::read_to_string(again).unwrap().contains("0 of "), "a run is the same as itself");
}

#[test]
fn bad_input_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let output = small(&file.join("report"), "60ms").output().unwrap();
    assert!(!output.status.success() && text(&output).contains("file"), "{}", text(&output));
    let output = lab().args(["--models", "no-such"]).output().unwrap();
    assert!(text(&output).contains("the models are") && text(&output).contains("reactors"));
    for (option, bad) in [("--rates", "0"), ("--rates", "30,x"), ("--idle", "0"), ("--idle", "many")] {
        let output = lab().args([option, bad]).output().unwrap();
        assert!(!output.status.success() && text(&output).contains(option), "{}", text(&output));
    }
    let output = lab().args(["report", "no-such.json"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("no-such.json"));
    let output = lab().arg("report").arg(&file).output().unwrap();
    assert!(text(&output).contains("is not a run of the lab"), "{}", text(&output));
}

/// Debian's Chromium, wherever it is.
fn browser() -> PathBuf {
    let paths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = paths.iter().map(Path::new).find(|path| path.exists());
    found.expect("this test needs Chromium: apt-get install chromium").into()
}

#[test]
#[ignore = "needs Chromium; `.ci/run report` installs it and runs this"]
fn every_chart_of_the_sample_is_shown_with_data() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/run.json.gz");
    let profile = tempfile::tempdir().unwrap();
    let page = profile.path().join("report.html");
    let output = lab().args(["report", sample]).arg("--out").arg(&page).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    for width in [1200, 380] {
        let mut command = Command::new(browser());
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("--window-size={width},1000")).arg("--dump-dom").arg(&page);
        let output = command.output().unwrap();
        let dom = String::from_utf8_lossy(&output.stdout);
        assert!(dom.contains("In a minute"), "{}", text(&output));
        assert!(dom.matches("<section").count() >= 7, "{}", text(&output));
        let figures: Vec<&str> = dom.split("<figure").skip(1).collect();
        assert!(figures.len() >= 12, "{} charts", figures.len());
        for figure in figures {
            let figure = figure.split("</figure>").next().unwrap();
            let marks = figure.matches("<polygon").count() + figure.matches("<rect").count();
            assert!(figure.contains("<svg") && marks >= 2, "a chart without data: {figure}");
        }
    }
}
