//! The form of credentials: what is written, and a check, byte by byte, that what was read has exactly this form.
//!
//! Invariant: of credentials that pass, only these parts are the signer's choice: the numbers and names in a [`Statement`], versions (digits and
//! points), identifiers, salts and hashes at random, the signature and the certificates. Everything else is what is written here.

use std::ops::Range;

use ciborium::Value;
use serde_json::json;

use super::identity::{LARGEST_CHAIN, parse};
use super::jumbf::{Superbox, Wrong, boxes, open};
use super::{Format, Signed, Statement};
use crate::digest::sha256_of;
use crate::redact::Style;

const NAME: &str = "floutage";
const DESCRIPTION: &str = "Faces and licence plates were found and made unrecognisable";
const INGREDIENT: &str = "c2pa.ingredient.v3";
const ACTIONS: &str = "c2pa.actions.v2";
/// How the library that writes them names itself.
const LIBRARY: &str = "org.contentauth.c2pa_rs";
/// The largest statement that is looked at, in bytes.
const LARGEST: usize = 60 << 10;

/// The credentials for `what`, as the library takes them.
pub fn definition(what: &Statement) -> serde_json::Value {
    let agent = json!({ "name": NAME, "version": env!("CARGO_PKG_VERSION") });
    json!({
        "claim_version": 2,
        "claim_generator_info": [agent],
        // An input of which nothing is told: not its name, not its hash, no picture of it.
        "ingredients": [{ "relationship": "parentOf", "label": "input", "instance_id": "" }],
        "assertions": [{
            "label": ACTIONS,
            "created": true,
            "data": { "actions": [
                { "action": "c2pa.opened", "parameters": { "ingredientIds": ["input"] } },
                {
                    "action": "c2pa.edited",
                    "softwareAgent": agent,
                    "description": DESCRIPTION,
                    "parameters": {
                        "floutage.face-style": what.face_style.name(),
                        "floutage.plate-style": what.plate_style.name(),
                        "floutage.models": what.models,
                        "floutage.frames": what.frames,
                        "floutage.faces": what.faces,
                        "floutage.plates": what.plates,
                        "floutage.frames-filled": what.frames_filled,
                    },
                },
            ] },
        }],
    })
}

/// Credentials of the right form.
pub struct Found {
    /// What the library calls them.
    pub label: String,
    /// What they state; that it holds is not said yet.
    pub signed: Signed,
}

/// Reads the credentials `jumbf`, which lie at `place` in a file of `format`.
pub fn read(jumbf: &[u8], format: Format, place: &Range<u64>) -> Result<Found, Wrong> {
    if jumbf.len() > LARGEST {
        return wrong("more bytes than credentials need");
    }
    let store = one(&boxes(jumbf)?, b"jumb", "file")?;
    let store = labelled(b"c2pa", store, "c2pa")?;
    let manifest = open(b"c2ma", one(&store.boxes, b"jumb", "c2pa")?)?;
    let label = manifest.label;
    if !label.strip_prefix("urn:c2pa:").is_some_and(is_uuid) {
        return wrong("a name that is not expected");
    }
    let [assertions, claim, signature] = inner(&manifest.boxes, "the statement")?;
    let assertions = labelled(b"c2as", assertions, "c2pa.assertions")?;
    let hash = if format == Format::Jpeg {
        "c2pa.hash.data"
    } else {
        "c2pa.hash.bmff.v3"
    };
    let [ingredient, actions, binding] = inner(&assertions.boxes, "c2pa.assertions")?;
    check_ingredient(&content(&labelled(b"cbor", ingredient, INGREDIENT)?)?)?;
    let (version, statement) = check_actions(&content(&labelled(b"cbor", actions, ACTIONS)?)?)?;
    let binding = content(&labelled(b"cbor", binding, hash)?)?;
    match format {
        Format::Jpeg => check_data_hash(&binding, place)?,
        Format::Mp4 | Format::QuickTime => check_file_hash(&binding)?,
    }
    let claim = content(&labelled(b"c2cl", claim, "c2pa.claim.v2")?)?;
    if check_claim(&claim, label, hash)? != version {
        return wrong("two versions");
    }
    let signature = content(&labelled(b"c2cs", signature, "c2pa.signature")?)?;
    Ok(Found {
        label: label.to_owned(),
        signed: Signed {
            certificate: check_signature(&signature)?,
            version,
            statement,
        },
    })
}

