//! From what a job names to single files.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind::NotFound;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use floutage::batch::plan::Item;
use floutage::batch::{list, manifest, name};
use floutage::storage::{Address, is_address};
use walkdir::WalkDir;

use super::job::{FOLDER, Job, SPECIAL, beside};
use super::objects;
use super::places::Places;
use super::settings::{Given, Settings};
use crate::redact::plan::{
    self, Kind, LeftOut, is_picture_name, kind, output_name, refuse_collisions,
};

/// Settings that are for a whole batch: with them a row would lower the guard of this machine.
const FOR_ALL: &[&str] = &["no-sandbox"];

/// How `input` is treated. One that cannot be read is told of when its turn comes; its name says what it should be.
fn kind_of(input: &Path) -> Kind {
    match kind(input) {
        Ok(kind) => kind,
        Err(_) if is_picture_name(input) && !is_address(input) => Kind::Picture,
        Err(_) => Kind::Video,
    }
}

/// A file of the batch, and how it is to be redacted.
struct Chosen {
    /// What [`key`] says of its input.
    key: PathBuf,
    job: plan::Job,
    settings: Settings,
    /// The row of a manifest that says so.
    row: Option<String>,
}

/// The files of `job`, and what is left out of folders.
pub fn items(job: &Job, places: &Places) -> Result<(Vec<Item>, Vec<LeftOut>)> {
    let settings = Settings::check(&job.settings, &job.origin)?;
    let mut left_out = Vec::new();
    let mut sizes = HashMap::new();
    let mut jobs = Vec::new();
    let (objects, files): (Vec<PathBuf>, Vec<PathBuf>) = job
        .inputs
        .iter()
        .cloned()
        .partition(|input| is_address(input));
    if !files.is_empty() {
        // As a folder, also for one file.
        let output = job.output.join("");
        let (planned, left) = plan::plan(&files, &output, settings.codec)?;
        jobs.extend(planned);
        left_out = left;
    }
    for object in &objects {
        let (planned, left) = objects::plan(object, &job.output, settings.codec, places)?;
        sizes.extend(planned.iter().map(|(job, size)| (job.input.clone(), *size)));
        jobs.extend(planned.into_iter().map(|(job, _)| job));
        left_out.extend(left);
    }
    let (loose, base) = loose(job, places)?;
    for input in loose {
        let output = output_of(&input, &base, &job.output, settings.codec);
        let kind = kind_of(&input);
        jobs.push(plan::Job {
            input,
            output,
            kind,
        });
    }
    // One that is named twice is done once.
    let mut seen = HashSet::new();
    let mut chosen: Vec<Chosen> = jobs
        .into_iter()
        .map(|job| Chosen {
            key: key(&job.input),
            job,
            settings: settings.clone(),
            row: None,
        })
        .filter(|chosen| seen.insert(chosen.key.clone()))
        .collect();
    for manifest in &job.manifests {
        rows(manifest, job, &mut chosen)?;
    }
    left_out.retain(|left| {
        !left
            .path
            .components()
            .any(|part| part.as_os_str() == FOLDER)
    });
    let own = plain(&job.folder);
    for Chosen {
        job, settings, row, ..
    } in &chosen
    {
        let checked = settings.check_output(&job.output, job.kind).and_then(|()| {
            if plain(&job.output).starts_with(&own) {
                bail!(
                    "{}: this is in the folder of journal and account; name another output, or another --journal",
                    job.output.display()
                );
            }
            Ok(())
        });
        match row {
            Some(row) => checked.with_context(|| row.clone())?,
            None => checked?,
        }
    }
    let jobs: Vec<plan::Job> = chosen.iter().map(|chosen| chosen.job.clone()).collect();
    refuse_collisions(&jobs)?;
    let mut items: Vec<Item> = chosen
        .into_iter()
        .map(|chosen| item(chosen.job, chosen.settings, &sizes))
        .collect::<Result<_>>()?;
    ask_for_sizes(&mut items, places)?;
    Ok((items, left_out))
}

/// What patterns and lists name, and the folder from which it keeps its place in the output. That of a pattern does not depend
/// on what fits it: what was added later must not move what is done.
fn loose(job: &Job, places: &Places) -> Result<(Vec<PathBuf>, PathBuf)> {
    let (mut all, mut folders) = (Vec::new(), Vec::new());
    let output = real(&job.output);
    for pattern in &job.patterns {
        folders.push(literal_folder(pattern));
        all.extend(if is_address(pattern) {
            objects::matches(&pattern.to_string_lossy(), places)?
        } else {
            // What was written there before is no input.
            let mut found = matches(pattern)?;
            found.retain(|path| !key(path).starts_with(&output));
            found
        });
    }
    for list in &job.lists {
        let listed = listed(list)?;
        folders.extend(
            listed
                .iter()
                .filter_map(|file| Some(file.parent()?.to_owned())),
        );
        all.extend(listed);
    }
    Ok((all, common_folder(folders.iter().map(PathBuf::as_path))))
}

