//! Where a region is expected: a Kalman filter with constant velocity.
//!
//! Centre and size are filtered one by one, since neither motion nor noise couples them: four filters of position and
//! velocity. Noise is a share of the region's size, as in N. Wojke et al., *Simple Online and Realtime Tracking with
//! a Deep Association Metric*, ICIP 2017, and Y. Zhang et al., *ByteTrack*, ECCV 2022.
//!
//! Time is counted in steps of one nominal frame interval; velocities are pixels per step.

use crate::geometry::BBox;

/// Standard deviation of a detection's centre and size, as a share of the region's size.
const MEASURED: f32 = 1.0 / 20.0;
/// Standard deviation by which the velocity changes in one step, likewise.
const ACCELERATION: f32 = 1.0 / 80.0;
/// Least and greatest size that is expected, as a share of the last one seen: a box that shrinks while something is covered goes on to
/// nothing, though the thing is there.
const SIZES: [f32; 2] = [0.5, 2.0];

/// Position and velocity on one axis, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    position: f32,
    velocity: f32,
    /// Variances of position and velocity, and their covariance.
    variance: [f32; 2],
    covariance: f32,
}

impl Axis {
    fn new(position: f32, size: f32) -> Self {
        let (measured, moving) = (2.0 * MEASURED * size, 10.0 * ACCELERATION * size);
        Self {
            position,
            velocity: 0.0,
            variance: [measured * measured, moving * moving],
            covariance: 0.0,
        }
    }

    fn predict(&mut self, steps: f32, size: f32) {
        let noise = (ACCELERATION * size).powi(2) * steps;
        let [position, velocity] = self.variance;
        self.position += self.velocity * steps;
        // Noise is added to the velocity and reaches the position through it.
        self.variance = [
            position + 2.0 * steps * self.covariance + steps * steps * (velocity + noise / 3.0),
            velocity + noise,
        ];
        self.covariance += steps * (velocity + noise / 2.0);
    }

    fn update(&mut self, measured: f32, size: f32) {
        let [position, velocity] = self.variance;
        let total = position + (MEASURED * size).powi(2);
        let gain = [position / total, self.covariance / total];
        let surprise = measured - self.position;
        self.position += gain[0] * surprise;
        self.velocity += gain[1] * surprise;
        self.variance = [
            position * (1.0 - gain[0]),
            velocity - gain[1] * self.covariance,
        ];
        self.covariance *= 1.0 - gain[0];
    }
}

/// The motion of one region.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    /// Centre x and y, width and height.
    axes: [Axis; 4],
    /// Width and height as they were seen last.
    seen: [f32; 2],
}

fn parts(bbox: &BBox) -> [f32; 4] {
    let (x, y) = bbox.centre();
    [x, y, bbox.width(), bbox.height()]
}

/// One length for both axes of a box: noise does not know which way a face is turned.
fn scale(bbox: &BBox) -> f32 {
    (bbox.width() * bbox.height()).sqrt().max(1.0)
}

impl Motion {
    /// A region seen for the first time, at rest as far as is known.
    pub fn new(bbox: &BBox) -> Self {
        let size = scale(bbox);
        Self {
            axes: parts(bbox).map(|part| Axis::new(part, size)),
            seen: [bbox.width(), bbox.height()],
        }
    }

    /// Goes on by `steps`.
    pub fn predict(&mut self, steps: f32) {
        let size = scale(&self.bbox());
        for axis in &mut self.axes {
            axis.predict(steps, size);
        }
    }

    /// Takes in where the region was seen.
    pub fn update(&mut self, seen: &BBox) {
        let size = scale(seen);
        for (axis, part) in self.axes.iter_mut().zip(parts(seen)) {
            axis.update(part, size);
        }
        self.seen = [seen.width(), seen.height()];
    }

    /// Moves by what the camera moved, in pixels.
    pub fn shift(&mut self, dx: f32, dy: f32) {
        self.axes[0].position += dx;
        self.axes[1].position += dy;
    }

    /// The region as it is expected now.
    pub fn bbox(&self) -> BBox {
        let [x, y, width, height] = self.axes.map(|axis| axis.position);
        let sized = |side: f32, seen: f32| side.clamp(SIZES[0] * seen, SIZES[1] * seen).max(1.0);
        let (width, height) = (sized(width, self.seen[0]), sized(height, self.seen[1]));
        BBox::from_centre(x, y, width, height)
    }

    /// Velocity of the centre in pixels per step.
    pub fn velocity(&self) -> (f32, f32) {
        (self.axes[0].velocity, self.axes[1].velocity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_motion_is_learnt_and_continued() {
        let at = |step: f32| BBox::from_centre(100.0 + 3.0 * step, 50.0 - step, 30.0, 40.0);
        let mut motion = Motion::new(&at(0.0));
        for step in 1..20 {
            motion.predict(1.0);
            motion.update(&at(step as f32));
        }
        let (vx, vy) = motion.velocity();
        assert!(
            (vx - 3.0).abs() < 0.2 && (vy + 1.0).abs() < 0.1,
            "{vx} {vy}"
        );
        motion.predict(5.0);
        assert!(motion.bbox().iou(&at(24.0)) > 0.9);
    }

    #[test]
    fn one_long_step_is_many_short_ones() {
        let mut long = Motion::new(&BBox::from_xywh(0.0, 0.0, 20.0, 20.0));
        long.predict(1.0);
        long.update(&BBox::from_xywh(4.0, 0.0, 20.0, 20.0));
        let mut short = long;
        long.predict(3.0);
        for _ in 0..3 {
            short.predict(1.0);
        }
        assert!((long.bbox().x1 - short.bbox().x1).abs() < 1e-3);
        let (a, b) = (long.axes[0].variance[0], short.axes[0].variance[0]);
        assert!((a - b).abs() < 0.05 * a, "{a} {b}");
    }

    #[test]
    fn jitter_about_a_standing_region_stays_small() {
        let mut motion = Motion::new(&BBox::from_xywh(50.0, 50.0, 40.0, 40.0));
        for step in 0..50 {
            motion.predict(1.0);
            let jitter = [1.0, -1.5, 0.5, 0.0][step % 4];
            motion.update(&BBox::from_xywh(50.0 + jitter, 50.0, 40.0, 40.0));
        }
        motion.predict(12.0);
        assert!((motion.bbox().x1 - 50.0).abs() < 4.0, "{:?}", motion.bbox());
    }
}
