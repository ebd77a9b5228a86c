//! How much of a stack is used, and is left.

use abaca::observe::stacks;

#[inline(never)]
fn park_deep() {
    let frame = std::hint::black_box([1_u8; 100_000]);
    abaca::park();
    let _ = std::hint::black_box(&frame);
}

#[test]
fn the_high_water_of_a_spawn_site_is_that_of_its_deepest_fiber() {
    abaca::Runtime::builder().workers(1).build().unwrap().run(|| {
        let fibers = [true, false]
            .map(|is_deep| abaca::spawn(move || if is_deep { park_deep() } else { abaca::park() }));
        let site = loop {
            let of_ours = |site: &abaca::observe::StackUse| {
                site.spawn_site().file().ends_with("stacks.rs") && site.fibers() == 2
            };
            let dump = abaca::dump();
            let parked = dump.fibers().iter().filter(|fiber| {
                fiber.wait().is_some()
                    && fiber.spawn_site().is_some_and(|site| site.file().ends_with("stacks.rs"))
            });
            if parked.count() == 2 {
                break stacks().into_iter().find(of_ours);
            }
            abaca::yield_now();
        };
        // Nothing is known where the kernel does not tell.
        if site.is_some() || std::fs::File::open("/proc/self/pagemap").is_ok() {
            let site = site.expect("what each site has used is known");
            assert!((100_000..500_000).contains(&site.high_water()), "{site}");
            assert!(site.suggested_bytes() > 2 * site.high_water() && site.stack_bytes() > site.high_water());
        }
        for fiber in fibers {
            fiber.fiber().unpark();
            fiber.join().unwrap();
        }
    });
}

#[test]
fn what_is_left_of_a_stack_shrinks_with_each_frame_and_is_known_everywhere() {
    fn remaining_below(depth: usize) -> usize {
        let frame = std::hint::black_box([1_u8; 1000]);
        let left = if depth == 0 { abaca::stack::remaining().unwrap() } else { remaining_below(depth - 1) };
        let _ = std::hint::black_box(&frame);
        left
    }
    fn check(most: usize) {
        let (shallow, deep) = (remaining_below(0), remaining_below(9));
        assert!(deep + 9_000 <= shallow && shallow < most, "{shallow} {deep} of {most}");
    }
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| check(300 * 1024));
    thread.unwrap().join().unwrap();
    abaca::run(|| {
        let fiber = abaca::Builder::new().stack_size(128 * 1024).spawn(|| check(129 * 1024));
        fiber.unwrap().join().unwrap();
        let mut coroutine = abaca::coroutine::Coroutine::<(), (), ()>::new(|_, ()| check(3 << 20));
        coroutine.resume(());
    });
}
