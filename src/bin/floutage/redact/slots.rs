//! How many processes work at the same time, whatever they work on.

use std::sync::{Condvar, Mutex, PoisonError};

/// So many processes at once.
pub struct Slots {
    count: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
pub struct Slot<'a>(&'a Slots);

impl Slots {
    /// `count` at once, at least one.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        Self {
            count,
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits until one is free. Who has one must not wait for a second one.
    pub fn take(&self) -> Slot<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
