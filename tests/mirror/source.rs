//! What a crate's source says: the examples in its doc comments, as rustdoc's test runner would see them.
//!
//! Knows only what rustdoc does with a code block: hidden lines count, and a block without `main` becomes one.

use crate::form::Example;
use crate::html::Fate;

/// The examples of a source file, in order. The section is the item that the comment describes, with the type whose
/// `impl` it stands in: `Sender::send`; the comment of the file itself is `file`.
pub(crate) fn examples(source: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut owner = String::new();
    let mut waiting: Vec<(Fate, String)> = Vec::new();
    let mut block: Option<(Option<Fate>, String)> = None;
    let mut add = |section: &str, examples: &mut Vec<(Fate, String)>| {
        for (fate, code) in examples.drain(..) {
            let nth = found.iter().filter(|example| example.section == section).count();
            found.push(Example { section: section.to_owned(), nth, fate, code });
        }
    };
    for line in source.lines() {
        let text = line.trim_start();
        let comment = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"));
        if let Some(comment) = comment {
            let comment = comment.strip_prefix(' ').unwrap_or(comment);
            match (&mut block, comment.trim_start().strip_prefix("```")) {
                (None, Some(language)) => block = Some((fate(language), String::new())),
                (Some(_), Some(_)) => {
                    if let Some((Some(fate), code)) = block.take() {
                        waiting.push((fate, complete(&code)));
                    }
                }
                (Some((_, code)), None) => {
                    code.push_str(visible(comment));
                    code.push('\n');
                }
                (None, None) => {}
            }
            if text.starts_with("//!") {
                add("file", &mut waiting);
            }
        } else if let Some(item) = item(text) {
            let section =
                if line.starts_with(' ') && !owner.is_empty() { format!("{owner}::{item}") } else { item };
            add(&section, &mut waiting);
        } else if let Some(header) = line.strip_prefix("impl") {
            owner = subject(header);
        }
    }
    found
}

/// Whether the block is an example, and what happens to it.
fn fate(language: &str) -> Option<Fate> {
    match language.trim() {
        "" | "rust" | "no_run" => Some(Fate::Passes),
        "should_panic" => Some(Fate::Panics),
        "compile_fail" => Some(Fate::Rejected),
        "ignore" => Some(Fate::Ignored),
        _ => None,
    }
}

/// Lines that begin with `# ` are hidden in the page and there in the program.
fn visible(line: &str) -> &str {
    let text = line.trim_start();
    if text == "#" { "" } else { text.strip_prefix("# ").unwrap_or(line) }
}

fn complete(code: &str) -> String {
    if code.contains("fn main()") { code.to_owned() } else { format!("fn main() {{\n{code}}}\n") }
}

/// The name that a line declares.
fn item(line: &str) -> Option<String> {
    let line = line.strip_prefix("pub ").or_else(|| line.starts_with("macro_rules! ").then_some(line))?;
    let mut words =
        line.split(|char: char| !(char.is_alphanumeric() || char == '_')).filter(|word| !word.is_empty());
    let kind = words.find(|word| !matches!(*word, "unsafe" | "const"))?;
    matches!(kind, "fn" | "struct" | "enum" | "macro_rules").then(|| words.next().map(str::to_owned))?
}

/// The type that the rest of an `impl` line is about: `<T> Sender<T> {` is about `Sender`.
fn subject(header: &str) -> String {
    let header = header.rsplit(" for ").next().unwrap_or(header).trim();
    let mut depth = 0;
    let name = header.trim_start_matches(|char| {
        depth += i32::from(char == '<') - i32::from(char == '>');
        depth > 0 || char == '>' || char == ' '
    });
    name.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

#[test]
fn comments_tell_their_examples_and_what_they_describe() {
    let source = "//! ```\n//! top();\n//! ```\n\nimpl<'a, T: Into<u8>> Own<'a, T> {\n    /// Text.\n    ///\n    /// \
                  ```should_panic\n    /// # hidden();\n    /// shown();\n    /// ```\n    /// ```text\n    /// no example\
                  \n    /// ```\n    pub fn act(&self) {}\n}\n";
    let found = examples(source);
    let seen: Vec<_> =
        found.iter().map(|example| (example.section.as_str(), example.fate, example.code.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("file", Fate::Passes, "fn main() {\ntop();\n}\n"),
            ("Own::act", Fate::Panics, "fn main() {\nhidden();\nshown();\n}\n"),
        ]
    );
}
