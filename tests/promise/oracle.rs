//! Random trees of promises, resolved in random order, end as a naive evaluation of the tree says.
//!
//! The oracle has no promises and no callbacks. It is told which leaves are resolved in which order, and computes by
//! recursion what a node is after each step, with its outcome fixed from the first moment on that it has one.

use proptest::prelude::*;

use abaca::promise::{self, Error, Promise, Resolver, State};

#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize),
    Map(Box<Tree>),
    /// Goes on with the second when the first has a value.
    Bind(Box<Tree>, Box<Tree>),
    /// Goes on with the second when the first has an error.
    Catch(Box<Tree>, Box<Tree>),
    Finalize(Box<Tree>, Box<Tree>),
    All(Vec<Tree>),
    Choose(Vec<Tree>),
}

const LEAVES: usize = 8;

type Outcome = Result<u64, String>;

fn tree() -> impl Strategy<Value = Tree> {
    (0..LEAVES).prop_map(Tree::Leaf).prop_recursive(5, 40, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Tree::Map),
            (boxed(), boxed()).prop_map(|(first, second)| Tree::Bind(first, second)),
            (boxed(), boxed()).prop_map(|(first, second)| Tree::Catch(first, second)),
            (boxed(), boxed()).prop_map(|(first, second)| Tree::Finalize(first, second)),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Choose),
        ]
    })
}

/// The outcome of each leaf's promise, in the order in which they are resolved.
fn resolutions() -> impl Strategy<Value = Vec<(usize, Outcome)>> {
    let outcome = prop_oneof![
        3 => (0_u64..100).prop_map(Ok),
        1 => (0_u64..100).prop_map(|n| Err(n.to_string())),
    ];
    let outcomes = prop::collection::vec(outcome, LEAVES);
    let order = Just((0..LEAVES).collect::<Vec<_>>()).prop_shuffle();
    (order, outcomes).prop_map(|(order, outcomes)| order.into_iter().zip(outcomes).collect())
}

/// A node of the oracle.
#[derive(Clone, Debug)]
struct Node {
    tree: Tree,
    children: Vec<Node>,
    outcome: Option<Outcome>,
}

impl Node {
    fn new(tree: &Tree) -> Self {
        let children: Vec<&Tree> = match tree {
            Tree::Leaf(_) => vec![],
            Tree::Map(inner) => vec![inner],
            Tree::Bind(first, second) | Tree::Catch(first, second) | Tree::Finalize(first, second) => {
                vec![first, second]
            }
            Tree::All(inner) | Tree::Choose(inner) => inner.iter().collect(),
        };
        let children = children.into_iter().map(Self::new).collect();
        Self { tree: tree.clone(), children, outcome: None }
    }

    /// Looks again, after another leaf has an outcome.
    fn update(&mut self, leaves: &[Option<Outcome>]) -> Option<Outcome> {
        if self.outcome.is_none() {
            let found: Vec<_> = self.children.iter_mut().map(|child| child.update(leaves)).collect();
            self.outcome = match (&self.tree, found.as_slice()) {
                (Tree::Leaf(leaf), _) => leaves[*leaf].clone(),
                (Tree::Map(_), [inner]) => inner.clone().map(|inner| inner.map(|n| n + 1)),
                (Tree::Bind(..), [Some(Ok(first)), Some(second)]) => {
                    Some(second.clone().map(|second| 2 * first + second))
                }
                (Tree::Bind(..), [Some(Err(error)), _]) => Some(Err(error.clone())),
                (Tree::Catch(..), [Some(Err(_)), second]) => second.clone(),
                (Tree::Catch(..), [first, _]) => first.clone(),
                (Tree::Finalize(..), [Some(first), Some(second)]) => {
                    Some(second.clone().and_then(|_| first.clone()))
                }
                (Tree::All(_), all) => {
                    let all: Option<Vec<Outcome>> = all.iter().cloned().collect();
                    all.map(|all| all.into_iter().try_fold(7, |sum: u64, one| Ok(sum.wrapping_mul(3) + one?)))
                }
                // A race between two that end at once is won by the listed first: the trees below avoid it.
                (Tree::Choose(_), all) => all.iter().flatten().next().cloned(),
                _ => None,
            };
        }
        self.outcome.clone()
    }
}

