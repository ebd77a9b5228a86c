//! Headers of methods and implementations, in a form in which two of them compare.
//!
//! Names of arguments and lifetimes do not count, nor does where a bound is written. A bound that the original lacks
//! does count, since it takes something from the caller; so does `const` that is gone. A type parameter is `Sized`
//! unless its header says otherwise.

use std::collections::BTreeSet;

/// A header as rustdoc prints it, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signature {
    /// Everything but the bounds. The page's own type is `Self`, without its parameters.
    pub(crate) head: String,
    bounds: BTreeSet<String>,
}

impl Signature {
    /// Takes apart `pub fn name<T: Bound>(argument: Type) -> Type where ..` or `impl<T: Bound> Trait for Type where ..`,
    /// on the page of the type `own`, which is empty on other pages.
    pub(crate) fn new(header: &str, own: &str) -> Self {
        let text = anonymous(&header.split_whitespace().collect::<Vec<_>>().join(" "));
        let text = own_type(&text, own);
        let (text, clause) = text.split_once(" where ").unwrap_or((&text, ""));
        let begin = text.find("fn ").map_or("impl".len(), |at| {
            at + 3 + text[at + 3..].find(|char: char| !is_word(char)).unwrap_or(0)
        });
        let (name, rest) = text.split_at(begin);
        let (generics, rest) = if rest.starts_with('<') { rest.split_at(closing(rest)) } else { ("", rest) };

        let mut bounds = BTreeSet::new();
        let mut kept = Vec::new();
        let generics = generics.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or_default();
        for parameter in parts(generics).filter(|parameter| !parameter.starts_with('\'')) {
            let (name, _) = parameter.split_once(": ").unwrap_or((parameter, ""));
            bounds.insert(format!("{name}: Sized"));
            kept.push(name);
            bind(parameter, &mut bounds);
        }
        for predicate in parts(clause) {
            bind(predicate, &mut bounds);
        }
        for unsized_too in bounds.clone().iter().filter_map(|bound| bound.strip_suffix(": ?Sized")) {
            bounds.remove(&format!("{unsized_too}: Sized"));
            bounds.remove(&format!("{unsized_too}: ?Sized"));
        }
        let head = if name.contains("fn ") {
            let generics = if kept.is_empty() { String::new() } else { format!("<{}>", kept.join(", ")) };
            format!("{name}{generics}{}", nameless(rest))
        } else {
            format!("{name} {}", rest.trim())
        };
        Self { head, bounds }
    }

    /// Whether whoever uses the original may use this instead.
    pub(crate) fn serves(&self, original: &Self) -> bool {
        let is_same = self.head == original.head || self.head.replace("const fn", "fn") == original.head;
        // rustdoc writes the bounds of what is not implemented in more than one way.
        is_same && (self.head.contains(" !") || self.bounds.is_subset(&original.bounds))
    }

    /// The name of the function, or the header of the implementation.
    pub(crate) fn name(&self) -> String {
        match self.head.split_once("fn ") {
            Some((_, rest)) => {
                format!("fn {}", rest.split(|char: char| !is_word(char)).next().unwrap_or_default())
            }
            None => self.head.trim_end_matches(" for Self").to_owned(),
        }
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.head)?;
        for (nth, bound) in self.bounds.iter().enumerate() {
            write!(f, "{} {bound}", if nth == 0 { " where" } else { "," })?;
        }
        Ok(())
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Adds the bounds of `T: A + B`.
fn bind(text: &str, bounds: &mut BTreeSet<String>) {
    if let Some((name, all)) = text.split_once(": ") {
        bounds.extend(
            all.split(" + ").filter(|bound| !bound.starts_with('\'')).map(|bound| format!("{name}: {bound}")),
        );
    }
}

/// All lifetimes but `'static` are one.
fn anonymous(text: &str) -> String {
    let mut parts = text.split('\'');
    let mut anonymous = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|char| !is_word(char)).unwrap_or(part.len());
        let name = if &part[..end] == "static" { "static" } else { "_" };
        anonymous.push_str(&format!("'{name}{}", &part[end..]));
    }
    anonymous.replace("&'_ ", "&")
}

/// Replaces the type's name, with its parameters, by `Self`.
fn own_type(text: &str, own: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len()).max(char.len_utf8());
        let (word, after) = rest.split_at(end);
        let is_own = word == own || word == "Self";
        replaced.push_str(if is_own { "Self" } else { word });
        rest = if is_own && after.starts_with('<') { &after[closing(after)..] } else { after };
    }
    replaced
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '<' | '(' | '[' => depth += 1,
            '>' if text[..at].ends_with('-') => {}
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// What stands between the commas that are in no bracket.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = 0;
        while end < rest.len() && !rest[end..].starts_with(',') {
            let is_open = rest[end..].starts_with(['<', '(', '[']);
            end += if is_open {
                closing(&rest[end..])
            } else {
                rest[end..].chars().next().map_or(1, char::len_utf8)
            };
        }
        parts.push(rest[..end].trim());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    parts.into_iter().filter(|part| !part.is_empty())
}

/// `(self, name: Type) -> Type` without the names.
fn nameless(text: &str) -> String {
    let (arguments, rest) = text.split_at(closing(text));
    let arguments = arguments.trim_start_matches('(').trim_end_matches(')');
    let types: Vec<_> =
        parts(arguments).map(|part| part.split_once(": ").map_or(part, |(_, kind)| kind)).collect();
    format!("({}){rest}", types.join(", "))
}

#[test]
fn what_serves_the_caller_serves_and_nothing_else() {
    let serves =
        |ours: &str, theirs: &str| Signature::new(ours, "Own").serves(&Signature::new(theirs, "Original"));
    assert!(serves(
        "pub fn get<'a, T>(&'a self, many: [T; 2]) -> Own<'a>",
        "pub fn get<T>(&self, n: [T; 2]) -> Original<'_>"
    ));
    assert!(serves("impl<T> Send for Own<T> where T: Send", "impl<'a, T: Send> Send for Original<'a, T>"));
    assert!(serves("impl<T> Error for Own<T>", "impl<T: Send> Error for Original<T>"));
    assert!(serves("pub const fn new(value: T) -> Self", "pub fn new(t: T) -> Original<T>"));
    assert!(serves(
        "pub fn run<F: FnOnce(&T) -> R>(f: F)",
        "pub fn run<F>(run: F) where F: FnOnce(&T) -> R,"
    ));
    assert!(!serves("impl<T: Send> Error for Own<T>", "impl<T> Error for Original<T>"));
    assert!(!serves("impl<T> Sync for Own<T>", "impl<T: ?Sized> Sync for Original<T>"));
    assert!(!serves("impl<T> !Send for Own<T>", "impl<T> Send for Original<T>"));
    assert!(!serves("pub fn new() -> Self", "pub const fn new() -> Self"));
    assert!(!serves("pub fn act(self, n: u8)", "pub fn act(&self, n: u8)"));
    assert_eq!(Signature::new("pub fn act<T>(self)", "Own").name(), "fn act");
    assert_eq!(Signature::new("impl<T> From<Vec<T>> for Own<T>", "Own").name(), "impl From<Vec<T>>");
}
