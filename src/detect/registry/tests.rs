use super::*;
use crate::detect::letterbox::ChannelOrder;

/// A valid entry, to be spoilt by each test.
const ENTRY: &str = r#"
[[model]]
name = "m"
file = "m.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
head = "boxes"
classes = ["face", "ignore", "plate"]
[model.input]
order = "bgr"
mean = [0.0, 0.0, 0.0]
scale = [1.0, 1.0, 1.0]
[model.thresholds]
face = 0.4
plate = 0.5
"#;

fn error_of(from: &str, to: &str) -> String {
    assert!(ENTRY.contains(from), "{from} is not in the entry");
    let text = ENTRY.replace(from, to);
    match parse(&text, "test.toml") {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted: {from} -> {to}"),
    }
}

#[test]
fn a_full_entry_is_read() {
    let specs = parse(ENTRY, "test.toml").unwrap();
    let spec = &specs[0];
    assert_eq!(spec.name, "m");
    assert_eq!(spec.classes, [Some(Class::Face), None, Some(Class::Plate)]);
    assert_eq!(spec.thresholds[&Class::Plate], 0.5);
    assert_eq!((spec.multiple, spec.size, spec.default), (32, None, false));
    assert_eq!(spec.normalisation.order, ChannelOrder::Bgr);
}

#[test]
fn every_wrong_value_is_named_with_what_is_allowed() {
    for (from, to, expected) in [
        ("name = \"m\"", "", "model number 1: name is missing"),
        ("name = \"m\"", "name = \"a b\"", "name = \"a b\": must be"),
        ("file = \"m.onnx\"", "", "model m: file is missing"),
        (
            "file = \"m.onnx\"",
            "file = \"../m.onnx\"",
            "a plain file name",
        ),
        (
            "file = \"m.onnx\"",
            "file = \"a/b.onnx\"",
            "a plain file name",
        ),
        ("sha256 = \"0", "sha256 = \"A", "64 hexadecimal digits"),
        ("sha256 = \"00", "sha256 = \"0", "64 hexadecimal digits"),
        ("head = \"boxes\"", "head = \"box\"", "head = box: must be"),
        (
            "\"boxes\"",
            "\"yunet\"",
            "must be 1 long for the head yunet",
        ),
        ("\"ignore\"", "\"person\"", "face, plate or ignore"),
        (
            "\"bgr\"",
            "\"gbr\"",
            "input.order = \"gbr\": must be bgr or rgb",
        ),
        ("mean = [0.0, ", "mean = [nan, ", "input.mean"),
        ("scale = [1.0, ", "scale = [0.0, ", "input.scale"),
        ("scale = [1.0, ", "scale = [inf, ", "input.scale"),
        ("scale = [1.0, 1.0, ", "scale = [1.0, ", "scale"),
        (
            "order",
            "multiple = 0\norder",
            "input.multiple = 0: must be 1 to 256",
        ),
        (
            "order",
            "size = [4, 640]\norder",
            "input.size = [4, 640]: must be",
        ),
        (
            "face = 0.4",
            "face = 1.0",
            "thresholds.face = 1.0: must be 0.01 to 0.99",
        ),
        ("face = 0.4", "face = nan", "thresholds.face = NaN"),
        ("face = 0.4", "", "given for face"),
        ("face = 0.4", "face = 0.4\ncar = 0.4", "thresholds.car"),
        (
            "head",
            "url = \"ftp://a/b\"\nhead",
            "url = \"ftp://a/b\": must be an https address",
        ),
        (
            "head",
            "url = \"http://a/b\"\nhead",
            "must be an https address",
        ),
        ("head", "colour = 1\nhead", "unknown field `colour`"),
        ("head = \"boxes\"", "", "missing field `head`"),
        ("head = \"boxes\"", "head = 3", "invalid type"),
    ] {
        let error = error_of(from, to);
        assert!(error.contains(expected), "{to}: {error}");
        assert!(error.contains("test.toml"), "{to}: {error}");
    }
}

