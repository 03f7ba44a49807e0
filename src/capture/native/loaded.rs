//! Whether the modules that were read are still where they were, without the loader's lock: a library may be unloaded, and
//! another one loaded into the same place, whose code then seems known.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulonglong, c_void};
use std::sync::OnceLock;

use crate::model::native::ModuleMap;

/// glibc's `struct dl_find_object` (since 2.35), on processors that need no more than this.
#[repr(C)]
#[derive(Debug)]
struct Object {
    flags: c_ulonglong,
    start: *mut c_void,
    end: *mut c_void,
    link_map: *mut c_void,
    eh_frame: *mut c_void,
    reserved: [c_ulonglong; 7],
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut Object) -> c_int;

/// Where the loader has an object, and its entry for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loaded {
    start: usize,
    end: usize,
    link_map: usize,
    eh_frame: usize,
}

/// What was loaded at one point in time.
#[derive(Debug, Default)]
pub(super) struct LoadedModules(Vec<(u64, Option<Loaded>)>);

impl LoadedModules {
    /// Of the modules in `map`, which have just been read.
    pub(super) fn of(map: &ModuleMap) -> Self {
        let modules = map.modules().iter().filter(|module| !module.is_program);
        Self(modules.map(|module| (module.range.start, loaded_at(module.range.start))).collect())
    }

    /// Whether one of them has gone or given way to another. False where the C library cannot be asked without its lock.
    pub(super) fn have_changed(&self) -> bool {
        self.0.iter().any(|(address, loaded)| loaded_at(*address) != *loaded)
    }
}

fn loaded_at(address: u64) -> Option<Loaded> {
    let find = (*find_object())?;
    let mut object = std::mem::MaybeUninit::<Object>::zeroed();
    let address = std::ptr::without_provenance_mut(usize::try_from(address).ok()?);
    // SAFETY: glibc's function takes any address, and is safe in a signal handler and beside `dlopen` and `dlclose`; it
    // writes one object of the type above.
    let found = unsafe { find(address, object.as_mut_ptr()) };
    // SAFETY: all zeroes is a value of this type, and so is what the function writes.
    let object = unsafe { object.assume_init() };
    let Object { start, end, link_map, eh_frame, .. } = object;
    // Compared and never followed: it may be gone by now.
    let [start, end, link_map, eh_frame] = [start, end, link_map, eh_frame].map(|pointer| pointer.addr());
    (found == 0).then_some(Loaded { start, end, link_map, eh_frame })
}

/// `None` with another C library, or an older one.
fn find_object() -> &'static Option<FindObject> {
    static FOUND: OnceLock<Option<FindObject>> = OnceLock::new();
    FOUND.get_or_init(|| {
        // SAFETY: a string that ends; looking a name up has no other effect.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
        // SAFETY: a function of glibc by this name has this type.
        (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, FindObject>(address) })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::native::ModuleInfo;

    #[test]
    fn what_is_loaded_stays_and_what_is_not_there_is_seen_to_have_changed() {
        let (_, map, _) = super::super::modules::scan();
        let mut loaded = LoadedModules::of(&map);
        assert!(!loaded.have_changed());
        if find_object().is_none() {
            return;
        }
        let libc = map.modules().iter().find(|module| module.path.to_string_lossy().contains("libc.so")).unwrap();
        assert!(loaded_at(libc.range.start).is_some());
        assert_eq!(loaded_at(16), None);
        // As if another library had been there before.
        loaded.0.push((libc.range.start, None));
        assert!(loaded.have_changed());
        let nowhere = ModuleInfo { range: 16..32, ..ModuleInfo::clone(libc) };
        assert!(!LoadedModules::of(&ModuleMap::new(vec![Arc::new(nowhere)])).have_changed());
    }
}
