//! A queue without a bound gives the memory of a backlog back when that has been worked off, as linked blocks would.

use std::collections::VecDeque;

/// Up to so many bytes are kept whatever happens.
const KEPT_BYTES: usize = 64 * 1024;

/// The most places of a queue of `T` that are kept.
const fn kept<T>() -> usize {
    match size_of::<T>() {
        // It takes no memory, and its capacity is the greatest number.
        0 => usize::MAX,
        bytes => KEPT_BYTES / bytes,
    }
}

/// Takes the first of the queue. If that leaves most of a large one unused, half of it is given back: less than one step for
/// each that was taken since the last time.
#[inline]
pub(crate) fn take_first<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.capacity() > kept::<T>() && queue.len() < queue.capacity() / 4 {
        give_back(queue);
    }
    first
}

#[cold]
#[inline(never)]
fn give_back<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to(queue.capacity() / 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_backlog_goes_with_it() {
        let mut queue: VecDeque<_> = (0..1_000_000_u64).collect();
        let most = queue.capacity();
        for n in 0..1_000_000 {
            assert_eq!(take_first(&mut queue), Some(n));
            assert!(queue.capacity() <= kept::<u64>() || queue.capacity() / 8 <= queue.len() + 1);
        }
        assert!(queue.capacity() <= kept::<u64>() && kept::<u64>() < most);
        assert_eq!(take_first(&mut queue), None);
    }

    #[test]
    fn what_is_small_stays() {
        let mut queue = VecDeque::with_capacity(kept::<u64>());
        let before = queue.capacity();
        queue.push_back(1_u64);
        assert_eq!((take_first(&mut queue), take_first(&mut queue)), (Some(1), None));
        assert_eq!(queue.capacity(), before);
        let mut nothing: VecDeque<_> = [(); 1000].into();
        assert_eq!(take_first(&mut nothing), Some(()));
        assert_eq!(nothing.len(), 999);
    }

    #[test]
    fn one_that_goes_up_and_down_moves_little() {
        // A change of the capacity moves at most as many as were taken, or put, since the last.
        let mut queue = VecDeque::new();
        let (mut moved, mut calls) = (0, 0);
        for round in 0..50_u64 {
            let most = 20_000 + 1_000 * (round % 7);
            for n in 0..most {
                let before = queue.capacity();
                queue.push_back(n);
                moved += if queue.capacity() == before { 0 } else { queue.len() };
                calls += 1;
            }
            while !queue.is_empty() {
                let before = queue.capacity();
                take_first(&mut queue).unwrap();
                moved += if queue.capacity() == before { 0 } else { queue.len() };
                calls += 1;
            }
        }
        assert!(moved < calls, "{moved} moves in {calls} calls");
    }
}
