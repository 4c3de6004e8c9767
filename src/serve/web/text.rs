//! The page's words in each language.
//!
//! Invariant: every language has the same keys (a test compares them, and with what the pages use).

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

use super::access::cookie;
use crate::error::{Error, Result};
use crate::serve::config::web::Language;

/// Cookie that keeps a person's choice of language.
pub const LANGUAGE_COOKIE: &str = "floutage-language";

/// Words by key.
pub type Words = BTreeMap<String, String>;

/// The words of every language.
pub struct Text {
    english: Words,
    french: Words,
}

impl Text {
    /// Reads the built-in words.
    ///
    /// Errors: [`Error::Media`] when they are not well formed, which a test excludes.
    pub fn load() -> Result<Self> {
        let words = |name: &str, text| {
            serde_json::from_str(text)
                .map_err(|error| Error::media(format!("web page, {name}"), error.to_string()))
        };
        Ok(Self {
            english: words("en.json", include_str!("text/en.json"))?,
            french: words("fr.json", include_str!("text/fr.json"))?,
        })
    }

    /// The words of `language`.
    pub fn of(&self, language: Language) -> &Words {
        match language {
            Language::English => &self.english,
            Language::French => &self.french,
        }
    }
}

impl Language {
    /// Its code, as in `lang="fr"`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The language that `code` names, with or without a region.
    pub fn from_code(code: &str) -> Option<Self> {
        let primary = code.split('-').next().unwrap_or_default().trim();
        [Self::English, Self::French]
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.code()))
    }

    /// What a request asks for: the person's choice, else the browser's, else `default`.
    pub fn wanted(headers: &HeaderMap, default: Self) -> Self {
        cookie(headers, LANGUAGE_COOKIE)
            .and_then(Self::from_code)
            .or_else(|| {
                let accepted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
                best(accepted)
            })
            .unwrap_or(default)
    }
}

/// The language of the highest weight in an `Accept-Language` header that there is.
fn best(accepted: &str) -> Option<Language> {
    let weighed = accepted.split(',').filter_map(|item| {
        let (code, weight) = match item.split_once(';') {
            Some((code, weight)) => (code, weight.trim().strip_prefix("q=")?.parse().ok()?),
            None => (item, 1f32),
        };
        Some((Language::from_code(code)?, weight)).filter(|&(_, weight)| weight > 0.0)
    });
    // Of equal ones, the first.
    let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_browser_chooses_the_language() {
        for (accepted, expected) in [
            ("fr-CH, fr;q=0.9, en;q=0.8", Some(Language::French)),
            ("de, en;q=0.5, fr;q=0.7", Some(Language::French)),
            ("en-GB,fr", Some(Language::English)),
            ("fr;q=0, en;q=0.1", Some(Language::English)),
            ("de", None),
            ("", None),
            ("fr;q=x", None),
            ("*", None),
        ] {
            assert_eq!(best(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn a_choice_counts_more() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            Language::wanted(&headers, Language::French),
            Language::French
        );
        headers.insert(header::ACCEPT_LANGUAGE, "en".parse().unwrap());
        assert_eq!(
            Language::wanted(&headers, Language::French),
            Language::English
        );
        headers.insert(header::COOKIE, "floutage-language=fr".parse().unwrap());
        assert_eq!(
            Language::wanted(&headers, Language::English),
            Language::French
        );
    }

    /// Keys in the pages are `{{ t["key"] }}`, in the scripts `t("key"`; keys put together there have their prefix listed here.
    #[test]
    fn every_key_is_there_in_each_language_and_used() {
        const COMPOSED: [&str; 4] = ["state.", "class.", "role.", "failure."];
        let text = Text::load().unwrap();
        let keys = |words: &Words| words.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&text.english), keys(&text.french));
        for words in [&text.english, &text.french] {
            assert!(words.values().all(|text| !text.trim().is_empty()));
        }
        let placeholders = |text: &str| {
            let found = text
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next());
            found.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        for (key, english) in &text.english {
            assert_eq!(
                placeholders(english),
                placeholders(&text.french[key]),
                "{key}"
            );
        }
        let mut used = BTreeSet::new();
        for (name, source) in super::super::assets::all_text() {
            for start in ["t[\"", "t(\""] {
                for (at, _) in source.match_indices(start) {
                    // The end of another word, such as `split("`.
                    if source[..at].ends_with(|before: char| before.is_alphanumeric()) {
                        continue;
                    }
                    let rest = &source[at + start.len()..];
                    let (key, after) = rest.split_once('"').unwrap();
                    // Put together from a prefix and a value.
                    if after.starts_with(" ~") {
                        continue;
                    }
                    assert!(text.english.contains_key(key), "{name}: {key}");
                    used.insert(key.to_owned());
                }
            }
        }
        for key in text.english.keys() {
            let composed = COMPOSED.iter().any(|prefix| key.starts_with(prefix));
            assert!(composed || used.contains(key), "{key} is not used");
        }
    }
}
