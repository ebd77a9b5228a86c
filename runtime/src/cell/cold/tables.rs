//! The pages of the page table that cold stacks have for themselves. They hold nothing then but the marks of guards, which can be made anew.

use std::collections::BTreeMap;
use std::ops::Range;

/// How much of what each page of the page table is for belongs to cold stacks.
pub(super) struct Tables {
    /// How many bytes of addresses a page of the page table is for.
    span: usize,
    /// The cold bytes, by the first address. Not of those that one stack has for itself.
    cold: BTreeMap<usize, usize>,
}

impl Tables {
    /// Nothing is cold.
    pub(super) fn new(page_bytes: usize) -> Self {
        Self { span: page_bytes * (page_bytes / size_of::<u64>()), cold: BTreeMap::new() }
    }

    /// Counts a stack that is cold from now on. Returns the addresses around it, of whole pages of the page table, that belong to
    /// nothing but cold stacks since; they may be none.
    pub(super) fn add(&mut self, stack: &Range<usize>) -> Range<usize> {
        let Range { start: first, end: last } = self.ends(stack);
        if first == last {
            let is_whole = self.count(first, stack.len());
            return first..if is_whole { first + self.span } else { first };
        }
        let from = if self.count(first, first + self.span - stack.start) { first } else { first + self.span };
        let to = if self.count(last, stack.end - last) { last + self.span } else { last };
        from..to
    }

    /// Counts a stack that is cold no more.
    pub(super) fn remove(&mut self, stack: &Range<usize>) {
        let Range { start: first, end: last } = self.ends(stack);
        if first == last {
            return self.uncount(first, stack.len());
        }
        self.uncount(first, first + self.span - stack.start);
        self.uncount(last, stack.end - last);
    }

    /// Where the first and the last page of the page table begin that are for the stack.
    fn ends(&self, stack: &Range<usize>) -> Range<usize> {
        stack.start / self.span * self.span..(stack.end - 1) / self.span * self.span
    }

    /// Returns whether all is cold.
    fn count(&mut self, table: usize, bytes: usize) -> bool {
        let cold = self.cold.entry(table).or_default();
        *cold += bytes;
        *cold == self.span
    }

    fn uncount(&mut self, table: usize, bytes: usize) {
        if let Some(cold) = self.cold.get_mut(&table) {
            *cold -= bytes;
            if *cold == 0 {
                self.cold.remove(&table);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SPAN: usize = 512 * 4096;

    /// The parts of the tables that a stack adds, each from and to so many spans.
    fn added(tables: &mut Tables, stack: Range<usize>) -> Option<(usize, usize)> {
        let whole = tables.add(&stack);
        (!whole.is_empty()).then_some((whole.start / SPAN, whole.end / SPAN))
    }

    #[test]
    fn a_table_is_whole_with_the_last_of_its_stacks() {
        let mut tables = Tables::new(4096);
        let third = SPAN / 2 + 4096;
        let stacks: Vec<_> = (0..4).map(|n| SPAN + n * third..SPAN + (n + 1) * third).collect();
        assert_eq!(added(&mut tables, stacks[2].clone()), None);
        assert_eq!(added(&mut tables, stacks[0].clone()), None);
        assert_eq!(added(&mut tables, stacks[1].clone()), Some((1, 2)), "the second ends in the next one");
        assert_eq!(added(&mut tables, stacks[3].clone()), Some((2, 3)));
        tables.remove(&stacks[1]);
        assert_eq!(added(&mut tables, stacks[1].clone()), Some((1, 3)), "it was in two");
        stacks.iter().for_each(|stack| tables.remove(stack));
        assert!(tables.cold.is_empty());
    }

    #[test]
    fn a_large_stack_has_tables_for_itself() {
        let mut tables = Tables::new(4096);
        let stack = SPAN + 4096..5 * SPAN + 4096;
        assert_eq!(added(&mut tables, stack.clone()), Some((2, 5)));
        assert_eq!(added(&mut tables, SPAN..SPAN + 4096), Some((1, 2)));
        tables.remove(&stack);
        assert_eq!(tables.cold, BTreeMap::from([(SPAN, 4096)]));
        assert_eq!(added(&mut tables, 7 * SPAN..9 * SPAN), Some((7, 9)), "at the ends of two");
    }
}
