//! Credentials, region and endpoint out of the files that AWS's own tools read: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings of the profile that the environment names, `default` without one. What is not there is left out.
pub fn load(variable: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let name = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
        .into_iter()
        .find_map(&variable)
        .unwrap_or_else(|| "default".to_owned());
    let file = |chosen: &str, usual: &str| -> String {
        let usual = || Some(PathBuf::from(variable("HOME")?).join(".aws").join(usual));
        variable(chosen)
            .map(PathBuf::from)
            .or_else(usual)
            .and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default()
    };
    let mut found = section(&file("AWS_CONFIG_FILE", "config"), &name);
    found.extend(section(
        &file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        &name,
    ));
    found
}

/// The settings of `[name]` or `[profile name]` in `text`.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        // What is indented belongs to a nested setting.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(title) = line
            .trim()
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let title = title.trim();
            let title = title.strip_prefix("profile ").unwrap_or(title);
            inside = title.trim() == name;
        } else if inside && let Some((key, value)) = line.split_once('=') {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let aws = folder.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile city]\n# a note\nregion=eu-central-1\ns3 =\n  region = none\n";
        std::fs::write(aws.join("config"), config).unwrap();
        let keys = "[default]\naws_access_key_id = A\n[city]\naws_access_key_id = B\naws_secret_access_key=c=d\n";
        std::fs::write(aws.join("credentials"), keys).unwrap();
        let home = folder.path().display().to_string();
        let with = |profile: Option<&str>| {
            load(|name| match name {
                "HOME" => Some(home.clone()),
                "AWS_PROFILE" => profile.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(with(None)["aws_access_key_id"], "A");
        assert_eq!(with(None)["region"], "eu-west-1");
        let city = with(Some("city"));
        assert_eq!(city["aws_access_key_id"], "B");
        assert_eq!(city["aws_secret_access_key"], "c=d");
        assert_eq!(city["region"], "eu-central-1");
        assert!(with(Some("other")).is_empty());
        assert!(load(|_| None).is_empty());
    }
}
