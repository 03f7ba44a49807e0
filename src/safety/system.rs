//! Reading the files in which Linux tells about this process.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a number could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SystemUnknown {
    /// The platform has no `/proc`.
    #[error("the use of memory and CPU can be read on Linux only")]
    NotLinux,
    /// A file is missing or may not be read.
    #[error("cannot read {path}: is it mounted and readable?")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file was read but does not hold the number.
    #[error("{path} has no field {field}")]
    NoField { path: PathBuf, field: &'static str },
}

/// Where to read: a directory that holds `proc/` and `sys/`. In production `/`.
#[derive(Debug, Clone)]
pub(crate) struct SystemRoot(PathBuf);

impl SystemRoot {
    /// The running system.
    ///
    /// # Errors
    /// [`SystemUnknown::NotLinux`] anywhere but on Linux.
    pub(crate) fn host() -> Result<Self, SystemUnknown> {
        if cfg!(target_os = "linux") { Ok(Self(PathBuf::from("/"))) } else { Err(SystemUnknown::NotLinux) }
    }

    /// A tree that looks like a system's root.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Where `absolute` is in this tree.
    pub(super) fn join(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }
}

/// Reads a file of `/proc` or `/sys`, whose length is not known before: at most 4 MiB of it, which is a mount table of
/// 20,000 lines. Paths in it need not be UTF-8.
pub(super) fn read_file(path: &Path) -> Result<String, SystemUnknown> {
    const LONGEST: u64 = 4 * 1024 * 1024;
    let unreadable = |source| SystemUnknown::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(unreadable)?.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