/// The folder that `pattern` names before its first special character.
fn literal_folder(pattern: &Path) -> PathBuf {
    let is_special = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(SPECIAL);
    if is_address(pattern) {
        let text = pattern.to_string_lossy();
        let literal = text.split(SPECIAL).next().unwrap_or_default();
        return literal
            .rsplit_once('/')
            .map_or(literal, |(folder, _)| folder)
            .into();
    }
    pattern
        .components()
        .take_while(|part| !is_special(part))
        .collect()
}

/// `path` without what leads nowhere, so that `a` and `./a` are one.
fn plain(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Where `path` leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.to_owned();
    }
    std::fs::canonicalize(path).unwrap_or_else(|_| plain(path))
}

/// What tells one input from others, however its folder is called. A link to a file is an input of its own.
fn key(input: &Path) -> PathBuf {
    match (input.parent(), input.file_name()) {
        (Some(folder), Some(name)) if !is_address(input) => {
            let here = folder.as_os_str().is_empty();
            real(if here { Path::new(".") } else { folder }).join(name)
        }
        _ => input.to_owned(),
    }
}

/// Fills in the bytes of objects that were not listed. One that is missing is told of when its turn comes.
fn ask_for_sizes(items: &mut [Item], places: &Places) -> Result<()> {
    let unknown: Vec<&mut Item> = items
        .iter_mut()
        .filter(|item| item.size == 0 && is_address(&item.input))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let addresses = unknown
        .iter()
        .map(|item| Address::of(&item.input))
        .collect::<floutage::Result<Vec<_>>>()?;
    let found = places.storage()?.find_all(&addresses)?;
    for (item, found) in unknown.into_iter().zip(found) {
        item.size = found.map_or(0, |found| found.size);
    }
    Ok(())
}

fn item(job: plan::Job, settings: Settings, sizes: &HashMap<PathBuf, u64>) -> Result<Item> {
    if is_address(&job.input) {
        objects::check(&job.input)?;
    }
    let text = |path: &Path| -> Result<String> {
        if is_address(path) {
            return Ok(Address::of(path)?.to_string());
        }
        // The same file from whatever folder the program is started in.
        let path = std::path::absolute(path)
            .with_context(|| format!("{}: the present folder is not known", path.display()))?;
        Ok(name::text(&path))
    };
    let size = match sizes.get(&job.input) {
        Some(size) => *size,
        None => std::fs::metadata(&job.input).map_or(0, |found| found.len()),
    };
    Ok(Item {
        input: text(&job.input)?,
        output: text(&job.output)?,
        arguments: settings.arguments,
        settings: settings.values,
        model_hash: settings.model_hash,
        models: settings.models,
        size,
        duration_s: 0.0,
    })
}

/// The files that fit `pattern`, in order.
fn matches(pattern: &Path) -> Result<Vec<PathBuf>> {
    let shown = pattern.display();
    // Without doubled slashes and the like, which paths that are walked to have not.
    let pattern: PathBuf = pattern.components().collect();
    let base = literal_folder(&pattern);
    let wanted = pattern.to_string_lossy();
    let depth = match wanted.contains("**") {
        true => usize::MAX,
        false => pattern.components().count() - base.components().count(),
    };
    let wanted =
        glob::Pattern::new(&wanted).with_context(|| format!("{shown}: this is no pattern"))?;
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    let here = base.as_os_str().is_empty();
    let walk = WalkDir::new(if here { Path::new(".") } else { &base })
        .follow_links(true)
        .max_depth(depth)
        .sort_by_file_name();
    let mut found = Vec::new();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            // Links that lead back or to nothing, and a folder that is not there, hold no file.
            Err(error)
                if error.loop_ancestor().is_some()
                    || error
                        .io_error()
                        .is_some_and(|error| error.kind() == NotFound) =>
            {
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{shown}: a folder cannot be read"));
            }
        };
        let path = entry.path();
        let path = if here {
            path.strip_prefix(".").unwrap_or(path)
        } else {
            path
        };
        // What of a name is no text fits `*` and `?`.
        if entry.file_type().is_file() && wanted.matches_with(&path.to_string_lossy(), options) {
            found.push(path.to_owned());
        }
    }
    if found.is_empty() {
        bail!("{shown}: no file fits this pattern");
    }
    Ok(found)
}

