//! A text of the program's in a report for people: on one line, and without effect on a terminal, whatever is in it.

use std::fmt::{self, Display, Write};

/// See the module's documentation: what is no visible character is escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_order = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        self.0.chars().try_for_each(|c| {
            if c.is_control() || is_order(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Plain;

    #[test]
    fn what_changes_lines_or_the_terminal_is_escaped() {
        assert_eq!(Plain("a\nb\u{1b}[2J\0\u{202e}").to_string(), "a\\nb\\u{1b}[2J\\u{0}\\u{202e}");
        assert_eq!(Plain("Zoë 'x' \"y\" \\").to_string(), "Zoë 'x' \"y\" \\");
    }
}
