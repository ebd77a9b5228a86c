//! How stalls are reported: the settings, and the thread on which a callback runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::stall::Stall;
use crate::cell::contained;
use crate::os::{stderr, thread};

/// A user's callback for stalls.
pub(crate) type Callback = Arc<dyn Fn(&Stall) + Send + Sync>;

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Reporting {
    /// A worker that makes no progress for this long is reported. `None` turns reports off.
    pub(crate) threshold: Option<Duration>,
    pub(crate) callback: Option<Callback>,
    /// Whether somebody wants to know when nothing will wake a worker any more.
    pub(crate) tells_quiet: bool,
    #[cfg(feature = "backtrace")]
    pub(crate) has_backtrace: bool,
    /// Whether a callback is under way.
    is_busy: Arc<AtomicBool>,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            threshold: Some(Duration::from_secs(1)),
            callback: None,
            tells_quiet: false,
            #[cfg(feature = "backtrace")]
            has_backtrace: false,
            is_busy: Arc::default(),
        }
    }
}

impl Reporting {
    /// Reports the stall, without waiting. Returns false if the report before is still under way; the caller should try again.
    pub(super) fn report(&self, stall: Stall) -> bool {
        if !self.takes_time() {
            write(&stall);
            return true;
        }
        // Acquire: pairs with the Release of `Busy`.
        if self.is_busy.swap(true, Ordering::Acquire) {
            return false;
        }
        let (this, busy) = (self.clone(), Busy(Arc::clone(&self.is_busy)));
        // On a thread of its own, since the monitor has other workers to watch. Without a thread there is no report.
        let _ = thread::start("abaca-stall".into(), move || {
            let _busy = busy;
            this.report_in_full(stall);
        });
        true
    }

    /// Whether a report does more than write a message.
    fn takes_time(&self) -> bool {
        #[cfg(feature = "backtrace")]
        if self.has_backtrace {
            return true;
        }
        self.callback.is_some()
    }

    #[cfg_attr(not(feature = "backtrace"), expect(unused_mut, reason = "there is nothing to add"))]
    fn report_in_full(&self, mut stall: Stall) {
        #[cfg(feature = "backtrace")]
        if self.has_backtrace {
            stall.add_backtrace();
        }
        let Some(callback) = &self.callback else { return write(&stall) };
        contained(|| callback(&stall));
    }
}

fn write(stall: &Stall) {
    stderr::write(format!("{stall}\n").as_bytes());
}

struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}