/// The files named in a list, one a line.
fn listed(file: &Path) -> Result<Vec<PathBuf>> {
    let shown = file.display();
    let content = std::fs::read(file).with_context(|| format!("{shown}: cannot be read"))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let found: Vec<PathBuf> = list::parse(&content)
        .into_iter()
        .map(|name| beside(folder, name.into()))
        .collect();
    if found.is_empty() {
        bail!("{shown}: the list is empty");
    }
    Ok(found)
}

/// Adds the rows of a manifest to `chosen`. What was named otherwise, too, is done as its row says.
fn rows(file: &Path, job: &Job, chosen: &mut Vec<Chosen>) -> Result<()> {
    let shown = file.display();
    let folder = file.parent().unwrap_or(Path::new(""));
    let content = std::fs::read(file).with_context(|| format!("{shown}: cannot be read"))?;
    let rows = manifest::parse(&content).map_err(|problem| anyhow!("{shown}: {problem}"))?;
    let inputs: Vec<PathBuf> = rows
        .iter()
        .map(|row| beside(folder, row.input.clone()))
        .collect();
    let base = common_folder(
        inputs
            .iter()
            .map(|input| input.parent().unwrap_or(Path::new(""))),
    );
    let mut places: HashMap<PathBuf, usize> = chosen
        .iter()
        .enumerate()
        .map(|(place, chosen)| (chosen.key.clone(), place))
        .collect();
    for (row, input) in rows.into_iter().zip(inputs) {
        let origin = format!("{shown}: line {}", row.line);
        let mut own = Given::default();
        for (name, value) in &row.settings {
            if FOR_ALL.contains(&name.as_str()) {
                bail!(
                    "{origin}: {name} is not for single files; give it on the command line or in the job file"
                );
            }
            own.set(name, value);
        }
        let settings = Settings::check(&job.settings.with(&own), &origin)?;
        let named = row.output.map(|name| job.output.join(name));
        let key = key(&input);
        let place = places.get(&key).copied();
        let known = place.map(|place| &mut chosen[place]);
        match known {
            Some(known) if known.row.is_none() => {
                known.job.output = match named {
                    Some(named) => named,
                    // The name may follow from the codec.
                    None => known.job.output.with_file_name(output_name(
                        input.file_name().unwrap_or_default(),
                        known.job.kind,
                        settings.codec,
                    )),
                };
                known.settings = settings;
                known.row = Some(origin);
            }
            Some(known) if named.is_none() || named.as_ref() == Some(&known.job.output) => bail!(
                "{origin}: {} has this input, too; give each an output of its own, or leave one out",
                known.row.as_deref().unwrap_or_default()
            ),
            _ => {
                let output =
                    named.unwrap_or_else(|| output_of(&input, &base, &job.output, settings.codec));
                places.insert(key.clone(), chosen.len());
                chosen.push(Chosen {
                    key,
                    job: plan::Job {
                        kind: kind_of(&input),
                        input,
                        output,
                    },
                    settings,
                    row: Some(origin),
                });
            }
        }
    }
    Ok(())
}

/// The folder that all `folders` lie in, or are.
fn common_folder<'a>(mut folders: impl Iterator<Item = &'a Path>) -> PathBuf {
    let Some(first) = folders.next() else {
        return PathBuf::new();
    };
    folders.fold(first.to_owned(), |common, folder| {
        common
            .components()
            .zip(folder.components())
            .take_while(|(a, b)| a == b)
            .map(|(part, _)| part)
            .collect()
    })
}

fn output_of(
    input: &Path,
    base: &Path,
    output: &Path,
    codec: Option<floutage::media::encode::Codec>,
) -> PathBuf {
    let kind = kind_of(input);
    let name = output_name(input.file_name().unwrap_or_default(), kind, codec);
    let inside = input.strip_prefix(base).unwrap_or(input);
    // A name with `..` in it stays inside, too.
    let folder: PathBuf = inside
        .parent()
        .unwrap_or(Path::new(""))
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    output.join(folder).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_files_keep_what_tells_them_apart() {
        let files = ["/a/b/1/x.mp4", "/a/b/2/x.mp4"].map(PathBuf::from);
        let folders = || files.iter().filter_map(|file| file.parent());
        let base = common_folder(folders());
        assert_eq!(base, Path::new("/a/b"));
        let out = |file: &Path| output_of(file, &base, Path::new("out"), None);
        assert_eq!(out(&files[0]), Path::new("out/1/x.mp4"));
        assert_eq!(out(&files[1]), Path::new("out/2/x.mp4"));
        assert_eq!(out(Path::new("../y.mp4")), Path::new("out/y.mp4"));
        assert_eq!(common_folder(folders().take(1)), Path::new("/a/b/1"));
        assert_eq!(literal_folder(Path::new("a/b/**/*.mp4")), Path::new("a/b"));
        assert_eq!(
            literal_folder(Path::new("s3://x/a/b*/c")),
            Path::new("s3://x/a")
        );
    }
}
