//! The user's hooks around fibers and around their parks: [`Builder::around_fiber`] and [`Builder::around_park`].
//!
//! A fiber of a runtime with hooks is marked with [`Flags::HOOKED`] when it starts. One instruction tests this mark and that
//! of a roaming fiber: a runtime without hooks does not pay for them.
//!
//! [`Builder::around_fiber`]: crate::runtime::Builder::around_fiber
//! [`Builder::around_park`]: crate::runtime::Builder::around_park
//! [`Flags::HOOKED`]: crate::cell::Flags::HOOKED

use std::sync::Arc;

use crate::cell::contained;

/// A hook. It is called with a closure that it must call once.
type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// See the module's documentation.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) fiber: Option<Around>,
    pub(crate) park: Option<Around>,
    /// Whether a fiber takes the spans that it has entered with it when it parks (`spans.rs`).
    #[cfg(feature = "tracing")]
    pub(crate) carry_spans: bool,
}

impl Hooks {
    pub(super) fn are_there(&self) -> bool {
        #[cfg(feature = "tracing")]
        if self.carry_spans {
            return true;
        }
        self.fiber.is_some() || self.park.is_some()
    }

    /// Runs `live`, the life of the calling fiber.
    #[cold]
    pub(super) fn around_fiber(&self, live: impl FnOnce()) {
        #[cfg(feature = "tracing")]
        let _spans = self.carry_spans.then(super::spans::Life::begin);
        call_around(self.fiber.as_ref(), live);
    }

    /// Runs `park`, in which other fibers run.
    #[cold]
    pub(super) fn around_park(&self, park: impl FnOnce()) {
        #[cfg(feature = "tracing")]
        if self.carry_spans {
            return super::spans::carry(|| call_around(self.park.as_ref(), park));
        }
        call_around(self.park.as_ref(), park);
    }
}

/// Calls `hook` around `inside`. `inside` is called once, whatever the hook does.
#[cold]
fn call_around(hook: Option<&Around>, inside: impl FnOnce()) {
    let mut inside = Some(inside);
    if let Some(hook) = hook {
        let mut once = || {
            if let Some(inside) = inside.take() {
                inside();
            }
        };
        contained(|| hook(&mut once));
    }
    if let Some(inside) = inside {
        inside();
    }
}
