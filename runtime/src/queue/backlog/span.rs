//! Where the items of a window lie: three positions in one word, so that one operation changes them together.

/// Positions in a window, counted modulo 2^16. A window has fewer slots than that, so their distances are exact.
///
/// `copied <= head <= tail`, counted from where the window was empty last. The items from `head` to `tail` are anyone's to take. Those
/// from `copied` to `head` are taken, and may still be read by the thread that took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) copied: u16,
    pub(super) head: u16,
    pub(super) tail: u16,
}

/// What one more item adds to the word. The tail is in the highest bits, from which nothing is carried on.
pub(super) const ONE: u64 = 1 << 48;

/// Whether only the window's owner can change a word: there is nothing to take, and nobody who has to say that he has copied. All
/// three positions are one then.
#[inline(always)]
pub(super) const fn is_owners(word: u64) -> bool {
    const ALL: u64 = Span { copied: 1, head: 1, tail: 1 }.word();
    word == (word >> 48) * ALL
}

impl Span {
    #[inline(always)]
    pub(super) const fn of(word: u64) -> Self {
        Self { copied: word as u16, head: (word >> 16) as u16, tail: (word >> 48) as u16 }
    }

    #[inline(always)]
    pub(super) const fn word(self) -> u64 {
        self.copied as u64 | (self.head as u64) << 16 | (self.tail as u64) << 48
    }

    /// How many items may be taken.
    #[inline(always)]
    pub(super) const fn len(self) -> u16 {
        self.tail.wrapping_sub(self.head)
    }

    /// Whether nobody reads items that are taken.
    #[inline(always)]
    pub(super) const fn is_settled(self) -> bool {
        self.copied == self.head
    }

    /// After the `count` oldest items have been taken by a thread that will call [`all_copied`](Self::all_copied).
    pub(super) const fn without_oldest(self, count: u16) -> Self {
        Self { head: self.head.wrapping_add(count), ..self }
    }

    /// After the `count` newest items have been taken by the owner.
    pub(super) const fn without_newest(self, count: u16) -> Self {
        Self { tail: self.tail.wrapping_sub(count), ..self }
    }

    /// After whoever read taken items has read them all.
    pub(super) const fn all_copied(self) -> Self {
        Self { copied: self.head, ..self }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_span() {
        let span = Span { copied: 1, head: 0xFFFF, tail: 2 };
        assert_eq!(Span::of(span.word()), span);
        assert_eq!(span.len(), 3);
        assert!(!span.is_settled());
        assert_eq!(span.all_copied(), Span { copied: 0xFFFF, ..span });
    }

    #[test]
    fn positions_go_round_each_for_itself() {
        let last = Span { copied: 0xFFFF, head: 0xFFFF, tail: 0xFFFF };
        assert!(is_owners(last.word()) && is_owners(0));
        let one = Span::of(last.word().wrapping_add(ONE));
        assert!(!is_owners(one.word()));
        assert!(!is_owners(one.without_oldest(1).word()), "somebody copies");
        assert_eq!(one, Span { tail: 0, ..last });
        assert_eq!(one.len(), 1);
        assert_eq!(one.without_oldest(1), Span { head: 0, tail: 0, ..last });
        assert_eq!(one.without_newest(1), last);
    }
}
