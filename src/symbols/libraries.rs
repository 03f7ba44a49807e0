//! Which crates of a program are libraries: the names of units say where the root of their crate lies.

use std::collections::HashSet;

use addr2line::gimli::{Dwarf, Reader as _};

use super::name;
use super::reader::Reader;

/// Between the path of a crate's root and the crate: `/home/u/.cargo/registry/../src/lib.rs/@/tokio.23980a-cgu.6`.
const MARK: &str = "/@/";
/// What a crate takes beside its name.
const ENTRY: usize = 48;
/// Beyond any program's.
const MOST: usize = 4_096;

/// The crates of a program that lie where libraries do.
#[derive(Debug, Default)]
pub(super) struct Libraries(HashSet<Box<str>>);

impl Libraries {
    /// Of all units of `dwarf`.
    pub(super) fn of(dwarf: &Dwarf<Reader>) -> Self {
        let mut all = HashSet::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(name) = dwarf.unit(header).ok().and_then(|unit| unit.name) else { continue };
            let name = name.to_string_lossy().unwrap_or_default();
            if let Some(library) = library_of(&name).filter(|_| all.len() < MOST) {
                all.insert(library.into());
            }
        }
        Self(all)
    }

    /// Whether the crate of `path` is one of them.
    pub(super) fn have(&self, path: &str) -> bool {
        self.0.contains(path.split("::").next().unwrap_or(path))
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|name| name.len() + ENTRY).sum()
    }
}

/// The crate of the unit `name`, if it is a library.
fn library_of(name: &str) -> Option<&str> {
    let (root, unit) = name.rsplit_once(MARK)?;
    let (library, _) = unit.split_once('.')?;
    name::is_library(root).then_some(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_a_library_where_its_root_lies() {
        let registry = "/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-util-0.7.18/src/lib.rs";
        assert_eq!(library_of(&format!("{registry}/@/tokio_util.23980a4909bb198d-cgu.6")), Some("tokio_util"));
        assert_eq!(library_of("src/main.rs/@/shop.23980a4909bb198d-cgu.0"), None);
        assert_eq!(library_of("tests/waits.rs/@/00wqxuo30099kaytf1dlzqiz1"), None);
        assert_eq!(library_of("./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S"), None);
        let libraries = Libraries(["tokio_util".into()].into());
        assert!(libraries.have("tokio_util::task::TrackedFuture") && !libraries.have("tokio_utils::x"));
    }
}
