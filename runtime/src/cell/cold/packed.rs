//! The words of frames without those that are zero, of which most frames have many.

/// The words as [`Unpacked`] gives them back: for each 64 a mask of those that are not zero, and then these.
pub(super) fn packed(words: &[u64]) -> Box<[u64]> {
    let mut packed = Vec::with_capacity(words.len() + words.len().div_ceil(64));
    for some in words.chunks(64) {
        let mask = some.iter().enumerate().filter(|(_, word)| **word != 0);
        packed.push(mask.fold(0, |mask, (index, _)| mask | 1 << index));
        packed.extend(some.iter().filter(|word| **word != 0));
    }
    packed.into()
}

/// The words that were [`packed`], and zeros behind them.
pub(super) struct Unpacked<'a> {
    left: std::slice::Iter<'a, u64>,
    mask: u64,
    /// How many words the mask still is for.
    count: u32,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(packed: &'a [u64]) -> Self {
        Self { left: packed.iter(), mask: 0, count: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        if self.count == 0 {
            (self.mask, self.count) = (self.left.next().copied().unwrap_or(0), 64);
        }
        let is_there = self.mask & 1 != 0;
        (self.mask, self.count) = (self.mask >> 1, self.count - 1);
        if is_there { self.left.next().copied().unwrap_or(0) } else { 0 }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        for count in [0, 1, 63, 64, 65, 130, 512] {
            for step in [1, 2, 7, 1000] {
                let words: Vec<u64> = (0..count).map(|n| if n % step == 0 { n + 1 } else { 0 }).collect();
                let packed = packed(&words);
                let mut unpacked = Unpacked::new(&packed);
                assert!(words.iter().all(|word| unpacked.next() == *word), "{count} words, each {step}th");
                assert_eq!(unpacked.next(), 0);
            }
        }
    }
}