fn promise_of(tree: &Tree, leaves: &[Promise<u64>]) -> Promise<u64> {
    let again = |tree: &Tree| promise_of(tree, leaves);
    match tree {
        Tree::Leaf(leaf) => leaves[*leaf].clone(),
        Tree::Map(inner) => again(inner).map(|n| n + 1),
        Tree::Bind(first, second) => {
            let second = again(second);
            again(first).bind(move |first| second.map(move |second| 2 * first + second))
        }
        Tree::Catch(first, second) => {
            let second = again(second);
            again(first).catch(move |_| second)
        }
        Tree::Finalize(first, second) => {
            let second = again(second);
            again(first).finalize(move || second.map(drop))
        }
        Tree::All(inner) => promise::all(inner.iter().map(again))
            .map(|all| all.into_iter().fold(7, |sum: u64, one| sum.wrapping_mul(3) + one)),
        Tree::Choose(inner) => promise::choose(inner.iter().map(again)),
    }
}

fn outcome_of(promise: &Promise<u64>) -> Option<Outcome> {
    match promise.state() {
        State::Pending => None,
        State::Fulfilled(value) => Some(Ok(value)),
        State::Rejected(error) => Some(Err(error.to_string())),
    }
}

/// Whether two runners of some race depend on one leaf, and so may end in the same step in an order that only the
/// lengths of their chains decide.
fn has_ties(tree: &Tree) -> bool {
    fn leaves(tree: &Tree, into: &mut Vec<usize>) {
        match tree {
            Tree::Leaf(leaf) => into.push(*leaf),
            Tree::Map(inner) => leaves(inner, into),
            Tree::Bind(first, second) | Tree::Catch(first, second) | Tree::Finalize(first, second) => {
                leaves(first, into);
                leaves(second, into);
            }
            Tree::All(inner) | Tree::Choose(inner) => inner.iter().for_each(|inner| leaves(inner, into)),
        }
    }
    match tree {
        Tree::Leaf(_) => false,
        Tree::Map(inner) => has_ties(inner),
        Tree::Bind(first, second) | Tree::Catch(first, second) | Tree::Finalize(first, second) => {
            has_ties(first) || has_ties(second)
        }
        Tree::All(inner) => inner.iter().any(has_ties),
        Tree::Choose(inner) => {
            let mut seen = [false; LEAVES];
            let tied = inner.iter().any(|runner| {
                let mut of_runner = Vec::new();
                leaves(runner, &mut of_runner);
                of_runner.sort_unstable();
                of_runner.dedup();
                of_runner.iter().any(|leaf| std::mem::replace(&mut seen[*leaf], true))
            });
            tied || inner.iter().any(has_ties)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_of_promises_is_what_the_oracle_says_after_each_step(
        tree in tree().prop_filter("the winner is not a matter of chance", |tree| !has_ties(tree)),
        before in 0..LEAVES,
        resolutions in resolutions(),
    ) {
        let (promises, resolvers): (Vec<_>, Vec<_>) = (0..LEAVES).map(|_| Promise::pending()).unzip();
        let mut resolvers: Vec<Option<Resolver<u64>>> = resolvers.into_iter().map(Some).collect();
        let mut leaves = vec![None; LEAVES];
        let mut node = Node::new(&tree);
        let mut promise = None;
        for (step, (leaf, outcome)) in resolutions.into_iter().enumerate() {
            // Some leaves are resolved before the tree is built.
            if step == before {
                promise = Some(promise_of(&tree, &promises));
                prop_assert_eq!(outcome_of(promise.as_ref().unwrap()), node.update(&leaves));
            }
            leaves[leaf] = Some(outcome.clone());
            let resolver = resolvers[leaf].take().unwrap();
            resolver.complete(outcome.map_err(Error::message));
            if let Some(promise) = &promise {
                prop_assert_eq!(outcome_of(promise), node.update(&leaves));
            }
        }
    }

    #[test]
    fn cancelling_a_tree_rejects_the_tasks_that_it_waits_for_and_no_others(
        tree in tree(),
        resolved in 0..LEAVES,
        resolutions in resolutions(),
    ) {
        let (promises, resolvers): (Vec<_>, Vec<_>) = (0..LEAVES).map(|_| Promise::task()).unzip();
        let mut resolvers: Vec<Option<Resolver<u64>>> = resolvers.into_iter().map(Some).collect();
        let promise = promise_of(&tree, &promises);
        for (leaf, outcome) in resolutions.into_iter().take(resolved) {
            resolvers[leaf].take().unwrap().complete(outcome.map_err(Error::message));
        }
        let was_resolved = promise.is_resolved();
        promise.cancel();
        let rejected = promises.iter().filter(|leaf| {
            matches!(leaf.state(), State::Rejected(error) if error.is_canceled())
        });
        let rejected = rejected.count();
        // A pending promise depends, in the end, on tasks; a resolved one on nothing.
        prop_assert_eq!(rejected == 0, was_resolved, "{} leaves were cancelled", rejected);
    }
}
