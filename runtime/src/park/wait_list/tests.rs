//! The wait list against a deque.

#![expect(unsafe_code, reason = "as in the list")]

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const NODES: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(usize, bool),
    Leave(usize),
    /// The node's wait ends otherwise, and its owner has yet to come for the lock.
    Lose(usize),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..NODES, any::<bool>()).prop_map(|(index, is_front)| Step::Join(index, is_front)),
        2 => (0..NODES).prop_map(Step::Leave),
        1 => (0..NODES).prop_map(Step::Lose),
        2 => Just(Step::Pop),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn waiters_are_popped_in_their_order(steps in steps()) {
        let nodes: [Node<usize>; NODES] = std::array::from_fn(Node::new);
        let mut waiters: [Waiter; NODES] = std::array::from_fn(|_| Waiter::new(None));
        let (mut list, mut expected) = (WaitList::new(), VecDeque::new());
        for step in steps {
            match step {
                Step::Join(index, is_front) if !expected.contains(&index) => {
                    waiters[index] = Waiter::new(None);
                    let end = if is_front { End::Front } else { End::Back };
                    // SAFETY: the node is in no list, and it and its waiter outlive the list's last use.
                    unsafe { list.join(&nodes[index], &waiters[index], end) };
                    if is_front { expected.push_front(index) } else { expected.push_back(index) }
                }
                Step::Join(..) => {}
                Step::Leave(index) => {
                    // SAFETY: there is no other list.
                    unsafe { list.leave(&nodes[index]) };
                    expected.retain(|other| *other != index);
                }
                Step::Lose(index) => {
                    let _lost = waiters[index].claim(Outcome::TimedOut);
                }
                Step::Pop => {
                    let still_waits = |index: &usize| waiters[*index].outcome().is_none();
                    let first = expected.iter().position(still_waits);
                    let is_popped = list.pop_front().is_some();
                    prop_assert_eq!(is_popped, first.is_some());
                    expected.drain(..first.map_or(expected.len(), |at| at + 1)).for_each(drop);
                }
            }
            prop_assert_eq!(list.is_empty(), expected.is_empty());
            let mut chain = Vec::new();
            let mut at = list.front;
            while let Some(node) = at {
                // SAFETY: a linked node is one of the array's.
                chain.push(unsafe { node.as_ref().payload.with(|payload| *payload) });
                at = (node != list.back).then(|| links(node).next);
            }
            prop_assert_eq!(chain, Vec::from_iter(expected.iter().copied()));
        }
    }
}
