//! Time to redact one frame: each style with 1, 10 and 100 regions of 100 pixels at 720p, 1080p and 4K.
//!
//! `cargo bench --bench redact`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use floutage::detect::Class;
use floutage::frame::{Colour, FrameMut, PixelFormat};
use floutage::geometry::BBox;
use floutage::redact::{Redactor, Region, Settings, Style};

/// Boxes of 100 × 100 pixels spread over the frame.
fn regions(count: usize, width: usize, height: usize) -> Vec<Region> {
    let columns = (count as f32).sqrt().ceil() as usize;
    (0..count)
        .map(|index| {
            let x = (index % columns * 2 + 1) * width / (2 * columns);
            let y = (index / columns * 2 + 1) * height / (2 * columns);
            let bbox = BBox::from_centre(x as f32, y as f32, 100.0, 100.0);
            Region::new(bbox, Class::Face)
        })
        .collect()
}

fn styles(c: &mut Criterion) {
    let sizes = [
        ("720p", 1280, 720),
        ("1080p", 1920, 1080),
        ("4k", 3840, 2160),
    ];
    for (format, styles) in [
        (PixelFormat::I420, &Style::ALL[..]),
        (PixelFormat::Nv12, &[Style::Blur]),
    ] {
        for &style in styles {
            let mut settings = Settings::default();
            settings.face.style = style;
            let redactor = Redactor::new(settings).expect("valid settings");
            let mut group = c.benchmark_group(format!("redact/{}/{style}", format.name()));
            for (name, width, height) in sizes {
                let size = |index: usize| format.plane_size(index, width, height);
                let mut planes: Vec<Vec<u8>> = (0..format.planes())
                    .map(|index| {
                        (0..size(index).0 * size(index).1)
                            .map(|at| (at % 251) as u8)
                            .collect()
                    })
                    .collect();
                let strides: Vec<usize> = (0..format.planes()).map(|index| size(index).0).collect();
                for count in [1, 10, 100] {
                    let regions = regions(count, width, height);
                    group.bench_function(BenchmarkId::new(name, count), |bencher| {
                        bencher.iter(|| {
                            let planes = planes.iter_mut().map(Vec::as_mut_slice).collect();
                            let mut frame = FrameMut::new(
                                format,
                                width,
                                height,
                                Colour::default(),
                                planes,
                                &strides,
                            )
                            .expect("whole planes");
                            redactor
                                .redact(&mut frame, black_box(&regions))
                                .expect("valid regions");
                        });
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, styles);
criterion_main!(benches);
