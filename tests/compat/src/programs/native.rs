//! Commands, which leave a mark while they run.

use std::process::Command;

use super::{Gone, Program, Version, always, text};
use crate::call::{Answer, Call};
use crate::servers::Servers;

/// A program that runs a command.
const COMMAND: Program = Program {
    name: "",
    version: Version::Toolchain,
    is_there: always,
    slow: |_| Ok(String::new()),
    look: Some(marks),
    gone: Gone::Never,
    goes_on: None,
};

pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "std::process", slow: process, ..COMMAND },
    #[cfg(feature = "whole")]
    Program { name: "duct", version: Version::Of("duct"), slow: by_duct, ..COMMAND },
];

/// A command that takes as long as the call says.
pub(super) fn marking(call: &Call<'_>) -> String {
    let (folder, time) = (call.servers.marks.display(), call.time.as_secs_f64());
    format!("touch {folder}/$$; sleep {time}; rm -f {folder}/$$; echo done")
}

pub(super) fn marks(servers: &Servers) -> Box<dyn FnMut() -> usize> {
    let folder = servers.marks.clone();
    Box::new(move || std::fs::read_dir(&folder).map_or(0, Iterator::count))
}

fn process(call: &Call<'_>) -> Answer {
    call.ready();
    let output = Command::new("sh").args(["-c", &marking(call)]).output().map_err(text)?;
    Ok(format!("{} {}", output.status, String::from_utf8_lossy(&output.stdout)))
}

/// Its own threads copy what the command prints.
#[cfg(feature = "whole")]
fn by_duct(call: &Call<'_>) -> Answer {
    call.ready();
    duct::cmd("sh", ["-c", &marking(call)]).stderr_to_stdout().read().map_err(text)
}
