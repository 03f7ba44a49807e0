//! How each kind looks in public signatures and in their documentation. `Kind`'s own types are the same, but a reader
//! of the documentation should see `Duration`, not a projection of a private trait.

/// What [`Settings`](super::Settings) holds for a kind.
macro_rules! written {
    (Switch) => { bool };
    (Share) => { f64 };
    (Count) => { u64 };
    (Hertz) => { u64 };
    (Memory) => { u64 };
    (AutoMemory) => { u64 };
    (Disk) => { u64 };
    (Millis) => { u64 };
    (Seconds) => { u64 };
    (Text) => { String };
    (HostName) => { String };
    (Address) => { String };
    (CpuSignals) => { String };
    (NativeModes) => { String };
    (Compressions) => { String };
    (ApiKey) => { Secret };
    (Folder) => { PathBuf };
    (OptionalPath) => { PathBuf };
    (Names) => { Vec<String> };
}

/// What a setter takes for a kind.
macro_rules! given {
    (Count) => { usize };
    (Memory) => { usize };
    (Hertz) => { u32 };
    (Millis) => { Duration };
    (Seconds) => { Duration };
    (CpuSignals) => { CpuSignal };
    (NativeModes) => { NativeCapture };
    (Compressions) => { Compression };
    (Text) => { impl Into<String> };
    (HostName) => { impl Into<String> };
    (Address) => { impl Into<String> };
    (ApiKey) => { impl Into<Secret> };
    (Folder) => { impl Into<PathBuf> };
    (OptionalPath) => { impl Into<PathBuf> };
    (Names) => { impl IntoIterator<Item = impl Into<String>> };
    ($number:ident) => { $crate::model::config::types::written!($number) };
}

/// What a getter gives for a kind.
macro_rules! lent {
    (AutoMemory) => { Option<u64> };
    (Text) => { &str };
    (HostName) => { Option<&str> };
    (Address) => { &ServerAddress };
    (ApiKey) => { Option<&Secret> };
    (Folder) => { &Path };
    (OptionalPath) => { Option<&Path> };
    (Names) => { &[String] };
    ($plain:ident) => { $crate::model::config::types::given!($plain) };
}

/// What the table says about a key, as a paragraph for rustdoc.
macro_rules! key_doc {
    ($key:ident $kind:ident $spec:tt $change:ident) => {
        concat!(
            "\n\nKey `",
            stringify!($key),
            "`",
            $crate::model::config::types::unit_doc!($kind),
            ": ",
            $crate::model::config::types::spec_doc!($spec),
            $crate::model::config::types::change_doc!($change),
        )
    };
}

macro_rules! unit_doc {
    (Share) => {
        " (a share)"
    };
    (Memory) => {
        " (bytes)"
    };
    (AutoMemory) => {
        " (bytes)"
    };
    (Disk) => {
        " (bytes)"
    };
    (Hertz) => {
        " (Hz)"
    };
    (Millis) => {
        " (milliseconds)"
    };
    (Seconds) => {
        " (seconds)"
    };
    (Text) => {
        " (1 to 200 characters on one line)"
    };
    (ApiKey) => {
        " (1 to 4096 visible ASCII characters)"
    };
    (Names) => {
        " (a list of names that are not empty)"
    };
    ($other:ident) => {
        ""
    };
}

macro_rules! spec_doc {
    ({ default: $default:expr, min: $min:expr, max: $max:expr }) => {
        concat!("`", stringify!($min), "` to `", stringify!($max), "`, default `", stringify!($default), "`.")
    };
    ({ min: $min:expr, max: $max:expr }) => {
        concat!("`", stringify!($min), "` to `", stringify!($max), "`, by default not set.")
    };
    ({ default: $default:expr }) => {
        concat!("default `", stringify!($default), "`.")
    };
    ({}) => {
        "by default not set."
    };
}

macro_rules! change_doc {
    (live) => {
        " A reload applies it."
    };
    (restart) => {
        " Changing it takes a restart."
    };
}

pub(crate) use {change_doc, given, key_doc, lent, spec_doc, unit_doc, written};
