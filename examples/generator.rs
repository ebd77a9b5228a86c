//! Generators: iterators written as straight-line code, on the same switch and stacks as the fibers.

use abaca::coroutine::Yielder;
use abaca::coroutine::generator::Generator;
use clap::Parser;

/// Prints Fibonacci numbers, and the nodes of a tree in order.
#[derive(Parser)]
struct Options {
    /// How many Fibonacci numbers
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=93))]
    count: u32,
    /// Depth of the tree
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=10))]
    depth: u32,
}

fn main() {
    let options = Options::parse();

    let numbers = Generator::new(|yielder| {
        let (mut this, mut next) = (0_u64, 1_u64);
        loop {
            yielder.suspend(this);
            (this, next) = (next, this.saturating_add(next));
        }
    });
    let numbers: Vec<String> =
        numbers.take(options.count as usize).map(|number| number.to_string()).collect();
    println!("fibonacci: {}", numbers.join(" "));

    // A recursion that suspends from any depth; an iterator by hand would need a stack of its own.
    let depth = options.depth;
    let nodes = Generator::new(move |yielder| in_order(yielder, depth, 1));
    let nodes: Vec<String> = nodes.map(|node| node.to_string()).collect();
    println!("tree of depth {depth}, in order: {}", nodes.join(" "));
}

/// Walks the complete binary tree whose node `n` has the children `2n` and `2n + 1`.
fn in_order(nodes: &Yielder<(), u64>, depth: u32, node: u64) {
    if depth == 0 {
        return;
    }
    in_order(nodes, depth - 1, 2 * node);
    nodes.suspend(node);
    in_order(nodes, depth - 1, 2 * node + 1);
}
