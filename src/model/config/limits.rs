//! The checked values, as the rest of the crate uses them.

use super::event_rules::EventRules;
use super::keys::{key, with_keys};
use super::kinds::*;
use super::problem::Problem;
use super::settings::Settings;

macro_rules! limits {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        /// Every value of a configuration, in range. Times are durations, counts and memory sizes `usize`.
        #[derive(Debug, Clone)]
        pub(crate) struct Limits {
            $($(#[doc = $doc])+ pub(crate) $name: <$kind as Kind>::Checked,)+
            /// What holds for single events.
            pub(crate) events: EventRules,
        }

        impl Limits {
            /// Checks every key. A wrong value is replaced by its default, so that all the others are checked too;
            /// whoever calls must not go on when there is a problem.
            pub(crate) fn check(settings: &Settings, problems: &mut Vec<Problem>) -> Self {
                let limits = Self {
                    $($name: checked(stringify!($key), &key::$key, settings.$key.as_ref(), problems),)+
                    events: EventRules::check(&settings.events, problems),
                };
                limits.check_together(problems);
                limits
            }

            /// The keys whose value differs, in the order of the table, `events` last.
            pub(crate) fn changed_keys(&self, other: &Self) -> Vec<&'static str> {
                let mut changed = Vec::new();
                $(if self.$name != other.$name { changed.push(stringify!($key)); })+
                if self.events != other.events { changed.push("events"); }
                changed
            }
        }
    };
}

with_keys!(limits);

impl Default for Limits {
    fn default() -> Self {
        Self::check(&Settings::default(), &mut Vec::new())
    }
}

impl Limits {
    /// What only several values together can get wrong. Values that are already known to be wrong are left out.
    fn check_together(&self, problems: &mut Vec<Problem>) {
        let known: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
        let is_known = |keys: [&str; 2]| known.iter().any(|known| keys.contains(&known.as_str()));
        let at_most = [
            ("max_batch_size", self.max_batch_size, "max_buffer_size", self.max_buffer_size),
            ("max_error_batch_size", self.max_error_batch_size, "max_error_buffer_size", self.max_error_buffer_size),
            ("trace_buffer_size_bytes", self.trace_buffer_size_bytes, "max_capture_bytes", self.max_capture_bytes),
        ];
        for (key, value, bound_key, bound) in at_most {
            if value > bound && !is_known([key, bound_key]) {
                problems.push(Problem::new(key, value.to_string(), format!("at most {bound_key} ({bound})")));
            }
        }
        let pair = [("client_cert_file", &self.client_cert_file), ("client_key_file", &self.client_key_file)];
        if let [(written, Some(path)), (missing, None)] | [(missing, None), (written, Some(path))] = pair {
            problems.push(Problem::new(written, path.display().to_string(), format!("{missing} beside it")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(settings: &Settings) -> Vec<String> {
        let mut problems = Vec::new();
        Limits::check(settings, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_client_certificate_and_its_key_need_each_other() {
        let certificate = Settings { client_cert_file: Some("c.pem".into()), ..Settings::default() };
        assert_eq!(problems_of(&certificate), ["client_cert_file = c.pem: expected client_key_file beside it"]);
        let key = Settings { client_key_file: Some("k.pem".into()), ..Settings::default() };
        assert_eq!(problems_of(&key), ["client_key_file = k.pem: expected client_cert_file beside it"]);
        let both = Settings { client_key_file: Some("k.pem".into()), ..certificate };
        assert!(problems_of(&both).is_empty());
    }

    #[test]
    fn a_part_cannot_be_larger_than_its_whole() {
        let settings = Settings {
            max_batch_size: Some(501),
            max_error_buffer_size: Some(49),
            trace_buffer_size_bytes: Some((64 << 20) + 1),
            ..Settings::default()
        };
        assert_eq!(
            problems_of(&settings),
            [
                "max_batch_size = 501: expected at most max_buffer_size (500)",
                "max_error_batch_size = 50: expected at most max_error_buffer_size (49)",
                "trace_buffer_size_bytes = 67108865: expected at most max_capture_bytes (67108864)",
            ]
        );
    }

    #[test]
    fn a_value_that_is_wrong_by_itself_is_named_once() {
        let settings = Settings { max_buffer_size: Some(0), max_batch_size: Some(600), ..Settings::default() };
        assert_eq!(problems_of(&settings), ["max_buffer_size = 0: expected 1 to 1000000"]);
    }
}
