//! Who signs: certificates and a private key in one PEM file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use c2pa::{BoxedSigner, SigningAlg, create_signer};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use zeroize::Zeroizing;

use super::sign::try_out;
use crate::digest::sha256_of;
use crate::error::{Error, Result};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 64 << 10;
/// The most that all certificates together may be, in bytes: they go into every output, in one segment of a JPEG.
pub const LARGEST_CHAIN: usize = 16 << 10;

/// Who signs.
pub struct Identity {
    pub(super) signer: BoxedSigner,
}

impl Identity {
    /// Reads the certificate, those of its issuers in order, and the private key (PKCS#8) from the PEM file `path`, and signs a
    /// picture in memory with them, so that nothing is found to be wrong hours later.
    ///
    /// Errors: [`Error::Io`]; [`Error::Media`] when others than its owner can read the file, when a part is missing, of a kind that is
    /// not taken, out of date or self-signed, or when the parts do not belong together. No error shows any of the file's content.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::media(path.display().to_string(), problem);
        let text = read(path, true)?;
        let blocks = blocks(&text);
        let key = private_key(&blocks).map_err(wrong)?;
        let certificates = certificates(&blocks).map_err(wrong)?;
        let algorithm = check_chain(&certificates).map_err(wrong)?;
        let pem: String = blocks
            .iter()
            .filter(|block| block.label == "CERTIFICATE")
            .map(|block| format!("{}\n", block.text))
            .collect();
        // What the library says of a key could hold parts of it.
        let signer = create_signer::from_keys(pem.as_bytes(), key.as_bytes(), algorithm, None)
            .map_err(|_| {
                wrong(
                    "the private key is damaged, or of another kind than the certificate's".into(),
                )
            })?;
        let identity = Self { signer };
        try_out(&identity).map_err(|problem| {
            wrong(format!(
                "signing with it fails: {problem}; the key must be the certificate's, and the certificate must be for \
                 signing documents or e-mail (digitalSignature, emailProtection) and name its issuer's key"
            ))
        })?;
        Ok(identity)
    }
}

/// SHA-256, in hexadecimal, of the first certificate in the PEM file `path`, which may hold more.
///
/// Errors: [`Error::Io`]; [`Error::Media`] when there is none.
pub fn fingerprint(path: &Path) -> Result<String> {
    let text = read(path, false)?;
    let certificates = certificates(&blocks(&text))
        .map_err(|problem| Error::media(path.display().to_string(), problem))?;
    Ok(sha256_of(&certificates[0]))
}

/// The file's text; of a `secret` one only if nobody but its owner can read it.
fn read(path: &Path, secret: bool) -> Result<Zeroizing<String>> {
    let error = |source| Error::io(path, "reading", source);
    let wrong = |problem: &str| Error::media(path.display().to_string(), problem);
    let file = File::open(path).map_err(error)?;
    let found = file.metadata().map_err(error)?;
    if !found.is_file() {
        return Err(wrong("this is no file; name a PEM file"));
    }
    if secret && found.permissions().mode() & 0o077 != 0 {
        return Err(wrong(
            "others than its owner can read the private key in it; consider it known to them, get another one, and `chmod 600` its file",
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE as usize));
    match file.take(LARGEST_FILE + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 <= LARGEST_FILE => Ok(text),
        Ok(_) => Err(wrong("it is too large for certificates and a key in PEM")),
        Err(source) if source.kind() == std::io::ErrorKind::InvalidData => {
            Err(wrong("it is no PEM file"))
        }
        Err(source) => Err(error(source)),
    }
}

/// A block of a PEM file.
struct Block<'a> {
    label: &'a str,
    /// All of it, with its first and last line.
    text: &'a str,
}

/// The whole blocks in `text`.
fn blocks(mut text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    while let Some(start) = text.find("-----BEGIN ") {
        text = &text[start..];
        let Some((label, _)) = text["-----BEGIN ".len()..].split_once("-----") else {
            break;
        };
        let last = format!("-----END {label}-----");
        let Some(end) = text.find(&last).map(|at| at + last.len()) else {
            break;
        };
        found.push(Block {
            label,
            text: &text[..end],
        });
        text = &text[end..];
    }
    found
}

fn private_key<'a>(blocks: &[Block<'a>]) -> std::result::Result<&'a str, String> {
    let keys: Vec<&Block<'_>> = blocks
        .iter()
        .filter(|block| block.label.ends_with("PRIVATE KEY"))
        .collect();
    match keys.as_slice() {
        [key] if key.label == "PRIVATE KEY" => Ok(key.text),
        [key] if key.label == "ENCRYPTED PRIVATE KEY" => Err(
            "its private key is encrypted, and nobody is there to be asked for the password: \
             put the key that `openssl pkey` gives there, and keep the file to yourself"
                .into(),
        ),
        [_] => Err("its private key has an old form: put what `openssl pkcs8 -topk8 -nodes` makes of it there".into()),
        [] => Err("there is no private key in it: it must hold the certificate, those of its issuers, and the key".into()),
        _ => Err("there is more than one private key in it".into()),
    }
}

/// The certificates, in DER; at least one.
fn certificates(blocks: &[Block<'_>]) -> std::result::Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    for block in blocks.iter().filter(|block| block.label == "CERTIFICATE") {
        let pem = x509_parser::pem::Pem::iter_from_buffer(block.text.as_bytes()).next();
        let contents = match pem {
            Some(Ok(pem)) => pem.contents,
            _ => return Err("a certificate in it is damaged".into()),
        };
        found.push(contents);
    }
    if found.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(found)
}

/// The one certificate that `der` is.
pub fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// Checks that the first certificate can sign today, and that each is signed by the next; tells how to sign.
fn check_chain(certificates: &[Vec<u8>]) -> std::result::Result<SigningAlg, String> {
    if certificates.iter().map(Vec::len).sum::<usize>() > LARGEST_CHAIN {
        return Err("its certificates are too large: they go into every output".into());
    }
    let chain: Vec<X509Certificate<'_>> = certificates
        .iter()
        .map(|der| parse(der).ok_or("a certificate in it is damaged"))
        .collect::<std::result::Result<_, _>>()?;
    let first = &chain[0];
    let validity = first.validity();
    if !validity.is_valid() {
        return Err(format!(
            "its certificate is valid from {} to {} only, and not now",
            validity.not_before, validity.not_after
        ));
    }
    if first.issuer() == first.subject() {
        return Err("its certificate is self-signed, which no reader of content credentials accepts: get one from an authority".into());
    }
    for (certificate, issuer) in chain.iter().zip(&chain[1..]) {
        let signed = certificate.issuer() == issuer.subject()
            && certificate
                .verify_signature(Some(issuer.public_key()))
                .is_ok();
        if !signed {
            return Err("its certificates are no chain: each must be signed by the next".into());
        }
    }
    algorithm(first).ok_or_else(|| {
        "its certificate has a key of a kind that is not taken: it must be of P-256, P-384 or Ed25519".into()
    })
}

fn algorithm(certificate: &X509Certificate<'_>) -> Option<SigningAlg> {
    let key = certificate.public_key();
    if key.algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519 {
        return Some(SigningAlg::Ed25519);
    }
    match key.parsed().ok()? {
        PublicKey::EC(point) if point.key_size() == 256 => Some(SigningAlg::Es256),
        PublicKey::EC(point) if point.key_size() == 384 => Some(SigningAlg::Es384),
        _ => None,
    }
}
