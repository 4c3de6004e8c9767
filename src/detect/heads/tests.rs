use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::detect::Certainty;
use crate::geometry::BBox;

/// One case of `fixtures/heads/*.json`, which `fixtures/heads/make.py` wrote.
#[derive(Clone, Debug, Deserialize)]
struct Case {
    name: String,
    head: String,
    input: (usize, usize),
    batch: usize,
    classes: Vec<Option<String>>,
    thresholds: [f32; 2],
    outputs: Vec<Output>,
    expected: Vec<Vec<Expected>>,
}

/// Class, confidence and corners.
type Expected = (String, f32, f32, f32, f32, f32);

#[derive(Clone, Debug, Deserialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Case {
    fn head(&self) -> Head {
        self.head.parse().unwrap()
    }

    fn decode(&self) -> Result<Vec<Vec<Detection>>> {
        let classes: Vec<Option<Class>> = self
            .classes
            .iter()
            .map(|class| class.as_ref().map(|name| name.parse().unwrap()))
            .collect();
        let ctx = DecodeContext {
            input_width: self.input.0,
            input_height: self.input.1,
            classes: &classes,
            thresholds: self.thresholds,
            batch: self.batch,
        };
        let mut out = vec![Vec::new()];
        let result = self.head().decode(&self.tensors(), &ctx, &mut out);
        assert!(out[0].is_empty());
        assert_eq!(out.len(), 1 + if result.is_ok() { self.batch } else { 0 });
        result.map(|()| out.split_off(1))
    }

    fn tensors(&self) -> Vec<Tensor<'_>> {
        self.outputs
            .iter()
            .map(|output| Tensor {
                name: &output.name,
                shape: &output.shape,
                data: &output.data,
            })
            .collect()
    }

    fn fails(&self, what: &str) -> String {
        match self.decode() {
            Err(Error::Detection(message)) => {
                assert!(
                    message.starts_with(&format!("head {}: ", self.head)),
                    "{message}"
                );
                message
            }
            other => panic!("{} {}: {what}: {other:?}", self.head, self.name),
        }
    }

    /// Outputs that are decoded, as against landmarks.
    fn used(&self) -> Vec<usize> {
        (0..self.outputs.len())
            .filter(|&i| {
                let shape = &self.outputs[i].shape;
                self.head == "boxes"
                    || self.head == "yolo"
                    || !(shape.last() == Some(&10) || shape.get(1) == Some(&10))
            })
            .collect()
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads");
    Head::ALL
        .iter()
        .flat_map(|head| {
            let text = std::fs::read_to_string(folder.join(format!("{head}.json"))).unwrap();
            serde_json::from_str::<Vec<Case>>(&text).unwrap()
        })
        .collect()
}

fn sorted(mut detections: Vec<Detection>) -> Vec<Detection> {
    detections.sort_by(|a, b| {
        let key = |d: &Detection| (d.class, d.confidence, d.bbox.x1, d.bbox.y1);
        key(a).partial_cmp(&key(b)).unwrap()
    });
    detections
}

fn assert_expected(case: &Case) {
    let found = case
        .decode()
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    for (found, expected) in found.into_iter().zip(&case.expected) {
        let expected: Vec<Detection> = expected
            .iter()
            .map(|(class, confidence, x1, y1, x2, y2)| Detection {
                bbox: BBox::new(*x1, *y1, *x2, *y2),
                class: class.parse().unwrap(),
                confidence: *confidence,
                certainty: Certainty::Confident,
            })
            .collect();
        let (found, expected) = (sorted(found), sorted(expected));
        assert_eq!(found.len(), expected.len(), "{} {}", case.head, case.name);
        for (found, expected) in found.iter().zip(&expected) {
            let (a, b) = (found.bbox, expected.bbox);
            let near = |a: f32, b: f32| (a - b).abs() < 2e-3;
            assert!(
                found.class == expected.class
                    && near(found.confidence, expected.confidence)
                    && near(a.x1, b.x1)
                    && near(a.y1, b.y1)
                    && near(a.x2, b.x2)
                    && near(a.y2, b.y2),
                "{} {}: {found:?} instead of {expected:?}",
                case.head,
                case.name
            );
        }
    }
}

#[test]
fn heads_read_what_the_script_put_in() {
    let all = cases();
    assert!(
        Head::ALL
            .iter()
            .all(|head| all.iter().any(|c| c.head() == *head))
    );
    all.iter().for_each(assert_expected);
}

