//! Content credentials: what they say, that the format's own reader takes them, and that nothing else gets through `floutage verify`.

mod common;

use std::path::{Path, PathBuf};

use common::program::{Run, names, redact, run};
use common::{ffmpeg, run_tool, temp_dir};

fn picture(folder: &Path) -> PathBuf {
    let path = folder.join("clear.jpg");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc2=s=96x64", "-frames:v", "1"])
            .arg(&path),
    );
    path
}

fn signed_run(input: &Path, output: &Path, pem: &Path) -> Run {
    run(redact(input, output).arg("--json").arg("--c2pa").arg(pem))
}

#[cfg(not(feature = "c2pa"))]
#[test]
fn a_build_without_credentials_says_so_and_writes_nothing() {
    let folder = temp_dir();
    let (input, output) = (picture(folder.path()), folder.path().join("out.jpg"));
    signed_run(&input, &output, &input).failed(&["--features c2pa"]);
    assert_eq!(names(folder.path()), ["clear.jpg"]);
}

#[cfg(feature = "c2pa")]
mod with_credentials {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use c2pa::{Builder, Context, Reader, Settings, ValidationState};
    use common::batch::{batch, clips};
    use common::clip::{Clip, SECRET};
    use common::contains_bytes;
    use common::scene::Scene;
    use floutage::credentials::{Format, Identity, Statement};
    use floutage::redact::Style;
    use floutage::verify::{Finding, inspect};
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
        SignatureAlgorithm, date_time_ymd,
    };
    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};
    use tempfile::TempDir;

    use super::*;

    fn clip(folder: &Path) -> PathBuf {
        Clip::new(Scene::new(160, 128, 8).on_grid(16)).write(folder, "clear.mp4")
    }

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Town");
        params
    }

    fn authority() -> Issuer<'static, KeyPair> {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Issuer::new(params, KeyPair::generate().expect("a key"))
    }

    fn signer() -> CertificateParams {
        let mut params = named("signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// A certificate by an authority and its key, in PEM.
    fn issued(
        params: CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> (String, String) {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let certificate = params.signed_by(&key, &authority()).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn write(path: PathBuf, text: &str, mode: u32) -> PathBuf {
        std::fs::write(&path, text).expect("it can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .expect("the owner may");
        path
    }

    struct Place {
        folder: TempDir,
        pem: PathBuf,
    }

    impl Place {
        fn new(algorithm: &'static SignatureAlgorithm) -> Self {
            let folder = temp_dir();
            let (certificate, key) = issued(signer(), algorithm);
            let pem = write(
                folder.path().join("signer.pem"),
                &(certificate + &key),
                0o600,
            );
            Self { folder, pem }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// The input redacted and signed, and what was said of it.
        fn signed(&self, input: &Path, name: &str) -> (PathBuf, Value) {
            let output = self.at(name);
            let report = signed_run(input, &output, &self.pem).succeeded().report();
            (output, report)
        }
    }

    fn context() -> Context {
        let settings = r#"{"verify": {"verify_trust": false, "remote_manifest_fetch": false}}"#;
        let settings = Settings::new().with_json(settings).expect("settings");
        Context::new().with_settings(settings).expect("settings")
    }

    fn media_type(path: &Path) -> &'static str {
        Format::of(path)
            .expect("a format that can be signed")
            .media_type()
    }

    fn state(path: &Path) -> ValidationState {
        read(path).validation_state()
    }

    fn read(path: &Path) -> Reader {
        let file = std::fs::File::open(path).expect("it can be opened");
        Reader::from_context(context())
            .with_stream(media_type(path), file)
            .expect("there are credentials")
    }

    fn findings(path: &Path) -> Vec<Finding> {
        inspect(path).expect("it can be read").findings
    }

    fn verify(path: &Path, pem: &Path) -> Run {
        run(Command::new(env!("CARGO_BIN_EXE_floutage"))
            .args(["verify", "--structure-only", "--json", "--c2pa"])
            .arg(pem)
            .arg(path))
    }

    #[test]
    fn outputs_are_signed_and_say_what_was_done_and_nothing_else() {
        for (algorithm, format) in [
            (&PKCS_ECDSA_P256_SHA256, "mp4"),
            (&PKCS_ECDSA_P384_SHA384, "mov"),
            (&PKCS_ED25519, "jpg"),
        ] {
            let place = Place::new(algorithm);
            let input = if format == "jpg" {
                picture(place.folder.path())
            } else {
                clip(place.folder.path())
            };
            let (output, report) = place.signed(&input, &format!("out.{format}"));
            let name = input
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let mut expected = [name, format!("out.{format}"), "signer.pem".into()];
            expected.sort();
            assert_eq!(names(place.folder.path()), expected);

            let reader = read(&output);
            assert_eq!(
                reader.validation_state(),
                ValidationState::Valid,
                "{}",
                reader.json()
            );
            let json: Value = serde_json::from_str(&reader.json()).expect("JSON");
            let manifests = json["manifests"].as_object().expect("manifests");
            assert_eq!(manifests.len(), 1, "{json}");
            let manifest = manifests.values().next().expect("one");
            assert!(manifest.get("thumbnail").is_none(), "{json}");
            let ingredient = &manifest["ingredients"][0];
            for hidden in [
                "title",
                "thumbnail",
                "format",
                "document_id",
                "hash",
                "data",
            ] {
                assert!(ingredient.get(hidden).is_none(), "{hidden}: {ingredient}");
            }
            let actions = &manifest["assertions"][0]["data"]["actions"];
            assert_eq!(actions[1]["action"], "c2pa.edited");
            let stated = &actions[1]["parameters"];
            assert_eq!(stated["floutage.faces"], report["regions"]["face"]);
            assert_eq!(stated["floutage.frames"], report["frames"]);
            assert_eq!(stated["floutage.face-style"], "blur");
            let model =
                std::fs::read(common::program::fixture("marker-detector")).expect("a model");
            let digest: String = Sha256::digest(&model)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(stated["floutage.models"], json!([digest]));

            assert_eq!(findings(&output), [], "{format}");
            verify(&output, &place.pem).succeeded();
            let other = Place::new(algorithm);
            let told = verify(&output, &other.pem);
            assert_eq!(told.code, Some(1), "another's certificate: {told:?}");
            // What was never signed is not taken for signed.
            let plain = place.at(&format!("plain.{format}"));
            run(&mut redact(&input, &plain)).succeeded();
            assert_eq!(verify(&plain, &place.pem).code, Some(1));
        }
    }

    #[test]
    fn a_changed_picture_no_longer_fits_its_credentials() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let (video, _) = place.signed(&clip(place.folder.path()), "out.mp4");
        let (still, _) = place.signed(&picture(place.folder.path()), "out.jpg");
        for output in [video, still] {
            let mut bytes = std::fs::read(&output).expect("it can be read");
            let at = match bytes.windows(4).position(|four| four == b"mdat") {
                Some(mdat) => mdat + 40,
                None => bytes.len() - 20,
            };
            assert_eq!(state(&output), ValidationState::Valid);
            bytes[at] ^= 1;
            std::fs::write(&output, bytes).expect("it can be written");
            assert_eq!(
                state(&output),
                ValidationState::Invalid,
                "{}",
                output.display()
            );
            let found = findings(&output);
            assert!(
                found
                    .iter()
                    .any(|found| found.problem.contains("do not hold")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_cannot_sign_is_refused_before_anything_is_written() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let input = picture(place.folder.path());
        let output = place.at("out.jpg");
        let (certificate, key) = issued(signer(), &PKCS_ECDSA_P256_SHA256);
        let (stranger, strange_key) = issued(signer(), &PKCS_ECDSA_P256_SHA256);
        let (_, other_kind) = issued(signer(), &PKCS_ED25519);
        let mut expired = signer();
        (expired.not_before, expired.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        let (expired, expired_key) = issued(expired, &PKCS_ECDSA_P256_SHA256);
        let mut for_servers = signer();
        for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (for_servers, server_key) = issued(for_servers, &PKCS_ECDSA_P256_SHA256);
        let own_key = KeyPair::generate().expect("a key");
        let own = signer().self_signed(&own_key).expect("a certificate").pem();
        let old_form = key.replace("PRIVATE KEY", "EC PRIVATE KEY");
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let whole = format!("{certificate}{key}");
        for (what, text, mode, word) in [
            ("others can read it", whole.clone(), 0o644, "chmod 600"),
            ("its group can read it", whole.clone(), 0o640, "chmod 600"),
            ("no key", certificate.clone(), 0o600, "no private key"),
            ("no certificate", key.clone(), 0o600, "no certificate"),
            ("nothing", String::new(), 0o600, "no private key"),
            (
                "another's key",
                format!("{certificate}{strange_key}"),
                0o600,
                "signing with it fails",
            ),
            (
                "another kind of key",
                format!("{certificate}{other_kind}"),
                0o600,
                "another kind",
            ),
            (
                "two keys",
                format!("{whole}{strange_key}"),
                0o600,
                "more than one",
            ),
            (
                "an old form",
                format!("{certificate}{old_form}"),
                0o600,
                "pkcs8",
            ),
            (
                "a password",
                format!("{certificate}{locked}"),
                0o600,
                "encrypted",
            ),
            ("expired", format!("{expired}{expired_key}"), 0o600, "2002"),
            (
                "self-signed",
                format!("{own}{}", own_key.serialize_pem()),
                0o600,
                "self-signed",
            ),
            (
                "no chain",
                format!("{certificate}{stranger}{key}"),
                0o600,
                "no chain",
            ),
            (
                "for servers",
                format!("{for_servers}{server_key}"),
                0o600,
                "signing with it fails",
            ),
            (
                "cut off",
                whole[..whole.len() - 90].to_owned(),
                0o600,
                "no private key",
            ),
        ] {
            let pem = write(place.at("bad.pem"), &text, mode);
            let told = signed_run(&input, &output, &pem).failed(&[word, "bad.pem"]);
            let secret: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
            for line in secret {
                assert!(!told.stderr.contains(line), "{what}: the key is shown");
            }
            std::fs::remove_file(&pem).expect("it is there");
            assert_eq!(
                names(place.folder.path()),
                ["clear.jpg", "signer.pem"],
                "{what}"
            );
        }
        signed_run(&input, &output, &place.at("none.pem")).failed(&["none.pem"]);
        // The parts fit: it was not the rest that was refused.
        let pem = write(place.at("good.pem"), &whole, 0o600);
        signed_run(&input, &output, &pem).succeeded();
    }

    #[test]
    fn formats_without_a_place_for_credentials_are_refused() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let input = clip(place.folder.path());
        for name in ["out.mkv", "out.webm"] {
            signed_run(&input, &place.at(name), &place.pem).failed(&[name, ".mp4"]);
        }
        let pictures = place.at("pictures");
        std::fs::create_dir(&pictures).expect("a folder");
        run_tool(
            ffmpeg()
                .args(["-f", "lavfi", "-i", "testsrc2=s=96x64", "-frames:v", "1"])
                .arg(pictures.join("clear.png")),
        );
        signed_run(&pictures, &place.at("out"), &place.pem).failed(&["clear.png", ".jpg"]);
        let mut command = batch(&pictures, &place.at("out"));
        run(command.arg("--c2pa").arg(&place.pem)).failed(&["clear.png", ".jpg"]);
        assert_eq!(
            names(place.folder.path()),
            ["clear.mp4", "pictures/clear.png", "signer.pem"]
        );
    }

    #[test]
    fn what_cannot_be_signed_gets_no_name() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let identity = Identity::load(&place.pem).expect("it can sign");
        let statement = Statement {
            face_style: Style::Blur,
            plate_style: Style::Fill,
            models: Vec::new(),
            frames: 1,
            faces: 0,
            plates: 0,
            frames_filled: 0,
        };
        let garbage = place.at("garbage");
        std::fs::write(&garbage, "no picture").expect("it can be written");
        for (format, name) in [(Format::Jpeg, "out.jpg"), (Format::Mp4, "out.mp4")] {
            let output = place.at(name);
            let error = identity
                .sign(&statement, format, &garbage, &output, true)
                .expect_err("it is no picture");
            assert!(error.to_string().contains("not kept"), "{error}");
            std::fs::write(&output, "old").expect("it can be written");
            assert!(
                identity
                    .sign(&statement, format, &garbage, &output, true)
                    .is_err()
            );
            assert_eq!(std::fs::read(&output).expect("it is there"), b"old");
            std::fs::remove_file(&output).expect("it is there");
        }
        // Whose offsets of 32 bits would no longer fit.
        let large = std::fs::File::create(&garbage).expect("it can be written");
        large.set_len((1 << 32) - 9).expect("a file with a hole");
        let error = identity
            .sign(
                &statement,
                Format::Mp4,
                &garbage,
                &place.at("out.mp4"),
                true,
            )
            .expect_err("it has no room");
        assert!(error.to_string().contains("under 4 GiB"), "{error}");
        assert_eq!(names(place.folder.path()), ["garbage", "signer.pem"]);
    }

    #[test]
    fn a_process_that_decodes_does_not_read_the_key() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let (input, output) = (clip(place.folder.path()), place.at("out.mp4"));
        let mut worker = redact(&input, &output);
        worker.arg("--worker").args([&input, &output]);
        run(worker.arg("--c2pa").arg(place.at("there-is-none.pem"))).succeeded();
        assert!(output.exists());
    }

    #[test]
    fn a_batch_signs_and_records_what_it_signed() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let (input, output) = (clips(place.folder.path(), 2), place.at("out"));
        let log = place.at("audit.jsonl");
        let mut command = batch(&input, &output);
        command.env("XDG_STATE_HOME", place.at("state"));
        command
            .arg("--audit-log")
            .arg(&log)
            .arg("--c2pa")
            .arg(&place.pem);
        run(&mut command).succeeded();
        let recorded = std::fs::read_to_string(&log).expect("a log");
        for name in ["clip-00.mp4", "clip-01.mp4"] {
            let path = output.join(name);
            assert_eq!(state(&path), ValidationState::Valid, "{name}");
            assert_eq!(findings(&path), [], "{name}");
            let bytes = std::fs::read(&path).expect("it can be read");
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert!(
                recorded.contains(&digest),
                "{name} is not what was recorded"
            );
        }
        let left: Vec<String> = names(&output)
            .into_iter()
            .filter(|name| name.starts_with('.'))
            .collect();
        assert_eq!(left, [""; 0]);
    }

    /// The output signed anew, with a statement of somebody else's.
    fn foreign(place: &Place, plain: &Path, definition: Value) -> PathBuf {
        let pem = std::fs::read_to_string(&place.pem).expect("it can be read");
        let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").expect("a key"));
        let signer = c2pa::create_signer::from_keys(
            certificate.as_bytes(),
            key.as_bytes(),
            c2pa::SigningAlg::Es256,
            None,
        )
        .expect("a signer");
        let mut builder = Builder::from_context(context())
            .with_definition(definition)
            .expect("a definition");
        let output = place.at(&format!(
            "foreign.{}",
            plain.extension().expect("one").to_string_lossy()
        ));
        let mut source = std::fs::File::open(plain).expect("it can be opened");
        let mut signed = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&output)
            .expect("it can be made");
        builder
            .sign(signer.as_ref(), media_type(plain), &mut source, &mut signed)
            .expect("it can be signed");
        output
    }

    #[test]
    fn secrets_in_others_credentials_are_found() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let agent = json!({ "name": "floutage", "version": "0.1.0" });
        let created = json!({
            "label": "c2pa.actions.v2", "created": true,
            "data": { "actions": [{ "action": "c2pa.created",
                "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty" }] },
        });
        let secret = json!({ "label": "floutage.note", "data": { "note": SECRET } });
        let definitions = [
            json!({ "claim_generator_info": [agent], "assertions": [created, secret] }),
            json!({ "claim_generator_info": [agent], "title": SECRET, "assertions": [created] }),
            json!({ "claim_generator_info": [{ "name": "floutage", "version": SECRET }], "assertions": [created] }),
        ];
        let (clip, picture) = (clip(place.folder.path()), picture(place.folder.path()));
        for (input, name) in [(&clip, "plain.mp4"), (&picture, "plain.jpg")] {
            let plain = place.at(name);
            run(&mut redact(input, &plain)).succeeded();
            assert_eq!(findings(&plain), []);
            for definition in &definitions {
                let output = foreign(&place, &plain, definition.clone());
                assert_eq!(state(&output), ValidationState::Valid, "it is well signed");
                let bytes = std::fs::read(&output).expect("it can be read");
                assert!(contains_bytes(&bytes, SECRET.as_bytes()));
                assert_ne!(findings(&output), [], "{definition}");
            }
        }
    }

    #[test]
    fn secrets_that_no_signature_covers_are_found() {
        let place = Place::new(&PKCS_ECDSA_P256_SHA256);
        let secret = SECRET.as_bytes();
        let (video, _) = place.signed(&clip(place.folder.path()), "out.mp4");
        let (still, _) = place.signed(&picture(place.folder.path()), "out.jpg");
        for output in [&video, &still] {
            // Behind the certificates there is room that is all zeros, for time stamps that are never asked for.
            let mut bytes = std::fs::read(output).expect("it can be read");
            let zeros = vec![0; 4096];
            let at = bytes
                .windows(4096)
                .position(|some| some == zeros)
                .expect("padding");
            bytes[at + 1000..at + 1000 + secret.len()].copy_from_slice(secret);
            let planted = output.with_file_name(format!(
                "planted.{}",
                output.extension().expect("one").to_string_lossy()
            ));
            std::fs::write(&planted, bytes).expect("it can be written");
            assert_eq!(state(&planted), ValidationState::Valid, "nobody else minds");
            let found = findings(&planted);
            assert!(
                found.iter().any(|found| found.problem.contains("padding")),
                "{found:?}"
            );
        }
        // A second box, and one with more behind what is signed.
        let bytes = std::fs::read(&video).expect("it can be read");
        let size =
            |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        let first = size(0);
        let own = &bytes[first..first + size(first)];
        assert_eq!(&own[4..8], b"uuid");
        for planted in [
            [
                &bytes[..first + own.len()],
                own,
                &bytes[first + own.len()..],
            ]
            .concat(),
            [&bytes, own].concat(),
            {
                let longer = (own.len() + secret.len()) as u32;
                [
                    &bytes[..first],
                    &longer.to_be_bytes(),
                    &own[4..],
                    secret,
                    &bytes[first + own.len()..],
                ]
                .concat()
            },
        ] {
            std::fs::write(&video, planted).expect("it can be written");
            assert_ne!(findings(&video), []);
        }
    }
}
