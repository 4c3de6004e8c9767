//! Letterbox, heads and NMS at the sizes they have in use.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use floutage::detect::heads::{DecodeContext, Head, Tensor};
use floutage::detect::letterbox::{ChannelOrder, Letterbox, Normalisation, input_dims};
use floutage::detect::nms::nms;
use floutage::detect::{Certainty, Class, Detection};
use floutage::frame::{Colour, Frame, PixelFormat};
use floutage::geometry::{BBox, PixelBox};

const BGR: Normalisation = Normalisation {
    order: ChannelOrder::Bgr,
    mean: [0.0; 3],
    scale: [1.0; 3],
};

fn noise(length: usize, mut state: u32) -> Vec<u8> {
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn letterbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("letterbox to 640");
    let sizes = [
        ("720p", 1280, 720),
        ("1080p", 1920, 1080),
        ("4K", 3840, 2160),
    ];
    for (name, width, height) in sizes {
        for format in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Rgb] {
            let sizes: Vec<(usize, usize)> = (0..format.planes())
                .map(|plane| format.plane_size(plane, width, height))
                .collect();
            let data: Vec<Vec<u8>> = sizes
                .iter()
                .map(|(row, rows)| noise(row * rows, 7))
                .collect();
            let planes: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let strides: Vec<usize> = sizes.iter().map(|size| size.0).collect();
            let frame = Frame::new(format, width, height, Colour::default(), &planes, &strides)
                .expect("the planes fit");
            let (w, h) = input_dims(width, height, 640);
            let source = PixelBox {
                x1: 0,
                y1: 0,
                x2: width,
                y2: height,
            };
            let letterbox = Letterbox::new(source, w, h).expect("sizes are not 0");
            let mut out = vec![0f32; 3 * w * h];
            group.bench_function(format!("{name} {}", format.name()), |b| {
                b.iter(|| {
                    letterbox
                        .fill(black_box(&frame), &BGR, &mut out)
                        .expect("it fits")
                })
            });
        }
    }
    group.finish();
}

/// An output with its values.
type Output = (String, Vec<usize>, Vec<f32>);

/// Low scores with a face in every 200th row.
fn scores(name: &str, shape: &[usize]) -> Output {
    let length = shape.iter().product();
    let data = noise(length, 3)
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            if i % 200 == 7 {
                0.8
            } else {
                f32::from(v) / 1500.0
            }
        })
        .collect();
    (name.into(), shape.to_vec(), data)
}

/// Values of 0 to `top`.
fn values(name: &str, shape: &[usize], top: f32) -> Output {
    let data = noise(shape.iter().product(), 5)
        .iter()
        .map(|&v| f32::from(v) / 255.0 * top)
        .collect();
    (name.into(), shape.to_vec(), data)
}

/// Outputs as the published models give them for one picture of 640×384 (UltraFace: 640×480).
fn outputs(head: Head) -> Vec<Output> {
    let cells = [(8, 80 * 48), (16, 40 * 24), (32, 20 * 12)];
    let all: usize = cells.iter().map(|cell| cell.1).sum();
    match head {
        Head::Boxes => {
            let rows = all + 160 * 96;
            vec![
                values("boxes", &[1, rows, 4], 600.0),
                scores("scores", &[1, rows, 2]),
            ]
        }
        Head::Yunet => cells
            .iter()
            .flat_map(|(stride, n)| {
                [
                    scores(&format!("cls_{stride}"), &[1, *n, 1]),
                    scores(&format!("obj_{stride}"), &[1, *n, 1]),
                    values(&format!("bbox_{stride}"), &[1, *n, 4], 1.0),
                    values(&format!("kps_{stride}"), &[1, *n, 10], 1.0),
                ]
            })
            .collect(),
        Head::Ultraface => {
            vec![
                scores("scores", &[1, 17_640, 2]),
                values("boxes", &[1, 17_640, 4], 1.0),
            ]
        }
        Head::Scrfd => cells
            .iter()
            .flat_map(|(stride, n)| {
                [
                    scores(&format!("{stride}1"), &[2 * n, 1]),
                    values(&format!("{stride}2"), &[2 * n, 4], 3.0),
                    values(&format!("{stride}3"), &[2 * n, 10], 3.0),
                ]
            })
            .collect(),
        Head::Centerface => vec![
            scores("537", &[1, 1, 96, 160]),
            values("538", &[1, 2, 96, 160], 2.0),
            values("539", &[1, 2, 96, 160], 0.5),
            values("540", &[1, 10, 96, 160], 1.0),
        ],
        Head::Yolo => {
            let (name, _, mut data) = values("output0", &[1, 4, all], 600.0);
            data.extend(scores("", &[80, all]).2);
            vec![(name, vec![1, 84, all], data)]
        }
    }
}

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for head in Head::ALL {
        let owned = outputs(head);
        let tensors: Vec<Tensor<'_>> = owned
            .iter()
            .map(|(name, shape, data)| Tensor { name, shape, data })
            .collect();
        let mut classes = match head {
            Head::Boxes => vec![Some(Class::Face), Some(Class::Plate)],
            Head::Yolo => vec![None; 80],
            _ => vec![Some(Class::Face)],
        };
        classes[0] = Some(Class::Face);
        let ctx = DecodeContext {
            input_width: 640,
            input_height: if head == Head::Ultraface { 480 } else { 384 },
            classes: &classes,
            thresholds: [0.4; 2],
            batch: 1,
        };
        group.bench_function(head.name(), |b| {
            b.iter(|| {
                let mut out = Vec::new();
                head.decode(black_box(&tensors), &ctx, &mut out)
                    .expect("the tensors fit");
                out
            })
        });
    }
    group.finish();
}

/// `count` detections around a tenth as many objects.
fn crowd(count: usize) -> Vec<Detection> {
    let random = noise(count * 4, 11);
    (0..count)
        .map(|i| {
            let object = (i % count.div_ceil(10)) as f32;
            let jitter = |k: usize| f32::from(random[4 * i + k]) / 64.0;
            let (x, y) = (object % 40.0 * 16.0, (object / 40.0).floor() * 20.0);
            Detection {
                bbox: BBox::from_xywh(x + jitter(0), y + jitter(1), 14.0 + jitter(2), 18.0),
                class: if i % 5 == 0 {
                    Class::Plate
                } else {
                    Class::Face
                },
                confidence: 0.3 + f32::from(random[4 * i + 3]) / 400.0,
                certainty: Certainty::Confident,
            }
        })
        .collect()
}

fn suppression(c: &mut Criterion) {
    let mut group = c.benchmark_group("nms");
    for count in [100, 1000, 5000] {
        let all = crowd(count);
        group.bench_function(count.to_string(), |b| {
            b.iter_batched(
                || all.clone(),
                |mut detections| {
                    nms(&mut detections, 0.45).expect("not too many");
                    detections
                },
                BatchSize::SmallInput,
            )
        });
    }
    group.finish();
}

criterion_group!(benches, letterbox, heads, suppression);
criterion_main!(benches);
