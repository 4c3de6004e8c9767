//! Values of settings, as they are written on the command line and in configurations.

use std::fmt::Debug;
use std::str::FromStr;

use floutage::batch::plan::Shard;
use floutage::detect::onnx::InputSize;
use floutage::detect::tiles::TileLayout;
use floutage::media::encode::{Codec, Preset};
use floutage::redact::{Shape, Style, Zone};
use floutage::serve::config::schedule::Schedule;
use floutage::storage::Address;

/// Reads what is accepted once more from what it is shown as.
fn same<T: FromStr + ToString + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let shown = value.to_string();
        let again = shown.parse::<T>();
        assert!(again.is_ok_and(|again| again == value), "{text}: {shown}");
    }
}

/// Reads `data` as a value of each kind.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    same::<Zone>(text);
    same::<TileLayout>(text);
    same::<Style>(text);
    same::<Shape>(text);
    same::<Address>(text);
    let _ = text.parse::<InputSize>();
    let _ = text.parse::<Codec>();
    let _ = text.parse::<Preset>();
    let _ = text.parse::<Schedule>();
    if let Ok(shard) = text.parse::<Shard>() {
        assert!(shard.count.is_some_and(|count| shard.index < count));
    }
}
