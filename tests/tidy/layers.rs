//! The rooms of `runtime/src`: which may use which, and who may touch the outside.

use super::{File, assert_none, read, rust_files};

/// Bottom to top: a total order, without exceptions. `ARCHITECTURE.md` says what each room owns. A file uses its own room
/// and the rooms below it, in its re-exports and in its tests as well.
const ROOMS: &[&str] = &[
    "atomic",
    "os",
    "queue",
    "timer",
    "cell",
    "poller",
    "pool",
    "scheduler",
    "park",
    "time",
    "cancel",
    "channel",
    "sync",
    "blocking",
    "fiber",
    "observe",
    "runtime",
    "future",
    "io",
    "net",
    "fs",
    "process",
    "signal",
    "hook",
    "promise",
    "actor",
];

/// The root, which draws the map of the public API, and the guide, which is documentation: they are in no room.
const ABOVE_ALL: &[&str] = &["lib", "guide"];

fn height(room: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room)
}

fn may_use(user: &str, used: &str) -> bool {
    matches!((height(user), height(used)), (Some(user), Some(used)) if used <= user)
}

/// The lines of a file that are neither comments nor documentation.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The rooms that code names by path, directly or in a group: `crate::{park, queue::SpinLock}`.
fn rooms_used(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => first_words_of_group(group),
            None => vec![first_word(rest)],
        })
        .filter(|word| !word.is_empty())
        .collect()
}

fn first_words_of_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut words = vec![first_word(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(first_word(&group[at + 1..])),
            _ => {}
        }
    }
    words
}

/// The identifier that `text` begins with; nothing if that is a macro's, which lives at the root.
fn first_word(text: &str) -> String {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if text[end..].starts_with('!') { String::new() } else { text[..end].into() }
}

#[test]
fn paths_are_found_alone_and_in_groups() {
    let code = "use crate::fiber::{Header, Waiter};\nuse crate::{\n    park,\n    queue::{List, SpinLock}, os,\n};\n\
                let x = crate::timer::now(); $crate::fiber_local!();";
    assert_eq!(rooms_used(code), ["fiber", "park", "queue", "os", "timer"]);
}

#[test]
fn only_lower_rooms_may_be_used() {
    assert!(may_use("park", "scheduler") && may_use("park", "park"));
    assert!(!may_use("scheduler", "park") && !may_use("park", "spawn") && !may_use("lib", "park"));
    assert_eq!(rooms_used(&code("// crate::a\n    //! crate::b\npub use crate::c::{\n    D,\n};\n")), ["c"]);
}

#[test]
fn ways_out_of_a_room_are_found() {
    assert!(!leaves_its_room("runtime/src/park/mod.rs", "use super::cannot_be::told;"));
    assert!(leaves_its_room("runtime/src/park/mod.rs", "use super::scheduler;"));
    assert!(!leaves_its_room("runtime/src/park/wait.rs", "use super::block;"));
    assert!(leaves_its_room("runtime/src/park/wait.rs", "use super::super::scheduler;"));
    assert!(!leaves_its_room("runtime/src/park/wait.rs", "    use super::super::block;"));
    assert!(!leaves_its_room("runtime/src/park/wait_list/tests.rs", "use super::super::block;"));
}

fn room_of(file: &File) -> &str {
    let path = file.path.strip_prefix("runtime/src/").expect("below it");
    path.split(['/', '.']).next().expect("a name")
}

/// Whether a line goes up to the root by `super`, and names another room there.
fn leaves_its_room(path: &str, line: &str) -> bool {
    let path = path.strip_prefix("runtime/src/").expect("below it");
    let depth = path.trim_end_matches("/mod.rs").matches('/').count() + 1;
    // A module within the file, whose lines are indented.
    let depth = depth + usize::from(line.starts_with("    "));
    let way = "super::".repeat(depth);
    let mut rooms = line.split(&way).skip(1).map(first_word);
    rooms.any(|room| height(&room).is_some())
}

/// The names of the macros that the crate exports, which live at its root.
fn exported_macros() -> Vec<String> {
    let name = |part: &str| part.split_once("macro_rules! ").map(|(_, rest)| first_word(rest.trim_end()));
    let files = rust_files("runtime/src").collect::<Vec<_>>();
    files.iter().flat_map(|file| file.text.split("#[macro_export]").skip(1).filter_map(name)).collect()
}

