//! `RESULTS.md`: a file of sections between marks, each written by the command that measured it.

use std::io;
use std::path::Path;

/// Replaces the section `name` of the file, or adds it at the end; the other sections stay.
///
/// # Errors
///
/// If the file cannot be written.
pub fn put_section(path: &Path, name: &str, text: &str) -> io::Result<()> {
    let old = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    std::fs::write(path, with_section(&old, name, text))
}

fn with_section(old: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let section = format!("{begin}\n{}\n{end}", text.trim_end());
    match (old.find(&begin), old.find(&end)) {
        (Some(from), Some(to)) => {
            format!("{}{section}{}", &old[..from], &old[to + end.len()..])
        }
        _ if old.is_empty() => format!("{section}\n"),
        _ => format!("{}\n\n{section}\n", old.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_itself_and_nothing_else() {
        let one = with_section("", "one", "1");
        let both = with_section(&one, "two", "2");
        assert!(both.contains("1") && both.contains("2"));
        let again = with_section(&both, "one", "3");
        assert_eq!(again, both.replace('1', "3"));
    }
}
