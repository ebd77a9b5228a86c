//! Changes the paths of an example, as a user would who brings code to abaca.
//!
//! `use` declarations are taken apart into one path each, so that a group may name things that are mirrored beside
//! things that are not; then each path takes the longest prefix that the table gives. Strings and comments stay.

/// Which path, or prefix of one, becomes which.
pub(crate) type Paths = [(&'static str, &'static str)];

/// The roots of paths that may be swapped.
const ROOTS: [&str; 3] = ["std", "crossbeam_channel", "crossbeam_utils"];

/// `code` with its paths swapped.
pub(crate) fn swap(code: &str, paths: &Paths) -> String {
    let mut swapped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(char) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if char == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if is_word(char) {
            let end = path_end(rest);
            let path = &rest[..end];
            if path == "use" && rest[end..].starts_with(' ') {
                let end = rest.find(';').map_or(rest.len(), |end| end + 1);
                swapped.push_str(&import(&rest[..end], paths));
                rest = &rest[end..];
                continue;
            }
            swapped.push_str(&replace(path, paths));
            rest = &rest[end..];
            continue;
        } else {
            char.len_utf8()
        };
        swapped.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    swapped
}

/// Where the string literal at the start of `text` ends.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = false,
        }
    }
    text.len()
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Where the path at the start of `text` ends: words with `::` between them, and the `!` of a macro.
fn path_end(text: &str) -> usize {
    let mut end = 0;
    loop {
        end += text[end..].find(|char| !is_word(char)).unwrap_or(text.len() - end);
        match text[end..].strip_prefix("::") {
            Some(next) if next.starts_with(is_word) => end += 2,
            _ => break,
        }
    }
    end + usize::from(text[end..].starts_with('!') && !text[end..].starts_with("!="))
}

/// The path with its longest known prefix replaced.
fn replace(path: &str, paths: &Paths) -> String {
    let known = paths
        .iter()
        .filter(|(from, _)| {
            path.strip_prefix(from).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .max_by_key(|(from, _)| from.len());
    match known {
        Some((from, to)) => format!("{to}{}", &path[from.len()..]),
        None => path.to_owned(),
    }
}

/// A `use` declaration as one declaration for each path, where it concerns the table at all.
fn import(declaration: &str, paths: &Paths) -> String {
    let tree = declaration.trim_start_matches("use ").trim_end_matches(';').trim();
    let mut leaves = Vec::new();
    flatten("", tree, &mut leaves);
    if !leaves.iter().any(|leaf| ROOTS.iter().any(|root| leaf.starts_with(&format!("{root}::")))) {
        return declaration.to_owned();
    }
    let declarations: Vec<_> = leaves
        .iter()
        .map(|leaf| {
            let (path, alias) =
                leaf.split_once(" as ").map_or((leaf.as_str(), None), |(path, alias)| (path, Some(alias)));
            let replaced = replace(path, paths);
            let last = |path: &str| path.rsplit("::").next().map(str::to_owned);
            match alias {
                Some(alias) => format!("use {replaced} as {alias};"),
                None if last(&replaced) != last(path) => {
                    format!("use {replaced} as {};", last(path).expect("a name"))
                }
                None => format!("use {replaced};"),
            }
        })
        .collect();
    declarations.join(" ")
}

/// The paths of a `use` tree.
fn flatten(prefix: &str, tree: &str, leaves: &mut Vec<String>) {
    let tree = tree.trim();
    if tree.is_empty() {
    } else if let Some((head, group)) = tree.split_once('{') {
        let group = group.trim_end().strip_suffix('}').expect("a group ends");
        let (mut depth, mut begin) = (0, 0);
        for (at, char) in group.char_indices() {
            match char {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    flatten(&format!("{prefix}{head}"), &group[begin..at], leaves);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        flatten(&format!("{prefix}{head}"), &group[begin..], leaves);
    } else if tree == "self" || tree.starts_with("self as ") {
        leaves.push(format!("{}{}", prefix.trim_end_matches("::"), &tree["self".len()..]));
    } else {
        leaves.push(format!("{prefix}{tree}"));
    }
}

#[test]
fn each_path_of_a_group_is_swapped_alone() {
    let paths =
        [("std::thread", "ours::fiber"), ("std::sync", "ours::sync"), ("std::sync::Weak", "std::sync::Weak")];
    let code = "use std::{io::{self, Read}, sync::{Weak, Mutex as M}, thread}; // use std::thread;\nf(\"std::sync::x\", std::thread::id());";
    assert_eq!(
        swap(code, &paths),
        "use std::io; use std::io::Read; use std::sync::Weak; use ours::sync::Mutex as M; use ours::fiber as thread; \
         // use std::thread;\nf(\"std::sync::x\", ours::fiber::id());"
    );
}