fn wrong<T>(problem: &str) -> Result<T, Wrong> {
    Err(Wrong(problem.to_owned()))
}

/// The one box of `kind` that there should be.
fn one<'a>(boxes: &[([u8; 4], &'a [u8])], kind: &[u8; 4], whole: &str) -> Result<&'a [u8], Wrong> {
    match boxes {
        [(found, body)] if found == kind => Ok(body),
        _ => Err(Wrong(format!("other boxes than expected in {whole}"))),
    }
}

/// The three superboxes that there should be.
fn inner<'a>(boxes: &[([u8; 4], &'a [u8])], whole: &str) -> Result<[&'a [u8]; 3], Wrong> {
    match boxes {
        [(a, first), (b, second), (c, third)] if [a, b, c] == [b"jumb"; 3] => {
            Ok([first, second, third])
        }
        _ => Err(Wrong(format!("other boxes than expected in {whole}"))),
    }
}

fn labelled<'a>(kind: &[u8; 4], body: &'a [u8], label: &str) -> Result<Superbox<'a>, Wrong> {
    let found = open(kind, body)?;
    if found.label != label {
        return Err(Wrong(format!("another box where {label} should be")));
    }
    Ok(found)
}

/// The content of a box of CBOR, which must be written in the shortest way.
fn content(superbox: &Superbox<'_>) -> Result<Value, Wrong> {
    let body = one(&superbox.boxes, b"cbor", superbox.label)?;
    value(body).ok_or_else(|| {
        Wrong(format!(
            "{}: it is not written as it should be",
            superbox.label
        ))
    })
}

fn value(body: &[u8]) -> Option<Value> {
    let value: Value = ciborium::from_reader(body).ok()?;
    let mut again = Vec::with_capacity(body.len());
    ciborium::into_writer(&value, &mut again).ok()?;
    (again == body).then_some(value)
}

/// The values of a map of exactly these keys in this order.
fn map<'a, const N: usize>(value: &'a Value, keys: [&str; N]) -> Result<[&'a Value; N], Wrong> {
    let error = || Wrong(format!("other entries than {}", keys.join(", ")));
    let entries = value
        .as_map()
        .filter(|entries| entries.len() == N)
        .ok_or_else(error)?;
    let fits = entries
        .iter()
        .zip(keys)
        .all(|((key, _), name)| key.as_text() == Some(name));
    let values: Vec<&Value> = entries.iter().map(|(_, value)| value).collect();
    values.try_into().ok().filter(|_| fits).ok_or_else(error)
}

/// The values of a list of `N`.
fn list<const N: usize>(value: &Value) -> Result<&[Value; N], Wrong> {
    let values = value
        .as_array()
        .and_then(|values| values.as_slice().try_into().ok());
    values.ok_or_else(|| Wrong(format!("no list of {N}")))
}

fn text(value: &Value, expected: &str) -> Result<(), Wrong> {
    if value.as_text() == Some(expected) {
        return Ok(());
    }
    Err(Wrong(format!("another text than {expected:?}")))
}

fn bytes(value: &Value, length: usize) -> Result<(), Wrong> {
    match value.as_bytes() {
        Some(found) if found.len() == length => Ok(()),
        _ => Err(Wrong(format!("no {length} bytes"))),
    }
}

fn count(value: &Value) -> Result<u64, Wrong> {
    let count = value
        .as_integer()
        .and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(|| Wrong("no number".into()))
}

fn version(value: &Value) -> Result<&str, Wrong> {
    let text = value.as_text().unwrap_or_default();
    let fits = (1..=20).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
    if fits { Ok(text) } else { wrong("no version") }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(digits)
}

fn check_ingredient(value: &Value) -> Result<(), Wrong> {
    let [relationship, instance] = map(value, ["relationship", "instanceID"])?;
    text(relationship, "parentOf")?;
    text(instance, "")
}