#[test]
fn the_order_of_outputs_does_not_matter() {
    for mut case in cases() {
        case.outputs.reverse();
        assert_expected(&case);
        case.outputs.rotate_left(1);
        assert_expected(&case);
    }
}

#[test]
fn values_that_are_not_numbers_fail_the_frame_wherever_they_are() {
    for case in cases() {
        for output in case.used() {
            let length = case.outputs[output].data.len();
            for place in [0, length / 2, length - 1] {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut case = case.clone();
                    case.outputs[output].data[place] = bad;
                    // A column that is to be ignored may hold anything.
                    let columns = case.classes.len();
                    let rows = length / case.batch / (4 + columns);
                    let column = match (case.head(), case.name.starts_with("transposed")) {
                        (Head::Boxes, _) if case.outputs[output].shape[2] == columns => {
                            Some(place % columns)
                        }
                        (Head::Yolo, true) => (place % (4 + columns)).checked_sub(4),
                        (Head::Yolo, false) => (place / rows % (4 + columns)).checked_sub(4),
                        _ => None,
                    };
                    if column.is_some_and(|column| case.classes[column].is_none()) {
                        assert_expected(&case);
                    } else {
                        case.fails(&format!("{bad} at {place} of {output}"));
                    }
                }
            }
        }
    }
}

#[test]
fn missing_short_and_foreign_outputs_fail_the_frame() {
    for case in cases() {
        for output in case.used() {
            let mut missing = case.clone();
            missing.outputs.remove(output);
            missing.fails("without an output");

            let mut short = case.clone();
            short.outputs[output].data.pop();
            assert!(short.fails("one value short").contains("values"));

            // A row less, with a shape that says so.
            let mut fewer = case.clone();
            let shape = &mut fewer.outputs[output].shape;
            let dimension = (0..shape.len()).max_by_key(|&i| shape[i]).unwrap();
            shape[dimension] -= 1;
            let length = shape.iter().product();
            fewer.outputs[output].data.truncate(length);
            fewer.fails("one row less");
        }
        let mut batch = case.clone();
        batch.batch += 1;
        batch.fails("another batch");
        batch.batch = 0;
        batch.fails("no batch");
        let mut none = case.clone();
        none.outputs.clear();
        none.fails("no outputs");
        let mut classes = case.clone();
        classes.classes.push(None);
        classes.fails("a class too many");
        if !matches!(case.head(), Head::Boxes | Head::Ultraface) {
            let mut input = case.clone();
            input.input = (input.input.0 + 64, input.input.1);
            input.fails("another input size");
        }
        let mut threshold = case.clone();
        threshold.thresholds[0] = f32::NAN;
        threshold.fails("a threshold that is not a number");
    }
}

#[test]
fn scores_that_are_no_probabilities_fail_the_frame() {
    for case in cases() {
        // Outputs with values of 0 to 1 only and one column (or map) per class are the scores.
        let scores = match case.head() {
            Head::Yunet => 0,
            Head::Boxes => 1,
            Head::Centerface | Head::Scrfd | Head::Yolo => 0,
            Head::Ultraface => 0,
        };
        for bad in [1.5, -0.5, 30.0] {
            let mut case = case.clone();
            *case.outputs[scores].data.last_mut().unwrap() = bad;
            let message = case.fails("a score that is no probability");
            assert!(message.contains("between 0 and 1"), "{message}");
        }
        if case.head() != Head::Yolo {
            let mut rounding = case.clone();
            // UltraFace's background comes first in each pair.
            let mut low = rounding.outputs[scores].data.iter_mut().skip(1).step_by(2);
            *low.rfind(|score| **score < 0.3).unwrap() = -0.001;
            assert_expected(&rounding);
        }
    }
}

fn boxes_case(corners: [f32; 4], score: f32) -> Result<Vec<Vec<Detection>>> {
    let tensors = [
        Tensor {
            name: "boxes",
            shape: &[1, 1, 4],
            data: &corners,
        },
        Tensor {
            name: "scores",
            shape: &[1, 1, 1],
            data: &[score],
        },
    ];
    let ctx = DecodeContext {
        input_width: 64,
        input_height: 32,
        classes: &[Some(Class::Face)],
        thresholds: [0.5; 2],
        batch: 1,
    };
    let mut out = Vec::new();
    Head::Boxes.decode(&tensors, &ctx, &mut out).map(|()| out)
}

