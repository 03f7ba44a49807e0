//! What is wrong with a configuration.

use std::fmt;

/// Longest value that a problem repeats, in characters: enough to recognise it, too short to flood a log.
const MAX_SHOWN_CHARS: usize = 100;

/// One thing that is wrong with a configuration. Shown as `sample_rate = 7: expected 0.0 to 1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The key as in [`Settings`](crate::Settings), or the environment variable's name.
    pub key: String,
    /// The value that was given, at most 100 characters of it; `[redacted]` for a secret.
    pub value: String,
    /// What is allowed instead, with the range where there is one.
    pub expected: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: expected {}", self.key, self.value, self.expected)
    }
}

/// Everything that is wrong with a configuration, not only the first thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid: {}", listed(.problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// `Ok` when there is no problem.
    pub(crate) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// All problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A written text as a problem shows it: cut, and without control characters that would break a log line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (position, char) in text.chars().enumerate() {
        if position == MAX_SHOWN_CHARS {
            shown.push('…');
            break;
        }
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn an_error_lists_all_of_its_problems() {
        let problems =
            vec![Problem::new("sample_rate", "7", "0.0 to 1.0"), Problem::new("capture", "x", "true or false")];
        let error = ConfigError::unless_empty(problems).expect_err("two problems");
        assert_eq!(
            error.to_string(),
            "the configuration is not valid: sample_rate = 7: expected 0.0 to 1.0; capture = x: expected true or false"
        );
    }

    #[test]
    fn a_shown_text_is_one_short_line() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert_eq!(shown(&"é".repeat(500)).chars().count(), MAX_SHOWN_CHARS + 1);
    }
}