/// A reference to an assertion, with its hash.
fn check_reference(value: &Value, assertion: &str) -> Result<(), Wrong> {
    let [url, hash] = map(value, ["url", "hash"])?;
    text(url, &format!("self#jumbf=c2pa.assertions/{assertion}"))?;
    bytes(hash, 32)
}

fn check_actions(value: &Value) -> Result<(String, Statement), Wrong> {
    let [actions] = map(value, ["actions"])?;
    let [opened, edited] = list(actions)?;
    let [action, parameters] = map(opened, ["action", "parameters"])?;
    text(action, "c2pa.opened")?;
    let [ingredients] = map(parameters, ["ingredients"])?;
    let [ingredient] = list(ingredients)?;
    check_reference(ingredient, INGREDIENT)?;
    let keys = ["action", "softwareAgent", "parameters", "description"];
    let [action, agent, parameters, description] = map(edited, keys)?;
    text(action, "c2pa.edited")?;
    text(description, DESCRIPTION)?;
    let [name, number] = map(agent, ["name", "version"])?;
    text(name, NAME)?;
    Ok((version(number)?.to_owned(), statement(parameters)?))
}

/// The parameters of the edit, which come in any order.
fn statement(parameters: &Value) -> Result<Statement, Wrong> {
    let error = || Wrong("other parameters of the edit than expected".into());
    let entries = parameters
        .as_map()
        .filter(|entries| entries.len() == 7)
        .ok_or_else(error)?;
    let get = |name: &str| {
        let key = format!("floutage.{name}");
        let found = entries
            .iter()
            .find(|(found, _)| found.as_text() == Some(&key));
        found.map(|(_, value)| value).ok_or_else(error)
    };
    let style = |name| -> Result<Style, Wrong> {
        get(name)?
            .as_text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(error)
    };
    let models = get("models")?
        .as_array()
        .ok_or_else(error)?
        .iter()
        .map(|model| {
            let digest = model.as_text().filter(|text| {
                text.len() == 64
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            });
            digest.map(str::to_owned).ok_or_else(error)
        });
    Ok(Statement {
        face_style: style("face-style")?,
        plate_style: style("plate-style")?,
        models: models.collect::<Result<_, _>>()?,
        frames: count(get("frames")?)?,
        faces: count(get("faces")?)?,
        plates: count(get("plates")?)?,
        frames_filled: count(get("frames-filled")?)?,
    })
}

/// The hash of a file of boxes: of all but what the walk through the file itself leaves no room for anything in.
fn check_file_hash(value: &Value) -> Result<(), Wrong> {
    let [exclusions, algorithm, hash, name] = map(value, ["exclusions", "alg", "hash", "name"])?;
    let [own, ftyp, mfra, free, skip] = list(exclusions)?;
    let [path, data] = map(own, ["xpath", "data"])?;
    text(path, "/uuid")?;
    let [data] = list(data)?;
    let [offset, bytes] = map(data, ["offset", "value"])?;
    if count(offset)? != 8 || bytes.as_bytes().is_none_or(|bytes| *bytes != UUID) {
        return wrong("another exclusion from the hash");
    }
    for (exclusion, expected) in [
        (ftyp, "/ftyp"),
        (mfra, "/mfra"),
        (free, "/free"),
        (skip, "/skip"),
    ] {
        let [path] = map(exclusion, ["xpath"])?;
        text(path, expected)?;
    }
    check_hash(algorithm, hash, name)
}

/// What a box of credentials in MP4 begins with.
pub const UUID: [u8; 16] = [
    0xd8, 0xfe, 0xc3, 0xd6, 0x1b, 0x0e, 0x48, 0x3c, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7e, 0xc4, 0x81,
];

