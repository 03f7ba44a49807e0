//! The types of each kind in public signatures. `Kind`'s own types are the same, but a reader of the documentation
//! should see `Duration`, not a projection of a private trait.

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

pub(crate) use {given, lent, written};