#[test]
fn a_sighting_with_an_odd_box_is_kept_and_covers_at_least_as_much() {
    let bbox = |corners| boxes_case(corners, 0.9).unwrap()[0][0].bbox;
    assert_eq!(
        bbox([20.0, 20.0, 10.0, 12.0]),
        BBox::new(10.0, 12.0, 20.0, 20.0)
    );
    assert_eq!(
        bbox([20.0, 20.0, 20.0, 20.0]),
        BBox::new(19.5, 19.5, 20.5, 20.5)
    );
    assert_eq!(
        bbox([-1e30, -5.0, 1e30, 5.0]),
        BBox::new(-64.0, -5.0, 128.0, 5.0)
    );
    assert_eq!(boxes_case([0.0, 0.0, 9.0, 9.0], 0.5).unwrap()[0].len(), 1);
    assert_eq!(boxes_case([0.0, 0.0, 9.0, 9.0], 0.499).unwrap()[0].len(), 0);
    assert_eq!(
        boxes_case([0.0, 0.0, 9.0, 9.0], 1.001).unwrap()[0][0].confidence,
        1.0
    );
}

#[test]
fn a_graph_that_found_nothing_at_all_is_no_failure() {
    let tensors = [
        Tensor {
            name: "boxes",
            shape: &[1, 0, 4],
            data: &[],
        },
        Tensor {
            name: "scores",
            shape: &[1, 0, 2],
            data: &[],
        },
    ];
    let ctx = DecodeContext {
        input_width: 64,
        input_height: 32,
        classes: &[Some(Class::Face), Some(Class::Plate)],
        thresholds: [0.5; 2],
        batch: 1,
    };
    let mut out = Vec::new();
    Head::Boxes.decode(&tensors, &ctx, &mut out).unwrap();
    assert_eq!(out, [Vec::new()]);
}

/// Outputs as a file declares them; -1 for open dimensions.
fn declared<'a>(outputs: &'a [(&'a str, &'a [i64])]) -> Vec<(&'a str, Vec<Option<usize>>)> {
    outputs
        .iter()
        .map(|(name, shape)| {
            (
                *name,
                shape.iter().map(|&d| usize::try_from(d).ok()).collect(),
            )
        })
        .collect()
}

fn fitting(outputs: &[(&str, &[i64])]) -> Vec<Head> {
    let owned = declared(outputs);
    let shapes: Vec<OutputShape<'_>> = owned
        .iter()
        .map(|(name, shape)| OutputShape { name, shape })
        .collect();
    Head::fitting(&shapes)
}

fn check(head: Head, outputs: &[(&str, &[i64])], columns: Option<usize>) -> String {
    let owned = declared(outputs);
    let shapes: Vec<OutputShape<'_>> = owned
        .iter()
        .map(|(name, shape)| OutputShape { name, shape })
        .collect();
    head.check("file.onnx", &shapes, columns)
        .map_or_else(|error| error.to_string(), |()| "fits".into())
}

#[test]
fn files_fit_their_heads() {
    // As the published files declare their outputs.
    let yunet: Vec<(String, Vec<i64>)> = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)]
        .iter()
        .flat_map(|&(kind, columns)| {
            [8, 16, 32].map(|stride| (format!("{kind}_{stride}"), vec![-1, -1, columns]))
        })
        .collect();
    let yunet: Vec<(&str, &[i64])> = yunet.iter().map(|(n, s)| (&**n, &**s)).collect();
    assert_eq!(fitting(&yunet), [Head::Yunet]);
    let ultraface: [(&str, &[i64]); 2] = [("scores", &[1, 17640, 2]), ("boxes", &[1, 17640, 4])];
    assert_eq!(fitting(&ultraface), [Head::Boxes, Head::Ultraface]);
    let scrfd: [(&str, &[i64]); 6] = [
        ("446", &[12800, 1]),
        ("466", &[3200, 1]),
        ("486", &[800, 1]),
        ("449", &[12800, 4]),
        ("469", &[3200, 4]),
        ("489", &[800, 4]),
    ];
    assert_eq!(fitting(&scrfd), [Head::Scrfd]);
    let centerface: [(&str, &[i64]); 4] = [
        ("537", &[10, 1, 8, 8]),
        ("538", &[10, 2, 8, 8]),
        ("539", &[10, 2, 8, 8]),
        ("540", &[10, 10, 8, 8]),
    ];
    assert_eq!(fitting(&centerface), [Head::Centerface]);
    assert_eq!(fitting(&[("output0", &[1, 84, 8400])]), [Head::Yolo]);
    assert_eq!(fitting(&[("output0", &[1, 8400, 5])]), [Head::Yolo]);
    assert_eq!(fitting(&[("output0", &[1, 300, 6])]), []);
    assert_eq!(fitting(&[("probabilities", &[1, 1000])]), []);
    assert!(fitting(&[("boxes", &[-1, -1, -1]), ("scores", &[-1, -1, -1])]).contains(&Head::Boxes));
    for case in cases() {
        let shapes: Vec<Vec<i64>> = case
            .outputs
            .iter()
            .map(|o| o.shape.iter().map(|&d| d as i64).collect())
            .collect();
        let outputs: Vec<(&str, &[i64])> = case
            .outputs
            .iter()
            .zip(&shapes)
            .map(|(o, s)| (&*o.name, &**s))
            .collect();
        assert_eq!(
            check(case.head(), &outputs, Some(case.classes.len())),
            "fits"
        );
        assert_ne!(check(case.head(), &outputs, Some(0)), "fits");
    }
}

