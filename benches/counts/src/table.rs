//! The table of counts: a line for each operation, its name and its count, which anyone can read in a diff.

use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Instructions of one operation in user space, on the worker that does it. Written by
# cargo run --profile bench -p abaca-counts -- --update
# under ";

/// Counts by operation, in the order of the file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// The version of valgrind, which decides which system calls there are.
    pub(crate) valgrind: String,
    lines: Vec<(String, f64)>,
}

impl Table {
    /// The table in a file; an empty one if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let valgrind =
            text.lines().find_map(|line| line.strip_prefix("# under ")).unwrap_or_default().to_owned();
        let parsed = lines.map(|line| {
            let (count, name) = line.trim().split_once(' ').ok_or_else(|| format!("no name in {line:?}"))?;
            let count = count.parse().map_err(|error| format!("{line:?}: {error}"))?;
            Ok((name.to_owned(), count))
        });
        parsed.collect::<Result<_, String>>().map(|lines| Self { valgrind, lines })
    }

    /// The count of an operation, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.lines.iter().find(|line| line.0 == name).map(|line| line.1)
    }

    /// Puts a count in.
    pub(crate) fn set(&mut self, name: &str, count: f64) {
        match self.lines.iter_mut().find(|line| line.0 == name) {
            Some(line) => line.1 = count,
            None => self.lines.push((name.to_owned(), count)),
        }
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::write(path, self.text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}{}\n", self.valgrind);
        for (name, count) in &self.lines {
            let _ = writeln!(text, "{count:>9.1} {name}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn what_was_written_is_read_again() {
        let mut table = Table { valgrind: "valgrind-1".to_owned(), ..Table::default() };
        table.set("a long name", 12.5);
        table.set("another", 1.0);
        table.set("a long name", 13.0);
        assert_eq!(Table::parse(&table.text()), Ok(table));
    }

    #[test]
    fn the_committed_table_is_of_the_operations_that_there_are() {
        let table = Table::parse(include_str!("../table.txt")).expect("a table");
        let names: Vec<_> = table.lines.iter().map(|line| line.0.as_str()).collect();
        assert_eq!(names, operations::ALL.iter().map(|operation| operation.name).collect::<Vec<_>>());
    }
}
