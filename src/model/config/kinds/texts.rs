//! Texts, paths, names of hosts and the API key.

use std::borrow::Cow;
use std::path::PathBuf;

use super::Kind;
use crate::model::config::problem::shown;
use crate::model::config::secret::Secret;
use crate::model::config::server_address::{ServerAddress, is_host};

/// Longest service, environment or release: they are repeated in every profile and error event.
const MAX_TEXT_CHARS: usize = 200;

/// Longest API key: a header of a request, of which servers commonly accept 8 KiB in total.
const MAX_API_KEY_CHARS: usize = 4096;

/// What all kinds have in common whose value is written as one text.
pub(crate) trait TextKind {
    type Written: TextValue;
    type Checked: PartialEq;

    fn default(&self) -> Self::Checked;
    fn check(&self, written: &Self::Written) -> Option<Self::Checked>;
    fn expected(&self) -> String;
    fn show_text(&self, text: &str) -> String {
        shown(text)
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description;
}

/// A type that holds one text.
pub(crate) trait TextValue: for<'a> From<&'a str> + PartialEq {
    fn text(&self) -> Cow<'_, str>;
}

impl TextValue for String {
    fn text(&self) -> Cow<'_, str> {
        self.into()
    }
}
impl TextValue for PathBuf {
    fn text(&self) -> Cow<'_, str> {
        self.to_string_lossy()
    }
}
impl TextValue for Secret {
    fn text(&self) -> Cow<'_, str> {
        Self::REDACTED.into()
    }
}

impl<T: TextKind> Kind for T {
    type Written = T::Written;
    type Given = T::Written;
    type Checked = T::Checked;

    fn default(&self) -> T::Checked {
        TextKind::default(self)
    }
    fn write(&self, given: T::Written) -> T::Written {
        given
    }
    fn read(&self, text: &str) -> Option<T::Written> {
        Some(text.into())
    }
    fn check(&self, written: &T::Written) -> Option<T::Checked> {
        TextKind::check(self, written)
    }
    fn is_blank(&self, written: &T::Written) -> bool {
        *written == "".into()
    }
    fn expected(&self) -> String {
        TextKind::expected(self)
    }
    fn show(&self, written: &T::Written) -> String {
        TextKind::show_text(self, &written.text())
    }
    fn show_text(&self, text: &str) -> String {
        TextKind::show_text(self, text)
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        TextKind::describe(self)
    }
}

/// A short text on one line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(crate) default: &'static str,
}

impl TextKind for Text {
    type Written = String;
    type Checked = String;

    fn default(&self) -> String {
        self.default.to_owned()
    }
    fn check(&self, written: &String) -> Option<String> {
        let is_allowed = written.chars().count() <= MAX_TEXT_CHARS && !written.chars().any(char::is_control);
        is_allowed.then(|| written.clone())
    }
    fn expected(&self) -> String {
        format!("1 to {MAX_TEXT_CHARS} characters on one line")
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let edges =
            [("a".repeat(200), true), ("é".repeat(200), true), ("a".repeat(201), false), ("a\nb".into(), false)];
        super::described("text", Some(self.default), edges)
    }
}

/// The name of a host; may be absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostName {}

impl TextKind for HostName {
    type Written = String;
    type Checked = Option<String>;

    fn default(&self) -> Option<String> {
        None
    }
    fn check(&self, written: &String) -> Option<Option<String>> {
        is_host(written).then(|| Some(written.clone()))
    }
    fn expected(&self) -> String {
        "the name of a host".to_owned()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        super::described("host", None, [("flameon.ai".into(), true), ("flameon.ai:7".into(), false)])
    }
}

/// A directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folder {
    pub(crate) default: &'static str,
}

impl TextKind for Folder {
    type Written = PathBuf;
    type Checked = PathBuf;

    fn default(&self) -> PathBuf {
        self.default.into()
    }
    fn check(&self, written: &PathBuf) -> Option<PathBuf> {
        Some(written.clone())
    }
    fn expected(&self) -> String {
        "a path".to_owned()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        super::described("path", Some(self.default), [("/var/lib/x".into(), true)])
    }
}

/// A file or directory; may be absent. Whether it exists is seen when it is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionalPath {}

impl TextKind for OptionalPath {
    type Written = PathBuf;
    type Checked = Option<PathBuf>;

    fn default(&self) -> Option<PathBuf> {
        None
    }
    fn check(&self, written: &PathBuf) -> Option<Option<PathBuf>> {
        Some(Some(written.clone()))
    }
    fn expected(&self) -> String {
        "a path".to_owned()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        super::described("path", None, [("/etc/ca.pem".into(), true)])
    }
}

/// Where the server is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// A host, without a port.
    pub(crate) default: &'static str,
}

impl TextKind for Address {
    type Written = String;
    type Checked = ServerAddress;

    fn default(&self) -> ServerAddress {
        ServerAddress::of_host(self.default)
    }
    fn check(&self, written: &String) -> Option<ServerAddress> {
        ServerAddress::parse(written)
    }
    fn expected(&self) -> String {
        ServerAddress::EXPECTED.to_owned()
    }
    /// A user and password in front of the host are not allowed, and not shown either.
    fn show_text(&self, text: &str) -> String {
        match text.rsplit_once('@') {
            Some((_, host)) => format!("{}@{}", Secret::REDACTED, shown(host)),
            None => shown(text),
        }
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let edges = [("http://[::1]:7/".into(), true), ("host/path".into(), false), ("user@host".into(), false)];
        super::described("address", Some(self.default), edges)
    }
}

/// The secret that the server knows the service by; may be absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiKey {}

impl TextKind for ApiKey {
    type Written = Secret;
    type Checked = Option<Secret>;

    fn default(&self) -> Option<Secret> {
        None
    }
    fn check(&self, written: &Secret) -> Option<Option<Secret>> {
        let key = written.expose();
        let is_allowed = key.len() <= MAX_API_KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_allowed.then(|| Some(written.clone()))
    }
    fn expected(&self) -> String {
        format!("1 to {MAX_API_KEY_CHARS} visible ASCII characters (no space or line break at its ends)")
    }
    fn show_text(&self, _text: &str) -> String {
        Secret::REDACTED.to_owned()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        super::described("secret", None, [("k".repeat(4096), true), ("k".repeat(4097), false), ("k\n".into(), false)])
    }
}

/// A list of names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {}

impl Kind for Names {
    type Written = Vec<String>;
    type Given = Vec<String>;
    type Checked = Vec<String>;

    fn default(&self) -> Vec<String> {
        Vec::new()
    }
    fn write(&self, given: Vec<String>) -> Vec<String> {
        given
    }
    fn read(&self, text: &str) -> Option<Vec<String>> {
        Some(text.split(',').map(|name| name.trim().to_owned()).collect())
    }
    fn check(&self, written: &Vec<String>) -> Option<Vec<String>> {
        // An empty name would be the beginning of every name.
        (!written.iter().any(String::is_empty)).then(|| written.clone())
    }
    fn expected(&self) -> String {
        "names that are not empty (separated by commas in the environment)".to_owned()
    }
    fn show(&self, written: &Vec<String>) -> String {
        self.show_text(&written.join(","))
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let edges = vec![(vec!["app", "app::db"].into(), true), (vec!["app", ""].into(), false)];
        super::Description { kind: "list", default: None, edges }
    }
}
