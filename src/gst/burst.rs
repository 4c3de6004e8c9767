//! One log line per burst of faults, not one per frame.

/// Counts faults in a row and says when a line is due.
#[derive(Debug, Default)]
pub struct Burst {
    length: u64,
}

/// What to log after a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A burst has begun with this frame.
    Begun,
    /// A burst of this many frames is over.
    Over(u64),
}

impl Burst {
    /// Notes whether a frame was faulty.
    pub fn note(&mut self, faulty: bool) -> Due {
        match (faulty, self.length) {
            (true, length) => {
                self.length += 1;
                if length == 0 {
                    Due::Begun
                } else {
                    Due::Nothing
                }
            }
            (false, 0) => Due::Nothing,
            (false, length) => {
                self.length = 0;
                Due::Over(length)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_at_each_end() {
        let mut burst = Burst::default();
        let due: Vec<Due> = [false, true, true, true, false, false, true]
            .into_iter()
            .map(|faulty| burst.note(faulty))
            .collect();
        assert_eq!(
            due,
            [
                Due::Nothing,
                Due::Begun,
                Due::Nothing,
                Due::Nothing,
                Due::Over(3),
                Due::Nothing,
                Due::Begun
            ]
        );
    }
}
