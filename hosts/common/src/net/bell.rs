//! How a back end tells an idle machine that a frame has come.

use std::fmt;
use std::sync::Arc;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Something to ring when frames have arrived; the default one makes no sound.
///
/// It rings when a queue stops being empty, not once per frame: whoever hears it empties the queue.
#[derive(Clone, Default)]
pub struct Bell(Option<Arc<dyn Fn() + Send + Sync>>);

impl Bell {
    /// A bell that calls `action`, which must neither block nor panic, from the back end's thread.
    pub fn new(action: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(action)))
    }

    /// Rings it.
    pub fn ring(&self) {
        if let Some(action) = &self.0 {
            action();
        }
    }

    /// A bell that wakes a thread's event loop.
    pub(crate) fn waker(waker: Arc<mio::Waker>) -> Self {
        // A wake-up that fails is one that finds a full eventfd: the loop is awake already.
        Self::new(move || drop(waker.wake()))
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Bell" } else { "Bell(silent)" })
    }
}

/// Where a thread sleeps until a bell rings or its time has come.
///
/// ```
/// use nomad86_host::net::bell::Bedside;
/// use std::time::Duration;
///
/// let bedside = Bedside::default();
/// let bell = bedside.bell();
/// std::thread::spawn(move || bell.ring());
/// assert!(bedside.sleep(Duration::from_secs(10)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bedside(Arc<(Mutex<bool>, Condvar)>);

impl Bedside {
    /// A bell that ends [`Self::sleep`], or the next one if nobody sleeps now.
    #[must_use]
    pub fn bell(&self) -> Bell {
        let shared = Arc::clone(&self.0);
        Bell::new(move || {
            *shared.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            shared.1.notify_one();
        })
    }

    /// Sleeps for `longest`, or until the bell rings; returns whether it rang.
    #[must_use]
    pub fn sleep(&self, longest: Duration) -> bool {
        let rung = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) =
            self.0.1.wait_timeout_while(rung, longest, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_bell_that_rang_before_the_sleeper_lay_down_is_not_lost() {
        let bedside = Bedside::default();
        bedside.bell().ring();
        assert!(bedside.sleep(Duration::from_secs(5)));
        assert!(!bedside.sleep(Duration::from_millis(5)), "it rang once only");
    }

    #[test]
    fn a_bell_rung_by_another_thread_ends_the_sleep_early() {
        let bedside = Bedside::default();
        let bell = bedside.bell();
        let start = Instant::now();
        std::thread::spawn(move || bell.ring());
        assert!(bedside.sleep(Duration::from_secs(20)));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
