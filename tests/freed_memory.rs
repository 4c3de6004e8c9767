//! Memory that held a frame is given back when it is freed. A program of its own, for what other tests freed before would be
//! used again.
#![cfg(target_env = "gnu")]

use floutage::sandbox::return_freed_frames;

/// True when the byte at `address` belongs to this process.
fn is_mapped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
    maps.lines().any(|line| {
        let (from, to) = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let [from, to] = [from, to].map(|it| usize::from_str_radix(it, 16).expect("a number"));
        (from..to).contains(&address)
    })
}

#[test]
fn freed_frames_are_no_longer_there() {
    return_freed_frames().expect("it is set");
    let gone = |_: &usize| {
        let frame = vec![7u8; 640 * 360 * 3 / 2];
        let address = frame.as_ptr() as usize + frame.len() / 2;
        assert!(is_mapped(address));
        drop(frame);
        !is_mapped(address)
    };
    let times = (0..20).filter(gone).count();
    // Without the call it is one or two.
    assert!(times >= 18, "{times} of 20");
}