#[test]
fn refusals_name_the_file_the_output_and_the_shape() {
    let boxes: [(&str, &[i64]); 2] = [("boxes", &[1, -1, 4]), ("scores", &[1, -1, 2])];
    let text = check(Head::Boxes, &boxes, Some(3));
    assert_eq!(
        text,
        "model file.onnx: head boxes: output scores is 1x?x2, not a table of 3 columns"
    );
    let text = check(Head::Yunet, &boxes, Some(1));
    assert!(
        text.contains("no output cls_8") && text.contains("boxes 1x?x4, scores 1x?x2"),
        "{text}"
    );
    let text = check(Head::Yolo, &[("output0", &[1, 84, 8400])], Some(2));
    assert!(
        text.contains("1x84x8400") && text.contains("4 + 2"),
        "{text}"
    );
    let text = check(Head::Scrfd, &boxes, Some(1));
    assert!(text.contains("3 or 5 outputs of 1 column"), "{text}");
    let text = check(Head::Centerface, &boxes, Some(1));
    assert!(text.contains("one output of 1 channel"), "{text}");
    let text = check(Head::Ultraface, &boxes, Some(2));
    assert!(text.contains("1 score column, and 2 classes"), "{text}");
}

#[test]
fn names_of_heads_read_back() {
    for head in Head::ALL {
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    }
    assert!("YuNet".parse::<Head>().is_err());
}

fn any_tensor() -> impl Strategy<Value = Output> {
    let names = [
        "boxes", "scores", "output0", "cls_8", "obj_8", "bbox_8", "537", "538",
    ];
    let value = prop_oneof![0f32..1.0, any::<f32>(), Just(f32::MAX), Just(f32::MIN)];
    (
        prop::sample::select(names.to_vec()),
        prop::collection::vec(0usize..8, 0..5),
        prop::collection::vec(value, 0..400),
        any::<bool>(),
    )
        .prop_map(|(name, shape, mut data, honest)| {
            if honest {
                data.resize(shape.iter().product(), 0.5);
            }
            Output {
                name: name.into(),
                shape,
                data,
            }
        })
}

proptest! {
    #[test]
    fn nothing_panics_and_detections_are_valid(
        head in prop::sample::select(&Head::ALL[..]), outputs in prop::collection::vec(any_tensor(), 0..7),
        input in (0usize..70, 0usize..70), batch in 0usize..3, columns in 0usize..4, threshold in -1f32..1.0,
    ) {
        let shapes: Vec<Vec<Option<usize>>> =
            outputs.iter().map(|o| o.shape.iter().map(|&d| (d > 0).then_some(d)).collect()).collect();
        let declared: Vec<OutputShape<'_>> =
            outputs.iter().zip(&shapes).map(|(o, shape)| OutputShape { name: &o.name, shape }).collect();
        let _ = Head::fitting(&declared);
        let case = Case {
            name: String::new(), head: head.to_string(), input, batch,
            classes: (0..columns).map(|i| Class::ALL.get(i).map(|c| c.to_string())).collect(),
            thresholds: [threshold; 2], outputs, expected: Vec::new(),
        };
        for detection in case.decode().into_iter().flatten().flatten() {
            prop_assert!(detection.bbox.is_valid());
            prop_assert!((0.0..=1.0).contains(&detection.confidence));
        }
    }
}
