//! What waits inside the process: fibers, channels, timers, stacks, the blocking pool.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use abaca::coroutine::{Coroutine, CoroutineResult};
use abaca::{Runtime, channel, time};
use abaca_asm::stack::StackPool;

use super::{joined, on, on_fibers, right, spawn};

pub(super) fn start_and_stop() -> io::Result<()> {
    for poller in [abaca::runtime::Poller::Workers, abaca::runtime::Poller::Thread] {
        on(Runtime::builder().workers(3).poller(poller), || right(abaca::spawn(|| 42).join().unwrap(), 42))?;
    }
    Ok(())
}

/// More at once than one mapping of stacks holds.
pub(super) fn spawn_and_join() -> io::Result<()> {
    on_fibers(|| {
        let (send, receive) = channel::bounded::<()>(0);
        let fibers = (0..200_u64).map(|n| {
            let receive = receive.clone();
            spawn(move || {
                abaca::yield_now();
                // Until the sender is gone.
                let _ = receive.recv();
                Ok(n)
            })
        });
        let fibers = fibers.collect::<io::Result<Vec<_>>>()?;
        for _ in 0..10 {
            abaca::yield_now();
        }
        drop(send);
        let mut sum = 0;
        let mut result = Ok(());
        for fiber in fibers {
            match joined(fiber) {
                Ok(n) => sum += n,
                Err(error) => result = Err(error),
            }
        }
        result?;
        right(sum, 19_900)
    })
}

pub(super) fn channels() -> io::Result<()> {
    on_fibers(|| {
        let (send, receive) = channel::bounded(4);
        let (quick, slow) = (channel::unbounded(), channel::after(Duration::from_secs(3600)));
        let sender = spawn(move || {
            (0..100_u64).try_for_each(|n| send.send(n)).map_err(|_| io::Error::other("os error: hung up"))?;
            quick.0.send(7_u64).map_err(|_| io::Error::other("os error: hung up"))
        })?;
        let sum: u64 = receive.iter().sum();
        let last = channel::select! {
            recv(quick.1) -> n => n.unwrap_or(0),
            recv(slow) -> _ => 1,
        };
        joined(sender)?;
        right((sum, last), (4950, 7))
    })
}

pub(super) fn timers() -> io::Result<()> {
    on_fibers(|| {
        let sleeper = spawn(|| {
            abaca::sleep(Duration::from_millis(2));
            Ok(1)
        })?;
        let mut interval = time::interval(Duration::from_micros(300));
        for _ in 0..5 {
            interval.tick();
        }
        let too_slow = time::timeout(Duration::from_millis(1), abaca::park).is_err();
        right((joined(sleeper)?, too_slow), (1, true))
    })
}

pub(super) fn big_stacks() -> io::Result<()> {
    on_fibers(|| {
        let deep = |n: u8| {
            let frame = std::hint::black_box([n; 1 << 20]);
            abaca::yield_now();
            Ok(u64::from(frame[n as usize]))
        };
        let fibers =
            (1..=4_u8).map(|n| Ok(abaca::Builder::new().stack_size(4 << 20).spawn(move || deep(n))?));
        let fibers = fibers.collect::<io::Result<Vec<_>>>()?;
        let sum = fibers.into_iter().map(joined).sum::<io::Result<u64>>()?;
        right(sum, 10)
    })
}

pub(super) fn coroutines() -> io::Result<()> {
    on_fibers(|| {
        let pool = Arc::new(StackPool::new(64 * 1024));
        let mut coroutines = Vec::new();
        for _ in 0..100 {
            coroutines.push(Coroutine::<u32, u32, u32>::with_pool(&pool, |yielder, first| {
                let second = yielder.suspend(first + 1);
                first + second
            })?);
        }
        for coroutine in &mut coroutines {
            right(coroutine.resume(1), CoroutineResult::Yield(2))?;
        }
        // Half of them are unwound instead.
        for coroutine in &mut coroutines[..50] {
            right(coroutine.resume(2), CoroutineResult::Return(3))?;
        }
        Ok(())
    })
}

pub(super) fn blocking() -> io::Result<()> {
    on_fibers(|| {
        let fibers = (0..8_u64).map(|n| {
            spawn(move || {
                Ok(abaca::blocking::run(|| {
                    std::thread::sleep(Duration::from_micros(200));
                    n
                }))
            })
        });
        let fibers = fibers.collect::<io::Result<Vec<_>>>()?;
        let sum = fibers.into_iter().map(joined).sum::<io::Result<u64>>()?;
        right(sum, 28)
    })
}