/// The hash of all of a picture but the credentials themselves.
fn check_data_hash(value: &Value, place: &Range<u64>) -> Result<(), Wrong> {
    let keys = ["exclusions", "name", "alg", "hash", "pad"];
    let [exclusions, name, algorithm, hash, pad] = map(value, keys)?;
    let [exclusion] = list(exclusions)?;
    let [start, length] = map(exclusion, ["start", "length"])?;
    if count(start)? != place.start || count(length)? != place.end - place.start {
        return wrong("another exclusion from the hash");
    }
    check_padding(pad)?;
    check_hash(algorithm, hash, name)
}

fn check_hash(algorithm: &Value, hash: &Value, name: &Value) -> Result<(), Wrong> {
    text(algorithm, "sha256")?;
    text(name, "jumbf manifest")?;
    bytes(hash, 32)
}

fn check_padding(value: &Value) -> Result<(), Wrong> {
    match value.as_bytes() {
        Some(padding) if padding.iter().all(|&byte| byte == 0) => Ok(()),
        _ => wrong("padding that is not 0"),
    }
}

/// Checks the claim; the program's version in it.
fn check_claim<'a>(value: &'a Value, label: &str, hash: &str) -> Result<&'a str, Wrong> {
    let keys = [
        "instanceID",
        "claim_generator_info",
        "signature",
        "created_assertions",
        "gathered_assertions",
        "alg",
    ];
    let [instance, generator, signature, created, gathered, algorithm] = map(value, keys)?;
    let instance = instance
        .as_text()
        .and_then(|text| text.strip_prefix("xmp:iid:"));
    if !instance.is_some_and(is_uuid) {
        return wrong("another identifier than expected");
    }
    let [name, number, library] = map(generator, ["name", "version", LIBRARY])?;
    text(name, NAME)?;
    version(library)?;
    text(
        signature,
        &format!("self#jumbf=/c2pa/{label}/c2pa.signature"),
    )?;
    let [actions, binding] = list(created)?;
    check_reference(actions, ACTIONS)?;
    check_reference(binding, hash)?;
    let [ingredient] = list(gathered)?;
    check_reference(ingredient, INGREDIENT)?;
    text(algorithm, "sha256")?;
    version(number)
}

/// Checks the signature's form (COSE_Sign1); the SHA-256 of the certificate that signed.
fn check_signature(value: &Value) -> Result<String, Wrong> {
    let (18, fields) = value.as_tag().ok_or_else(|| Wrong("no signature".into()))? else {
        return wrong("no signature");
    };
    let [protected, unprotected, payload, signature] = list(fields)?;
    let padding = unprotected
        .as_map()
        .ok_or_else(|| Wrong("no padding".into()))?;
    for ((key, value), name) in padding.iter().zip(["pad", "pad2"]) {
        text(key, name)?;
        check_padding(value)?;
    }
    if padding.len() > 2 || !payload.is_null() {
        return wrong("a signature with more than there should be");
    }
    let protected = protected.as_bytes().and_then(|bytes| self::value(bytes));
    let protected = protected
        .as_ref()
        .and_then(Value::as_map)
        .map(Vec::as_slice);
    let Some([(one, algorithm), (chain_key, chain)]) = protected else {
        return wrong("another head of the signature");
    };
    // RFC 9052 and 9360: `alg` and `x5chain`; RFC 9053: ES256, ES384, EdDSA.
    if count(one)? != 1 || count(chain_key)? != 33 {
        return wrong("another head of the signature");
    }
    let algorithm = algorithm.as_integer().map(i128::from);
    let length = match algorithm {
        Some(-7 | -8) => 64,
        Some(-35) => 96,
        _ => return wrong("a signature of a kind that is never written here"),
    };
    bytes(signature, length)?;
    let chain = match chain {
        Value::Array(several) => several.as_slice(),
        single => std::slice::from_ref(single),
    };
    let certificates: Option<Vec<&Vec<u8>>> = chain.iter().map(Value::as_bytes).collect();
    let certificates = certificates.unwrap_or_default();
    let size: usize = certificates.iter().map(|der| der.len()).sum();
    match certificates.first() {
        Some(first)
            if size <= LARGEST_CHAIN && certificates.iter().all(|der| parse(der).is_some()) =>
        {
            Ok(sha256_of(first))
        }
        _ => wrong("bytes that are no certificate"),
    }
}
