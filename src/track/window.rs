//! The look-ahead: frames wait here until enough later ones are known.
//!
//! Invariants: everything leaves in the order in which it came; nothing is lost; at most `capacity` frames wait between
//! calls, and one more while a call runs.

use std::collections::VecDeque;

/// A frame, or something that has its place between frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<F, E> {
    /// A frame.
    Frame(F),
    /// What came between two frames.
    Event(E),
}

/// Frames and events in order.
#[derive(Debug)]
pub struct Window<F, E> {
    capacity: usize,
    frames: usize,
    items: VecDeque<Item<F, E>>,
}

impl<F, E> Window<F, E> {
    /// An empty window in which `capacity` frames wait.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            frames: 0,
            items: VecDeque::new(),
        }
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.frames
    }

    /// True when no frame waits.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Takes a frame in; [`pop`](Self::pop) gives what may leave.
    pub fn push(&mut self, frame: F) {
        self.items.push_back(Item::Frame(frame));
        self.frames += 1;
    }

    /// Takes an event in. It is handed back at once where nothing waits before it.
    pub fn push_event(&mut self, event: E) -> Option<E> {
        if self.items.is_empty() {
            return Some(event);
        }
        self.items.push_back(Item::Event(event));
        None
    }

    /// The next item that may leave: events that came before every waiting frame, and frames beyond the capacity.
    pub fn pop(&mut self) -> Option<Item<F, E>> {
        match self.items.front()? {
            Item::Event(_) => self.items.pop_front(),
            Item::Frame(_) if self.frames > self.capacity => self.pop_any(),
            Item::Frame(_) => None,
        }
    }

    /// The next item, whether it should still wait or not: for the end of the stream.
    pub fn pop_any(&mut self) -> Option<Item<F, E>> {
        let item = self.items.pop_front()?;
        if matches!(item, Item::Frame(_)) {
            self.frames -= 1;
        }
        Some(item)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.items.clear();
        self.frames = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_kept_nothing_is_lost_and_few_wait(
            capacity in 0usize..8, input in prop::collection::vec(any::<bool>(), 0..80),
        ) {
            let mut window = Window::new(capacity);
            let (mut given, mut left) = (Vec::new(), Vec::new());
            for (number, is_frame) in input.into_iter().enumerate() {
                given.push(number);
                if is_frame {
                    window.push(number);
                    prop_assert!(window.len() <= capacity + 1);
                } else if let Some(event) = window.push_event(number) {
                    left.push(event);
                }
                while let Some(Item::Frame(item) | Item::Event(item)) = window.pop() {
                    left.push(item);
                }
                prop_assert!(window.len() <= capacity);
                prop_assert_eq!(&left[..], &given[..left.len()]);
            }
            while let Some(Item::Frame(item) | Item::Event(item)) = window.pop_any() {
                left.push(item);
            }
            prop_assert!(window.is_empty());
            prop_assert_eq!(left, given);
        }
    }
}
