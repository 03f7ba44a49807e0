//! The environment as a layer of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use crate::model::config::keys::{KEYS, key, with_keys};
use crate::model::config::kinds::Kind;
use crate::model::config::{Problem, Settings};

/// What the name of a variable begins with; the key in upper case follows.
const PREFIX: &str = "FLAME_ON_";

/// The API key's variable in all FlameOn clients. It wins over `FLAME_ON_API_KEY`.
const SHARED_API_KEY: &str = "FLAMEON_API_KEY";

/// The proxy's variables, by which all kinds of programs are told; the first that is set counts.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the environment says about proxies. The address may hold a password: the debug form shows nothing.
#[derive(Clone, Default)]
pub(super) struct Proxy {
    pub(super) https: String,
    pub(super) no: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("is_set", &!self.https.is_empty()).finish()
    }
}

/// The variables that concern the agent, read once.
#[derive(Clone, Default)]
pub(super) struct Environment(BTreeMap<String, OsString>);

/// Values are left out: one of them may be the API key.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    /// Keeps the variables whose name begins with `FLAME_ON_`, `FLAMEON_API_KEY`, and those of proxies.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let is_ours = |name: &String| {
            let name = name.as_str();
            name.starts_with(PREFIX)
                || name == SHARED_API_KEY
                || HTTPS_PROXY.contains(&name)
                || NO_PROXY.contains(&name)
        };
        // A name that is not UTF-8 cannot be one of ours.
        let named = variables.into_iter().filter_map(|(name, value)| Some((name.into().into_string().ok()?, value)));
        Self(named.filter(|(name, _)| is_ours(name)).map(|(name, value)| (name, value.into())).collect())
    }
}

macro_rules! environment {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        impl Environment {
            /// What the variables say. One that cannot be read or is out of range is a problem and left out; an empty
            /// one counts as not set.
            pub(super) fn settings(&self, problems: &mut Vec<Problem>) -> Settings {
                let mut settings = Settings::default();
                $(settings.$key = self.read(&variable(stringify!($key)), &key::$key, problems);)+
                let shared = self.read(SHARED_API_KEY, &key::api_key, problems);
                settings.api_key = shared.or(settings.api_key);
                settings
            }
        }
    };
}

with_keys!(environment);

impl Environment {
    /// The process's own.
    pub(super) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// What they say about proxies.
    pub(super) fn proxy(&self) -> Proxy {
        let first = |names: [&str; 2]| {
            let mut texts = names.iter().filter_map(|name| self.0.get(*name)?.to_str().map(str::trim));
            texts.find(|text| !text.is_empty()).unwrap_or_default().to_owned()
        };
        Proxy { https: first(HTTPS_PROXY), no: first(NO_PROXY) }
    }

    /// One for each variable that looks like ours but is not, and one for two API keys that differ.
    pub(super) fn warnings(&self) -> Vec<String> {
        let known: Vec<String> = KEYS.iter().map(|key| variable(key.name)).collect();
        let is_unknown = |name: &&String| name.starts_with(PREFIX) && !known.contains(name);
        let mut warnings: Vec<String> =
            self.0.keys().filter(is_unknown).map(|name| unknown_variable(name, &known)).collect();
        let keys = [self.0.get(SHARED_API_KEY), self.0.get(&variable("api_key"))];
        if let [Some(shared), Some(own)] = keys
            && shared != own
            && !shared.is_empty()
            && !own.is_empty()
        {
            warnings.push(format!("{SHARED_API_KEY} and FLAME_ON_API_KEY differ; the former is used"));
        }
        warnings
    }

    fn read<K: Kind>(&self, name: &str, kind: &K, problems: &mut Vec<Problem>) -> Option<K::Written> {
        let value = self.0.get(name)?;
        let Some(text) = value.to_str() else {
            problems.push(Problem::new(name, kind.show_text(&value.to_string_lossy()), "UTF-8"));
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let written = kind.read(text).filter(|written| kind.check(written).is_some());
        if written.is_none() {
            problems.push(Problem::new(name, kind.show_text(text), kind.expected()));
        }
        written
    }
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

fn unknown_variable(name: &str, known: &[String]) -> String {
    // A third of the letters: further away it is another word.
    let is_near = |distance: &usize| *distance <= name.len().saturating_sub(PREFIX.len()) / 3;
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
    match nearest.filter(|(distance, _)| is_near(distance)) {
        Some((_, nearest)) => format!("{name} sets nothing; did you mean {nearest}?"),
        None => format!("{name} sets nothing: there is no such key, or the environment cannot hold it"),
    }
}

/// How many letters must be put in, taken out or replaced to get from one to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // `row` holds the distances from the letters of `from` so far to each beginning of `to` but the empty one.
    let mut row: Vec<usize> = (1..=to.chars().count()).collect();
    for (position, letter) in from.chars().enumerate() {
        let (mut diagonal, mut left) = (position, position + 1);
        for (cell, other) in row.iter_mut().zip(to.chars()) {
            left = (*cell + 1).min(left + 1).min(diagonal + usize::from(letter != other));
            diagonal = std::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or_else(|| from.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