#[test]
fn names_are_unique_and_a_class_must_be_found() {
    let error = parse(&format!("{ENTRY}{ENTRY}"), "t").unwrap_err();
    assert!(error.to_string().contains("used twice"), "{error}");
    let text = ENTRY
        .replace(r#"["face", "ignore", "plate"]"#, r#"["ignore"]"#)
        .replace("face = 0.4\nplate = 0.5\n", "");
    let error = parse(&text, "t").unwrap_err().to_string();
    assert!(error.contains("at least one face or plate"), "{error}");
}

#[test]
fn not_toml_is_an_error_with_the_place() {
    let error = parse("[[model]\n", "t.toml").unwrap_err().to_string();
    assert!(
        error.contains("t.toml") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn the_built_in_registry_is_valid_and_has_a_default_that_finds_every_class() {
    let specs = parse(BUILT_IN, BUILT_IN_ORIGIN).unwrap();
    for class in Class::ALL {
        assert!(
            specs
                .iter()
                .any(|spec| spec.default && spec.classes.contains(&Some(class))),
            "no default model finds {class}"
        );
    }
    for spec in &specs {
        assert!(
            !spec.licence.is_empty() && !spec.source.is_empty(),
            "{}",
            spec.name
        );
        assert!(
            spec.default || spec.url.is_some() || !spec.note.is_empty(),
            "{}",
            spec.name
        );
    }
}

/// A models folder with `ENTRY`'s model, whose file holds `content`.
fn folder(content: &str, sha256: &str) -> (tempfile::TempDir, Surroundings) {
    let folder = tempfile::tempdir().unwrap();
    let zeros = "0".repeat(64);
    std::fs::write(
        folder.path().join("models.toml"),
        ENTRY.replace(&zeros, sha256),
    )
    .unwrap();
    std::fs::write(folder.path().join("m.onnx"), content).unwrap();
    (folder, Surroundings::default())
}

#[test]
fn a_known_model_is_read_and_its_sum_checked() {
    let (dir, surroundings) = folder("weights", &sha256_of(b"weights"));
    let registry = Registry::load_from(&surroundings, Some(dir.path())).unwrap();
    let model = registry.open("m").unwrap();
    assert_eq!(model.bytes, b"weights");

    std::fs::write(dir.path().join("m.onnx"), "Weights").unwrap();
    let error = registry.open("m").unwrap_err().to_string();
    assert!(error.contains(&sha256_of(b"weights")), "{error}");
    assert!(error.contains(&sha256_of(b"Weights")), "{error}");

    std::fs::remove_file(dir.path().join("m.onnx")).unwrap();
    let error = registry.open("m").unwrap_err().to_string();
    assert!(error.contains("m.onnx is in none of"), "{error}");
}

#[test]
fn a_folder_s_description_wins_over_the_built_in_one() {
    let (dir, surroundings) = folder("weights", &sha256_of(b"weights"));
    let text = std::fs::read_to_string(dir.path().join("models.toml")).unwrap();
    std::fs::write(
        dir.path().join("models.toml"),
        text.replace("name = \"m\"", "name = \"yunet\""),
    )
    .unwrap();
    let registry = Registry::load_from(&surroundings, Some(dir.path())).unwrap();
    assert_eq!(registry.open("yunet").unwrap().bytes, b"weights");
    assert_eq!(registry.defaults(), ["floutage-v2"]);
}

#[test]
fn a_path_is_described_by_its_neighbour_or_by_its_sum() {
    let (dir, surroundings) = folder("weights", &sha256_of(b"weights"));
    let registry = Registry::load_from(&surroundings, Some(dir.path())).unwrap();
    let path = dir.path().join("own.onnx");
    let name = path.to_str().unwrap();
    let missing = registry.open(name).unwrap_err().to_string();
    assert!(missing.contains("there is no such file"), "{missing}");

    std::fs::write(&path, "other").unwrap();
    let undescribed = registry.open(name).unwrap_err().to_string();
    assert!(
        undescribed.contains("floutage models inspect"),
        "{undescribed}"
    );

    std::fs::write(&path, "weights").unwrap();
    assert_eq!(registry.open(name).unwrap().spec.name, "m");

    let beside = ENTRY
        .lines()
        .filter(|l| {
            !l.starts_with("[[")
                && !l.starts_with("name")
                && !l.starts_with("file")
                && !l.starts_with("sha256")
        })
        .collect::<Vec<_>>()
        .join("\n")
        .replace("[model.", "[");
    std::fs::write(dir.path().join("own.toml"), &beside).unwrap();
    std::fs::write(&path, "other").unwrap();
    let model = registry.open(name).unwrap();
    assert_eq!((model.spec.name.as_str(), model.spec.sha256), ("own", None));

    std::fs::write(
        dir.path().join("own.toml"),
        format!("sha256 = \"{}\"\n{beside}", sha256_of(b"x")),
    )
    .unwrap();
    let error = registry.open(name).unwrap_err().to_string();
    assert!(error.contains("own.toml says"), "{error}");

    std::fs::write(
        dir.path().join("own.toml"),
        format!("file = \"b\"\n{beside}"),
    )
    .unwrap();
    let error = registry.open(name).unwrap_err().to_string();
    assert!(error.contains("file must be own.onnx"), "{error}");
}

#[test]
fn unknown_names_and_folders_are_named() {
    let surroundings = Surroundings::default();
    let registry = Registry::load_from(&surroundings, None).unwrap();
    let error = registry.open("nosuch").unwrap_err().to_string();
    assert!(
        error.contains("known are floutage-v2, floutage-v0, yunet, ultraface"),
        "{error}"
    );
    let error = registry.open("floutage-v2").unwrap_err().to_string();
    assert!(error.contains("--models-dir"), "{error}");
    let error = Registry::load_from(&surroundings, Some(Path::new("/no/such"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "models-dir = /no/such: must be an existing folder"
    );
    let surroundings = Surroundings {
        models: Some("/no/such".into()),
        ..Default::default()
    };
    let error = Registry::load_from(&surroundings, None).unwrap_err();
    assert!(
        error.to_string().starts_with("FLOUTAGE_MODELS_DIR = "),
        "{error}"
    );
}

#[test]
fn only_regular_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let error = read_file(dir.path()).unwrap_err().to_string();
    assert!(error.contains("is not a file"), "{error}");
    assert!(matches!(
        read_file(&dir.path().join("none")).unwrap_err(),
        Error::Io { .. }
    ));
}
