//! Generators: iterators written as straight-line code, on the same switch and stacks as the fibers.

use abaca::coroutine::{Yielder, generator::Generator};
use clap::{Parser, value_parser};

/// Prints Fibonacci numbers, and the nodes of a tree in order
#[derive(Parser)]
struct Options {
    /// How many Fibonacci numbers
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=93))]
    count: u32,
    /// Depth of the tree
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=10))]
    depth: u32,
}

fn main() {
    let options = Options::parse();

    let numbers = Generator::new(|yielder| {
        let (mut this, mut next) = (0_u64, 1_u64);
        loop {
            yielder.suspend(this);
            (this, next) = (next, this.wrapping_add(next));
        }
    });
    println!("Fibonacci numbers, from a loop that never ends:");
    print_items(numbers.take(options.count as usize));

    // A recursion that suspends from any depth; an iterator by hand would need a stack of its own.
    let depth = options.depth;
    let nodes = Generator::new(move |yielder| in_order(yielder, depth, 1));
    println!("The nodes of a tree of depth {depth} from left to right, from a recursion:");
    print_items(nodes);
}

/// Walks the complete binary tree whose node `n` has the children `2n` and `2n + 1`.
fn in_order(nodes: &Yielder<(), u64>, depth: u32, node: u64) {
    if depth > 0 {
        in_order(nodes, depth - 1, 2 * node);
        nodes.suspend(node);
        in_order(nodes, depth - 1, 2 * node + 1);
    }
}

fn print_items(items: impl Iterator<Item = u64>) {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    println!("  {}", items.join(" "));
}
