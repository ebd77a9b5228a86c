//! Sixty-four async functions, each of which calls the one before it and keeps 64 bytes of locals meanwhile; and the
//! same depth of ordinary calls.
//!
//! They are written out because a future that is passed to an async function is stored in it twice, so that a generic
//! wrapper would double the size at every level.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of locals at each level.
const LOCALS: usize = 64;

/// Suspends so many times; `u64::MAX` is for ever, as far as a run can tell.
pub(super) struct Suspend(pub(super) u64);

impl Future for Suspend {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<u64> {
        match black_box(self.0).checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(0),
        }
    }
}

async fn f0(suspensions: u64) -> u64 {
    Suspend(suspensions).await
}

macro_rules! levels {
    ($($name:ident: $inner:ident,)*) => {
        $(
            pub(super) async fn $name(suspensions: u64) -> u64 {
                let locals = black_box([1_u8; LOCALS]);
                let result = $inner(suspensions).await;
                black_box(&locals);
                result + 1
            }
        )*
    };
}

levels! {
    f1: f0, f2: f1, f3: f2, f4: f3, f5: f4, f6: f5, f7: f6, f8: f7,
    f9: f8, f10: f9, f11: f10, f12: f11, f13: f12, f14: f13, f15: f14, f16: f15,
    f17: f16, f18: f17, f19: f18, f20: f19, f21: f20, f22: f21, f23: f22, f24: f23,
    f25: f24, f26: f25, f27: f26, f28: f27, f29: f28, f30: f29, f31: f30, f32: f31,
    f33: f32, f34: f33, f35: f34, f36: f35, f37: f36, f38: f37, f39: f38, f40: f39,
    f41: f40, f42: f41, f43: f42, f44: f43, f45: f44, f46: f45, f47: f46, f48: f47,
    f49: f48, f50: f49, f51: f50, f52: f51, f53: f52, f54: f53, f55: f54, f56: f55,
    f57: f56, f58: f57, f59: f58, f60: f59, f61: f60, f62: f61, f63: f62, f64: f63,
}

/// Calls `run` with the future of `depth` levels (1, 4, 16 or 64) that suspends so many times.
macro_rules! nested {
    ($depth:expr, $suspensions:expr, $run:expr) => {
        match $depth {
            1 => $run(chain::f1($suspensions)),
            4 => $run(chain::f4($suspensions)),
            16 => $run(chain::f16($suspensions)),
            _ => $run(chain::f64($suspensions)),
        }
    };
}
pub(super) use nested;

/// A future of any depth, boxed at every level.
pub(super) fn boxed(depth: u64, suspensions: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if depth == 0 {
            return Suspend(suspensions).await;
        }
        let locals = black_box([1_u8; LOCALS]);
        let result = boxed(depth - 1, suspensions).await;
        black_box(&locals);
        result + 1
    })
}

/// Calls itself `depth` times and then `f`; a compiler cannot tell how often.
#[inline(never)]
pub(super) fn deep(depth: u64, f: &mut dyn FnMut()) -> u64 {
    if depth == 0 {
        f();
        return 0;
    }
    let locals = black_box([1_u8; LOCALS]);
    let result = deep(depth - 1, f);
    black_box(&locals);
    result + 1
}
