//! Output heads on tensors of any shape and content.

use floutage::detect::Class;
use floutage::detect::heads::{DecodeContext, Head, OutputShape, Tensor};

/// Names that models give their outputs, and one that none does.
const NAMES: [&str; 24] = [
    "boxes", "scores", "cls_8", "cls_16", "cls_32", "obj_8", "obj_16", "obj_32", "bbox_8",
    "bbox_16", "bbox_32", "kps_8", "kps_16", "kps_32", "output0", "537", "538", "539", "540",
    "score_8", "score_16", "score_32", "dets", "?",
];

/// Most values of one output.
const LARGEST_OUTPUT: usize = 1 << 16;

/// Reads bytes and then zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.next()) % limit
    }
}

/// A number for a byte: -7.5 to 7.4 in steps of 1/16, and what floats have that is not so tame.
fn value(byte: u8) -> f32 {
    match byte {
        0..240 => (f32::from(byte) - 120.0) / 16.0,
        240..248 => f32::from(byte - 239) * 40.0,
        248 => f32::NAN,
        249 => f32::INFINITY,
        250 => f32::NEG_INFINITY,
        251 => f32::MAX,
        252 => f32::MIN_POSITIVE / 2.0,
        253 => -0.0,
        254 => 1e30,
        255 => -1e30,
    }
}

/// As [`value`], with 0 to 0.97 for most bytes: scores.
fn share(byte: u8) -> f32 {
    match byte {
        0..248 => f32::from(byte) / 255.0,
        _ => value(byte),
    }
}

/// One output as it will be handed to the head.
struct Output {
    name: &'static str,
    shape: Vec<usize>,
    /// Number of values, which need not be what the shape says.
    length: usize,
    /// What its bytes mean.
    value: fn(u8) -> f32,
}

/// The format of `data`, one byte each: head, width and height of the input in units of 32 pixels, batch, number of
/// score columns, number of outputs; for each output its name, flags (1: a value too few, 2: shares), its
/// number of dimensions and these in two bytes (low, high); the rest are values, repeated as needed.
pub fn heads(data: &[u8]) {
    let mut bytes = Bytes(data);
    let head = Head::ALL[bytes.below(Head::ALL.len())];
    let (input_width, input_height) = ((1 + bytes.below(4)) * 32, (1 + bytes.below(4)) * 32);
    let batch = 1 + bytes.below(3);
    let all = [Some(Class::Face), Some(Class::Plate), None];
    let classes = &all[..1 + bytes.below(all.len())];
    let count = bytes.below(16);
    let mut outputs = Vec::new();
    for _ in 0..count {
        let name = NAMES[bytes.below(NAMES.len())];
        let flags = bytes.below(4);
        let rank = bytes.below(6);
        let shape: Vec<usize> = (0..rank)
            .map(|_| usize::from(bytes.next()) | usize::from(bytes.next()) << 8)
            .collect();
        let size = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d));
        let length = size.unwrap_or(usize::MAX).min(LARGEST_OUTPUT);
        outputs.push(Output {
            name,
            shape,
            length: length.saturating_sub(flags & 1),
            value: if flags & 2 == 0 { value } else { share },
        });
    }
    let values = if bytes.0.is_empty() { &[0] } else { bytes.0 };
    let mut from = values.iter().cycle();
    let mut content = |output: &Output| -> Vec<f32> {
        let bytes = from.by_ref().take(output.length);
        bytes.map(|&byte| (output.value)(byte)).collect()
    };
    let contents: Vec<Vec<f32>> = outputs.iter().map(&mut content).collect();
    let tensors: Vec<Tensor<'_>> = outputs
        .iter()
        .zip(&contents)
        .map(|(output, data)| Tensor {
            name: output.name,
            shape: &output.shape,
            data,
        })
        .collect();

    let open: Vec<Vec<Option<usize>>> = outputs
        .iter()
        .map(|output| {
            let dimensions = output.shape.iter();
            dimensions.map(|&d| (d > 0).then_some(d)).collect()
        })
        .collect();
    let declared: Vec<OutputShape<'_>> = outputs
        .iter()
        .zip(&open)
        .map(|(output, shape)| OutputShape {
            name: output.name,
            shape,
        })
        .collect();
    let _ = head.check("fuzz", &declared, Some(classes.len()));
    let _ = Head::fitting(&declared);

    let thresholds = [0.3, 0.4];
    let context = DecodeContext {
        input_width,
        input_height,
        classes,
        thresholds,
        batch,
    };
    let mut found = vec![Vec::new()];
    match head.decode(&tensors, &context, &mut found) {
        Ok(()) => assert_eq!(found.len(), 1 + batch, "one list per input"),
        Err(_) => assert_eq!(found.len(), 1, "a failure leaves nothing behind"),
    }
    for detection in found.iter().flatten() {
        assert!(detection.bbox.is_valid(), "{detection:?}");
        let least = thresholds[detection.class as usize];
        assert!(
            (least..=1.0).contains(&detection.confidence),
            "{detection:?}"
        );
    }
}
