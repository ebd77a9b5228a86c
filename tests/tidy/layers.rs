//! The layers of `runtime/src`: which room may use which, and who may touch the outside.

use super::{File, assert_none, rust_files};

/// Bottom to top; `ARCHITECTURE.md` says what each owns. A file uses its own room and the rooms of lower layers.
const LAYERS: &[&[&str]] = &[
    &["atomic"],
    &["os"],
    &["queue", "timer"],
    &["fiber"],
    &["poller"],
    &["scheduler"],
    &["park"],
    &[
        "sync",
        "channel",
        "current",
        "latch",
        "local_key",
        "members",
        "scope",
        "spawn",
        "blocking",
        "runtime",
        "time",
        "cancel",
        "join_set",
        "try_scope",
        "future",
    ],
    &["io", "promise", "actor"],
    &["net", "fs", "process", "signal"],
];

/// The layers whose rooms are one family and may use each other: what fibers are made of, and the face of
/// `std::thread`.
const FAMILIES: &[&str] = &["queue", "fiber", "sync"];

/// Uses that point upwards all the same, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The scheduler owns the pool whose jobs park: it keeps it for others and never calls it.
    ("scheduler", "blocking"),
];

fn layer_of(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn may_use(user: &str, used: &str) -> bool {
    let (Some(above), Some(below)) = (layer_of(user), layer_of(used)) else { return false };
    let are_family = above == below && FAMILIES.contains(&LAYERS[above][0]);
    user == used || below < above || are_family || EXCEPTIONS.contains(&(user, used))
}

/// What is not compiled into the library is left out, and so are re-exports: they draw the map of the public API and
/// use nothing.
fn library_code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if line.starts_with("#[cfg(") && line.contains("test") {
            // The item after it: a line with a semicolon, or a block that ends where it began.
            let item = lines.by_ref().find(|line| !line.starts_with("#[")).unwrap_or("");
            if item.ends_with('{') {
                lines.by_ref().find(|line| *line == "}");
            }
        } else if trimmed.starts_with("pub use ") {
            let mut line = line;
            while !line.ends_with(';') {
                line = lines.next().expect("a re-export ends");
            }
        } else if !trimmed.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
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
fn tests_and_reexports_are_left_out() {
    let text = "//! crate::a\n#[cfg(all(test, loom))]\nmod model;\nuse crate::b;\npub use crate::c::{\n    D,\n};\n\
                #[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    use crate::e;\n}\nuse crate::f;\n";
    assert_eq!(rooms_used(&library_code(text)), ["b", "f"]);
}

fn room_of(file: &File) -> &str {
    let path = file.path.strip_prefix("runtime/src/").expect("below it");
    path.split(['/', '.']).next().expect("a name")
}

#[test]
fn a_file_uses_only_lower_layers() {
    let mut wrong = Vec::new();
    for file in rust_files("runtime/src") {
        let room = room_of(&file);
        // The root, and the guide, which is documentation.
        if room == "lib" || room == "guide" {
            continue;
        }
        if layer_of(room).is_none() {
            wrong.push(format!("{}: `{room}` has no layer", file.path));
        }
        for used in rooms_used(&library_code(&file.text)) {
            if !may_use(room, &used) {
                wrong.push(format!("{} uses {used}", file.path));
            }
        }
    }
    assert_none(
        &wrong,
        "lower layers return work, they never call up; name items by their rooms, and give new rooms a layer:",
    );
}

#[test]
fn the_layers_and_their_exceptions_are_in_use() {
    let files: Vec<File> = rust_files("runtime/src").collect();
    let missing = LAYERS.iter().flat_map(|rooms| rooms.iter());
    let missing: Vec<_> = missing.filter(|room| !files.iter().any(|file| room_of(file) == **room)).collect();
    assert!(missing.is_empty(), "take these rooms, which are gone, out of LAYERS: {missing:?}");
    for (user, used) in EXCEPTIONS {
        let mut users = files.iter().filter(|file| room_of(file) == *user);
        let is_used = users.any(|file| rooms_used(&library_code(&file.text)).iter().any(|room| room == used));
        assert!(is_used, "{user} no longer uses {used}: take that out of EXCEPTIONS");
    }
}

#[test]
fn only_os_names_libc() {
    let calls = |file: &File| file.code().any(|line| line.contains("libc::"));
    let wrong: Vec<_> = rust_files("runtime/src")
        .filter(|file| room_of(file) != "os" && calls(file))
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
