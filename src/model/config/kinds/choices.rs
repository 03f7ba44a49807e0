//! Switches, and values that are one of a few names.

use super::Kind;

/// On or off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch {
    pub(crate) default: bool,
}

impl Kind for Switch {
    type Written = bool;
    type Given = bool;
    type Checked = bool;

    fn default(&self) -> bool {
        self.default
    }
    fn write(&self, given: bool) -> bool {
        given
    }
    fn read(&self, text: &str) -> Option<bool> {
        let is_one_of = |names: [&str; 4]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
        match () {
            () if is_one_of(["true", "1", "yes", "on"]) => Some(true),
            () if is_one_of(["false", "0", "no", "off"]) => Some(false),
            () => None,
        }
    }
    fn check(&self, written: &bool) -> Option<bool> {
        Some(*written)
    }
    fn expected(&self) -> String {
        "true or false".to_owned()
    }
    fn show(&self, written: &bool) -> String {
        written.to_string()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let edges = vec![(true.into(), true), (false.into(), true)];
        super::Description { kind: "switch", default: Some(self.default.into()), edges }
    }
}

/// An enum whose variants have the names that a file uses.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// All variants.
    const ALL: &'static [Self];

    /// The name in a file.
    fn name(self) -> &'static str;
}

/// A value that is one of the names of `C`, whatever their case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneOf<C> {
    pub(crate) default: C,
}

pub(crate) type CpuSignals = OneOf<CpuSignal>;
pub(crate) type NativeModes = OneOf<NativeCapture>;
pub(crate) type Compressions = OneOf<Compression>;

impl<C: Choice> Kind for OneOf<C> {
    type Written = String;
    type Given = C;
    type Checked = C;

    fn default(&self) -> C {
        self.default
    }
    fn write(&self, given: C) -> String {
        given.name().to_owned()
    }
    fn read(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }
    fn check(&self, written: &String) -> Option<C> {
        C::ALL.iter().copied().find(|choice| choice.name().eq_ignore_ascii_case(written))
    }
    fn is_blank(&self, written: &String) -> bool {
        written.is_empty()
    }
    fn expected(&self) -> String {
        let names: Vec<&str> = C::ALL.iter().map(|choice| choice.name()).collect();
        format!("one of {}", names.join(", "))
    }
    fn show(&self, written: &String) -> String {
        self.show_text(written)
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let mut edges: Vec<_> = C::ALL.iter().map(|choice| (choice.name().into(), true)).collect();
        edges.push(("something else".into(), false));
        super::Description { kind: "name", default: Some(self.default.name().into()), edges }
    }
}

macro_rules! choices {
    ($($(#[doc = $doc:literal])+ $choice:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $name:literal,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $choice {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $choice {
            /// The name that files and the environment use.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl Choice for $choice {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

choices! {
    /// The signal that takes CPU samples.
    CpuSignal {
        /// Ignored where nothing handles it, and hardly used by anyone but Go's runtime.
        Urg = "SIGURG",
        /// What other profilers use; choose it when none of them runs in the process.
        Prof = "SIGPROF",
        /// For hosts that use both of the above.
        Usr1 = "SIGUSR1",
        /// For hosts that use all of the above.
        Usr2 = "SIGUSR2",
    }
    /// Whether native stacks (await sites, wakes, CPU samples) are captured.
    NativeCapture {
        /// Where the platform supports it.
        Auto = "auto",
        /// As `Auto`, and the log says so when the platform does not support it.
        On = "on",
        /// Never: polls, frames by hand and spans only.
        Off = "off",
    }
    /// How requests to the server are compressed.
    Compression {
        /// Not at all.
        None = "none",
        /// With gzip.
        Gzip = "gzip",
        /// With zstd.
        Zstd = "zstd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_any_case() {
        let signals = CpuSignals { default: CpuSignal::Urg };
        assert_eq!(signals.check(&"sigprof".to_owned()), Some(CpuSignal::Prof));
        assert_eq!(signals.check(&"SIGKILL".to_owned()), None);
        assert_eq!(signals.expected(), "one of SIGURG, SIGPROF, SIGUSR1, SIGUSR2");
    }
}
