//! From addresses to single objects.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use floutage::media::encode::Codec;
use floutage::storage::{Address, Found};
use glob::{MatchOptions, Pattern};

use super::places::Places;
use crate::redact::plan::{Job, Kind, LeftOut, is_picture_name, is_video_name, output_name};

/// What is said of pictures.
pub const PICTURE: &str = "pictures in object storage are not redacted yet; use files for them";

/// Jobs with the bytes of their inputs, and what is left out.
type Planned = (Vec<(Job, u64)>, Vec<LeftOut>);

/// The jobs for `named`, an object or the folder of some, written to `output`.
pub fn plan(named: &Path, output: &Path, codec: Option<Codec>, places: &Places) -> Result<Planned> {
    let address = Address::of(named)?;
    let storage = places.storage()?;
    let own = Address::of(output).ok();
    let job = |object: &Address, inside: &Path| Job {
        input: object.to_string().into(),
        output: output.join(inside).with_file_name(output_name(
            inside.file_name().unwrap_or_default(),
            Kind::Video,
            codec,
        )),
        kind: Kind::Video,
    };
    let is_folder = named.as_os_str().as_encoded_bytes().ends_with(b"/");
    if !is_folder
        && !address.key.is_empty()
        && let Some(found) = storage.find(&address)?
    {
        let path = PathBuf::from(&address.key);
        if is_picture_name(&path) {
            bail!("{address}: {PICTURE}");
        }
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        return Ok((vec![(job(&address, &name), found.size)], Vec::new()));
    }
    if own.as_ref() == Some(&address) {
        bail!("{address}: the output folder is the input folder");
    }
    let (mut jobs, mut left_out) = (Vec::new(), Vec::new());
    for (object, found) in storage.list(&address)? {
        if is_marker(&object, &found) || own.as_ref().is_some_and(|own| is_inside(&object, own)) {
            continue;
        }
        let path = Path::new(&object.key);
        let inside = path.strip_prefix(&address.key).unwrap_or(path);
        if is_video_name(path) {
            jobs.push((job(&object, inside), found.size));
            continue;
        }
        let reason = if is_picture_name(path) {
            PICTURE
        } else {
            "not known as a video by its name"
        };
        left_out.push(LeftOut::new(Path::new(&object.to_string()), reason));
    }
    if jobs.is_empty() && left_out.is_empty() {
        bail!("{address}: there is no object of this name, and none in a folder of this name");
    }
    Ok((jobs, left_out))
}

/// The objects that fit `pattern`, in order.
pub fn matches(pattern: &str, places: &Places) -> Result<Vec<PathBuf>> {
    let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let (folder, _) = literal.rsplit_once('/').unwrap_or((literal, ""));
    let folder: Address = folder.parse()?;
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::new()
    };
    let wanted = Pattern::new(pattern).with_context(|| format!("{pattern}: this is no pattern"))?;
    let found: Vec<PathBuf> = places
        .storage()?
        .list(&folder)?
        .into_iter()
        .filter(|(object, found)| !is_marker(object, found))
        .map(|(object, _)| object.to_string())
        .filter(|name| wanted.matches_with(name, options))
        .map(PathBuf::from)
        .collect();
    if found.is_empty() {
        bail!("{pattern}: no object fits this pattern");
    }
    Ok(found)
}

/// Refuses what cannot be redacted where it is.
pub fn check(input: &Path) -> Result<()> {
    let address = Address::of(input)?;
    if is_picture_name(input) {
        bail!("{address}: {PICTURE}");
    }
    Ok(())
}

/// True for what some programs store in place of a folder.
fn is_marker(object: &Address, found: &Found) -> bool {
    found.size == 0 && Path::new(&object.key).extension().is_none()
}

fn is_inside(object: &Address, folder: &Address) -> bool {
    object.bucket == folder.bucket
        && !folder.key.is_empty()
        && Path::new(&object.key).starts_with(&folder.key)
}
