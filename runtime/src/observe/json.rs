//! JSON, written by hand: what a dump needs of it.

use std::fmt::Write;

/// A JSON value under construction. Commas are put where they belong.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    /// Whether the next item of the innermost object or array is its first.
    is_first: bool,
}

impl Json {
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_first: true }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn item(&mut self) {
        if !self.is_first {
            self.text.push(',');
        }
        self.is_first = false;
    }

    fn key(&mut self, key: &str) {
        self.item();
        self.quote(key);
        self.text.push(':');
        self.is_first = true;
    }

    fn nest(&mut self, brackets: [char; 2], content: impl FnOnce(&mut Self)) {
        self.item();
        self.text.push(brackets[0]);
        self.is_first = true;
        content(self);
        self.text.push(brackets[1]);
        self.is_first = false;
    }

    /// An object, as an item of an array, or as the whole.
    pub(super) fn object(&mut self, content: impl FnOnce(&mut Self)) {
        self.nest(['{', '}'], content);
    }

    pub(super) fn object_at(&mut self, key: &str, content: impl FnOnce(&mut Self)) {
        self.key(key);
        self.nest(['{', '}'], content);
    }

    /// An array, as an item of an array.
    pub(super) fn array(&mut self, content: impl FnOnce(&mut Self)) {
        self.nest(['[', ']'], content);
    }

    pub(super) fn array_at(&mut self, key: &str, content: impl FnOnce(&mut Self)) {
        self.key(key);
        self.nest(['[', ']'], content);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.item();
        let _ = write!(self.text, "{number}");
    }

    pub(super) fn number_at(&mut self, key: &str, number: u64) {
        self.key(key);
        self.number(number);
    }

    pub(super) fn text_at(&mut self, key: &str, text: &str) {
        self.key(key);
        self.item();
        self.quote(text);
    }

    /// What is false is left out.
    pub(super) fn true_at(&mut self, key: &str) {
        self.key(key);
        self.item();
        self.text.push_str("true");
    }

    /// Writes nothing if there is no text.
    pub(super) fn option_at(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text_at(key, text);
        }
    }

    fn quote(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' => {
                    let _ = write!(self.text, "\\u{:04x}", c as u32);
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Json;

    #[test]
    fn commas_and_escapes_are_where_they_belong() {
        let mut json = Json::new();
        json.object(|json| {
            json.number_at("a", 1);
            json.option_at("none", None);
            json.text_at("b\"", "c\\\n\t\u{1}d");
            json.array_at("list", |json| {
                json.number(1);
                json.object(|json| json.number_at("x", 2));
                json.object(|_| ());
            });
            json.object_at("empty", |_| ());
        });
        let expected = r#"{"a":1,"b\"":"c\\\n\t\u0001d","list":[1,{"x":2},{}],"empty":{}}"#;
        assert_eq!(json.into_text(), expected);
    }
}
