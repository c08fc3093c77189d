//! SIGTERM and SIGINT as events.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use crate::threads;

/// While this lives, the first signal is an event; after that, and once this is
/// dropped, a signal ends the process as if nobody had caught it. Bazel waits
/// without limit for a worker it has sent SIGTERM to.
#[derive(Debug)]
pub(crate) struct Watch {
    default: Arc<AtomicBool>,
    signals: Handle,
}

impl Watch {
    /// Calls `notice` with the number of the signal that comes first.
    pub(crate) fn start(notice: impl FnOnce(i32) + Send + 'static) -> io::Result<Self> {
        let default = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_default(signal, Arc::clone(&default))?;
        }
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let watch = Self { default: Arc::clone(&default), signals: signals.handle() };
        threads::spawn("signals", move || {
            let first = signals.forever().next();
            default.store(true, Ordering::SeqCst);
            first.map(notice);
        })?;
        Ok(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.default.store(true, Ordering::SeqCst);
        self.signals.close();
    }
}
