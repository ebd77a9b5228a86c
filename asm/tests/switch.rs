//! The switch itself: words, depth, registers, order.
#![expect(unsafe_code, reason = "switching is unsafe")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each test switches between stacks that it owns, on its thread"
)]
use abaca_asm::stack::StackPool;
use abaca_asm::{Context, Exit, prepare, switch};

struct Pair {
    caller: Context,
    fiber: Context,
}

unsafe extern "C" fn echo(mut word: usize, pair: *mut ()) -> Exit {
    let pair = pair.cast::<Pair>();
    while word != 0 {
        word = unsafe { switch(&raw mut (*pair).fiber, (*pair).caller, word + 1) };
    }
    Exit { to: unsafe { (*pair).caller }, word: usize::MAX }
}

#[test]
fn words_travel_both_ways() {
    let pool = StackPool::new(64 * 1024);
    let stack = pool.take().unwrap();
    let mut pair = Pair { caller: Context::dangling(), fiber: Context::dangling() };
    let pair = &raw mut pair;
    unsafe {
        (*pair).fiber = prepare(stack.top(), echo, pair.cast());
        for word in 1..1000 {
            assert_eq!(switch(&raw mut (*pair).caller, (*pair).fiber, word), word + 1);
        }
        assert_eq!(switch(&raw mut (*pair).caller, (*pair).fiber, 0), usize::MAX);
    }
    pool.give(stack);
}
