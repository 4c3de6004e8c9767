//! Ground truth and results, in any text.

use floutage::detect::{Class, Detection};
use floutage::evaluate::{Pictures, Results, Truth};

/// What separates the truth of pictures from results for them.
const NEXT: &str = "\n---\n";

fn check(truth: &Truth) {
    for index in 0..truth.frames().min(1000) {
        for it in truth.frame(index) {
            assert!(it.bbox.is_valid(), "{it:?}");
        }
    }
}

fn check_results(found: &[Detection]) {
    for it in found {
        assert!(it.bbox.is_valid() && it.confidence.is_finite(), "{it:?}");
    }
}

/// Reads `data` as ground truth and as results: MOTChallenge's lines, and COCO's JSON. What is accepted has boxes that are boxes.
pub fn truth(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for class in [None, Some(Class::Plate)] {
        if let Ok(truth) = Truth::parse(text, class) {
            check(&truth);
        }
        if let Ok(results) = Results::parse(text, class) {
            for index in 0..results.frames().min(1000) {
                check_results(results.frame(index));
            }
        }
        let (truth, results) = text.split_once(NEXT).unwrap_or((text, "[]"));
        if let Ok(pictures) = Pictures::parse(truth, class) {
            check(&pictures.truth);
            assert!(pictures.truth.frames() <= pictures.pictures.len());
            for picture in &pictures.pictures {
                let mut parts = picture.file.components();
                assert!(parts.all(|part| part != std::path::Component::ParentDir));
                assert!(picture.file.is_relative());
            }
            if let Ok(all) = pictures.results(results) {
                assert_eq!(all.len(), pictures.pictures.len());
                all.iter().for_each(|found| check_results(found));
            }
        }
    }
}
