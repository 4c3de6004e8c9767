//! From what a job names to single files.

use std::collections::HashMap;
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

/// The files of `job`, and what is left out of folders.
pub fn items(job: &Job, places: &Places) -> Result<(Vec<Item>, Vec<LeftOut>)> {
    let settings = Settings::check(&job.settings, "the settings")?;
    let mut jobs = Vec::new();
    let mut all_settings = Vec::new();
    let mut left_out = Vec::new();
    let mut sizes = HashMap::new();
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
    let mut loose = Vec::new();
    for pattern in &job.patterns {
        loose.extend(if is_address(pattern) {
            objects::matches(&pattern.to_string_lossy(), places)?
        } else {
            matches(pattern)?
        });
    }
    for list in &job.lists {
        loose.extend(listed(list)?);
    }
    let base = common_folder(&loose);
    for input in loose {
        let output = output_of(&input, &base, &job.output, settings.codec);
        let kind = kind_of(&input);
        jobs.push(plan::Job {
            input,
            output,
            kind,
        });
    }
    all_settings.resize(jobs.len(), settings);
    for manifest in &job.manifests {
        rows(manifest, job, &mut jobs, &mut all_settings)?;
    }
    // Named twice, or by two patterns.
    let mut seen = std::collections::HashSet::new();
    let keep: Vec<bool> = jobs
        .iter()
        .map(|job| seen.insert((plain(&job.input), plain(&job.output))))
        .collect();
    let mut kept = keep.iter();
    jobs.retain(|_| *kept.next().unwrap_or(&true));
    let mut kept = keep.iter();
    all_settings.retain(|_| *kept.next().unwrap_or(&true));
    left_out.retain(|left| {
        !left
            .path
            .components()
            .any(|part| part.as_os_str() == FOLDER)
    });
    refuse_collisions(&jobs)?;
    let own = plain(&job.folder);
    let inside = |job: &&plan::Job| plain(&job.output).starts_with(&own);
    if let Some(job) = jobs.iter().find(inside) {
        bail!(
            "{}: this is in the folder of journal and account ({}); name another output, or another --journal",
            job.output.display(),
            own.display()
        );
    }
    let mut items: Vec<Item> = jobs
        .into_iter()
        .zip(all_settings)
        .map(|(job, settings)| item(job, settings, &sizes))
        .collect::<Result<_>>()?;
    ask_for_sizes(&mut items, places)?;
    Ok((items, left_out))
}

/// `path` without what leads nowhere, so that `a` and `./a` are one.
fn plain(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
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
    settings.check_output(&job.output, job.kind)?;
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
    let is_special = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(SPECIAL);
    let base: PathBuf = pattern
        .components()
        .take_while(|part| !is_special(part))
        .collect();
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

/// The rows of a manifest.
fn rows(
    file: &Path,
    job: &Job,
    jobs: &mut Vec<plan::Job>,
    all_settings: &mut Vec<Settings>,
) -> Result<()> {
    let shown = file.display();
    let folder = file.parent().unwrap_or(Path::new(""));
    let content = std::fs::read(file).with_context(|| format!("{shown}: cannot be read"))?;
    let rows = manifest::parse(&content).map_err(|problem| anyhow!("{shown}: {problem}"))?;
    let mut found = Vec::new();
    for row in rows {
        let mut own = Given::default();
        let origin = format!("{shown}: row {}", row.number);
        for (name, value) in &row.settings {
            if FOR_ALL.contains(&name.as_str()) {
                bail!(
                    "{origin}: {name} is not for single files; give it on the command line or in the job file"
                );
            }
            own.set(name, value);
        }
        let settings = Settings::check(&job.settings.with(&own), &origin)?;
        found.push((beside(folder, row.input), row.output, settings, origin));
    }
    let inputs: Vec<PathBuf> = found.iter().map(|(input, ..)| input.clone()).collect();
    let base = common_folder(&inputs);
    for (input, output, settings, origin) in found {
        let output = match output {
            None => output_of(&input, &base, &job.output, settings.codec),
            Some(name) => job.output.join(name),
        };
        let kind = kind_of(&input);
        settings
            .check_output(&output, kind)
            .with_context(|| origin)?;
        jobs.push(plan::Job {
            input,
            output,
            kind,
        });
        all_settings.push(settings);
    }
    Ok(())
}

/// The folder that all `files` lie in.
fn common_folder(files: &[PathBuf]) -> PathBuf {
    let mut folders = files
        .iter()
        .map(|file| file.parent().unwrap_or(Path::new("")));
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
        let base = common_folder(&files);
        assert_eq!(base, Path::new("/a/b"));
        let out = |file: &Path| output_of(file, &base, Path::new("out"), None);
        assert_eq!(out(&files[0]), Path::new("out/1/x.mp4"));
        assert_eq!(out(&files[1]), Path::new("out/2/x.mp4"));
        assert_eq!(out(Path::new("../y.mp4")), Path::new("out/y.mp4"));
        assert_eq!(common_folder(&files[..1]), Path::new("/a/b/1"));
    }
}