#[test]
fn a_file_uses_only_lower_rooms() {
    let macros = exported_macros();
    let mut wrong = Vec::new();
    for file in rust_files("runtime/src") {
        let room = room_of(&file);
        if ABOVE_ALL.contains(&room) {
            continue;
        }
        if height(room).is_none() {
            wrong.push(format!("{}: `{room}` has no place in ROOMS", file.path));
        }
        for used in rooms_used(&code(&file.text)) {
            if !may_use(room, &used) && !macros.contains(&used) {
                wrong.push(format!("{} uses {used}", file.path));
            }
        }
        let leaving = file.code().filter(|line| leaves_its_room(&file.path, line));
        wrong.extend(leaving.map(|line| format!("{}: {line}", file.path)));
    }
    assert_none(
        &wrong,
        "lower rooms return work, they never call up; name items by their rooms, and give a new room its place in ROOMS:",
    );
}

#[test]
fn what_is_built_on_fibers_uses_what_is_public() {
    // What is public of a room is for the compiler to say: `tests/outside` compiles these two as parts of another crate.
    let root = read("runtime/src/lib.rs");
    let mut wrong = Vec::new();
    let files = rust_files("runtime/src").filter(|file| ["promise", "actor"].contains(&room_of(file)));
    for file in files {
        let private = |used: &String| {
            let is_own = room_of(&file) == used;
            !is_own && !root.lines().any(|line| line == format!("pub mod {used};"))
        };
        let used = rooms_used(&code(&file.text)).into_iter().filter(private);
        wrong.extend(used.map(|used| format!("{} uses {used}", file.path)));
    }
    assert_none(
        &wrong,
        "promises and actors are for others to build as well: from what is public, and `abaca::park`:",
    );
}

#[test]
fn each_room_is_there_and_in_the_architecture() {
    let files: Vec<File> = rust_files("runtime/src").collect();
    let missing: Vec<_> =
        ROOMS.iter().filter(|room| !files.iter().any(|file| room_of(file) == **room)).collect();
    assert!(missing.is_empty(), "take these rooms, which are gone, out of ROOMS: {missing:?}");
    // Its table names them in the same order, one or more to a line.
    let architecture = read("ARCHITECTURE.md");
    let (_, table) = architecture.split_once("| rooms | own |").expect("the table of rooms");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    let named =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(|name| name.trim_end_matches('/'));
    assert_eq!(named.collect::<Vec<_>>(), ROOMS, "ARCHITECTURE.md: the table of rooms, bottom to top");
}

#[test]
fn only_os_makes_system_calls() {
    let calls = |file: &File| file.code().any(|line| line.contains("libc::") || line.contains("rustix::"));
    let wrong: Vec<_> = rust_files("runtime/src")
        // A spin lock offers its core, below everything.
        .filter(|file| !["os", "atomic"].contains(&room_of(file)) && calls(file))
        .map(|file| file.path)
        .collect();
    assert_none(&wrong, "system calls belong into runtime/src/os, as safe functions:");
}

#[test]
fn only_os_starts_threads() {
    let starts = |file: &File| {
        let code = file.text.split("#[cfg(all(test").next().expect("a first part");
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines
            .into_iter()
            .any(|line| line.contains("thread::spawn(") || line.contains("thread::Builder::new()"))
    };
    let wrong: Vec<_> = rust_files("runtime/src")
        .filter(|file| !file.path.contains("model") && !file.path.contains("/tests_"))
        .filter(|file| room_of(file) != "os" && starts(file))
        .map(|file| file.path)
        .collect();
    assert_none(
        &wrong,
        "a thread needs a stack for signals' handlers, and an end for its panics: os::thread::start:",
    );
}

#[test]
fn only_the_builder_reads_the_environment() {
    let reads = |file: &File| file.code().any(|line| line.contains("env::var"));
    let wrong: Vec<_> = rust_files("runtime/src")
        .filter(|file| room_of(file) != "runtime" && reads(file))
        .map(|file| file.path)
        .collect();
    assert_none(&wrong, "configuration is read in runtime/builder.rs and handed down:");
}
