//! From registers and a stack to the addresses on it, with `.eh_frame` tables only.
//!
//! In place (await and wake sites) it runs in host threads: no allocation but a thread's first and 256th time, no lock that
//! it waits for, and it reads nothing outside of the thread's own stack. Copied stacks are unwound by the agent.

#![allow(unsafe_code)]

mod caches;

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, MayAllocateDuringUnwind, Module, MustNotAllocateDuringUnwind,
    UnwindRegsNative, Unwinder, UnwinderNative,
};

use self::caches::Caches;
use super::loaded::LoadedModules;
use super::modules::{self, LoadStamp, Table, UnwindTables};
use super::registers::Registers;
use super::thread_stack;
use crate::model::native::ModuleMap;
use crate::model::stack::{Place, StackWord};

/// Bytes of a return address and of a saved register.
const WORD: usize = 8;

/// The modules that unwinding knows, as of one scan.
pub(crate) struct Modules {
    pub(crate) map: ModuleMap,
    stamp: LoadStamp,
    loaded: LoadedModules,
    /// Where almost every address is.
    executable: Range<u64>,
    in_place: UnwinderNative<Table, MustNotAllocateDuringUnwind>,
    offline: UnwinderNative<Table, MayAllocateDuringUnwind>,
}

static MODULES: RwLock<Option<Arc<Modules>>> = RwLock::new(None);
/// Counts the changes of [`MODULES`], so that threads see with one load that theirs are old.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// An address in no known module was met: something may have been loaded.
static MET_UNKNOWN: AtomicBool = AtomicBool::new(false);

/// Reads the process's modules if they have changed. For the agent's threads: it takes the loader's lock.
pub(crate) fn refresh_modules() -> Arc<Modules> {
    MET_UNKNOWN.store(false, Ordering::Relaxed);
    if let Some(known) = modules().filter(|known| known.stamp == modules::stamp()) {
        return known;
    }
    let scanned = Arc::new(Modules::scan());
    if modules::stamp() != scanned.stamp {
        // What is loaded now may not be what was scanned.
        MET_UNKNOWN.store(true, Ordering::Relaxed);
    }
    let replaced = MODULES.write().unwrap_or_else(PoisonError::into_inner).replace(scanned.clone());
    // After the lock is open again: a host thread that finds it held captures nothing.
    drop(replaced);
    // Release: whoever sees the count finds the modules.
    GENERATION.fetch_add(1, Ordering::Release);
    scanned
}

/// The modules as last read.
pub(crate) fn modules() -> Option<Arc<Modules>> {
    MODULES.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether an address was met that no known module has, since the last refresh.
pub(crate) fn has_met_unknown() -> bool {
    MET_UNKNOWN.load(Ordering::Relaxed)
}

/// Whether a module that is known has gone or given way to another; takes no lock of the loader's.
pub(crate) fn have_modules_changed() -> bool {
    modules().is_some_and(|modules| modules.loaded.have_changed())
}

impl Modules {
    fn scan() -> Self {
        let (stamp, map, tables) = modules::scan();
        let executable = tables.iter().find(|tables| matches!(tables.frames, Table::Mapped(_)));
        let mut modules = Self {
            executable: executable.map_or(0..0, |tables| tables.module.range.clone()),
            loaded: LoadedModules::of(&map),
            map,
            stamp,
            in_place: UnwinderNative::new(),
            offline: UnwinderNative::new(),
        };
        for tables in &tables {
            modules.in_place.add_module(module_of(tables));
            modules.offline.add_module(module_of(tables));
        }
        modules
    }

    #[inline]
    fn knows(&self, address: u64) -> bool {
        self.executable.contains(&address) || self.map.find(address).is_some()
    }
}

fn module_of(tables: &UnwindTables) -> Module<Table> {
    let bias = tables.module.bias;
    let in_file = |range: &Range<u64>| Some(range.start.wrapping_sub(bias)..range.end.wrapping_sub(bias));
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        eh_frame_svma: in_file(&tables.frames_at),
        eh_frame: Some(tables.frames.clone()),
        eh_frame_hdr_svma: in_file(&tables.header_at),
        eh_frame_hdr: Some(tables.header.clone()),
        ..ExplicitModuleSectionInfo::default()
    };
    Module::new(tables.module.path.to_string_lossy().into_owned(), tables.module.range.clone(), bias, sections)
}

/// What a host thread keeps for unwinding.
struct Local {
    modules: Arc<Modules>,
    generation: u64,
    caches: Caches<CacheNative<MustNotAllocateDuringUnwind>>,
    stack: Range<usize>,
}

thread_local! {
    // Taken out while it is used: whatever comes back here meanwhile (an allocator, say) finds nothing and records none.
    static LOCAL: Cell<Option<Box<Local>>> = const { Cell::new(None) };
}

impl Local {
    fn new() -> Option<Box<Self>> {
        let generation = GENERATION.load(Ordering::Acquire);
        let modules = MODULES.try_read().ok()?.clone()?;
        let caches = Caches::new(CacheNative::new_in);
        Some(Box::new(Self { modules, generation, caches, stack: thread_stack::bounds()? }))
    }

    fn renew(&mut self) {
        let generation = GENERATION.load(Ordering::Acquire);
        if generation == self.generation {
            return;
        }
        // Held by a writer for a moment: the old ones will do once more.
        if let Ok(modules) = MODULES.try_read()
            && let Some(modules) = &*modules
        {
            (self.modules, self.generation) = (modules.clone(), generation);
        }
    }
}

/// Where a walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// At the frame that ends at this address or beyond: the poll's base.
    Base(usize),
    /// Where the thread's stack ends.
    ThreadEnd,
}

/// Writes the callers of the function that `registers` are of, innermost first; returns how many. Stops at the cut, at
/// code in no known module, and when `out` is full. Zero when this thread is on another stack than its own.
pub(crate) fn callers_in_place(registers: Registers, cut: Cut, out: &mut [StackWord]) -> usize {
    LOCAL
        .try_with(|slot| {
            let mut local = match slot.take() {
                Some(local) => local,
                None => Local::new()?,
            };
            local.renew();
            let count = walk_own_stack(&mut local, registers, cut, out);
            slot.set(Some(local));
            Some(count)
        })
        .ok()
        .flatten()
        .unwrap_or(0)
}

fn walk_own_stack(local: &mut Local, registers: Registers, cut: Cut, out: &mut [StackWord]) -> usize {
    let Local { modules, caches, stack, .. } = local;
    let end = match cut {
        Cut::Base(base) => base,
        Cut::ThreadEnd => stack.end,
    };
    let Ok(pointer) = usize::try_from(registers.sp) else { return 0 };
    // On a switched stack nothing is known about the memory between the two.
    if pointer < stack.start || end > stack.end || pointer >= end {
        return 0;
    }
    let mut read = |address: u64| {
        let address = usize::try_from(address).map_err(drop)?;
        let is_inside = pointer <= address && address <= end - WORD && address % WORD == 0;
        // SAFETY: the 8 bytes lie between the stack pointer of this running function and `end`, which is not above the
        // end of this thread's stack; all of that is mapped, and no other thread writes to it. They are read as an
        // integer, whatever they hold.
        is_inside.then(|| unsafe { std::ptr::with_exposed_provenance::<u64>(address).read_volatile() }).ok_or(())
    };
    walk(&modules.in_place, caches, modules, registers, end, None, out, &mut read)
}

/// A stack that a signal handler has copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopiedStack<'a> {
    pub(crate) registers: Registers,
    /// Where the walk ends, in the thread's own addresses.
    pub(crate) base: usize,
    /// The address of the first byte.
    pub(crate) start: usize,
    pub(crate) bytes: &'a [u8],
}

/// The agent's unwinder for copied stacks.
pub(crate) struct OfflineUnwinder(Caches<CacheNative<MayAllocateDuringUnwind>>);

impl Default for OfflineUnwinder {
    fn default() -> Self {
        Self(Caches::new(CacheNative::new_in))
    }
}

impl OfflineUnwinder {
    /// Writes the frames of `stack`, innermost first: the interrupted function itself, then its callers.
    pub(crate) fn frames(&mut self, modules: &Modules, stack: CopiedStack<'_>, out: &mut [StackWord]) -> usize {
        if !modules.knows(stack.registers.ip) {
            MET_UNKNOWN.store(true, Ordering::Relaxed);
        }
        let mut read = |address: u64| {
            let offset = usize::try_from(address).map_err(drop)?.checked_sub(stack.start).ok_or(())?;
            let bytes = stack.bytes.get(offset..offset.checked_add(WORD).ok_or(())?).ok_or(())?;
            bytes.try_into().map(u64::from_le_bytes).map_err(drop)
        };
        let first = Some(stack.registers.ip);
        walk(&modules.offline, &mut self.0, modules, stack.registers, stack.base, first, out, &mut read)
    }
}

/// `first`: the address to begin the frames with, where that is not a caller's.
#[expect(clippy::too_many_arguments, reason = "two callers that share nothing else")]
fn walk<U: Unwinder<UnwindRegs = UnwindRegsNative>>(
    unwinder: &U,
    caches: &mut Caches<U::Cache>,
    modules: &Modules,
    registers: Registers,
    end: usize,
    first: Option<u64>,
    out: &mut [StackWord],
    read: &mut impl FnMut(u64) -> Result<u64, ()>,
) -> usize {
    let mut unwound = unwind_registers(registers);
    let mut at = FrameAddress::from_instruction_pointer(registers.ip);
    // Its place becomes known with the next step.
    let mut open = first;
    let mut count = 0;
    caches.begin();
    while count < out.len() {
        let step = unwinder.unwind_frame(at, &mut unwound, caches.part(at.address_for_lookup()), read);
        let frame_end = usize::try_from(unwound.sp()).unwrap_or(usize::MAX);
        if let (Some(address), Some(slot)) = (open.take(), out.get_mut(count)) {
            *slot = StackWord::native(address, Place::of_end(end, frame_end));
            count += 1;
        }
        // At the cut: the return address is the poll's own.
        if frame_end >= end {
            break;
        }
        let Ok(Some(returns_to)) = step else { break };
        if !modules.knows(returns_to) {
            MET_UNKNOWN.store(true, Ordering::Relaxed);
            break;
        }
        let Some(address) = FrameAddress::from_return_address(returns_to) else { break };
        open = Some(address.address_for_lookup());
        at = address;
    }
    count
}

#[cfg(target_arch = "x86_64")]
fn unwind_registers(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.ip, registers.sp, registers.fp)
}

/// Return addresses carry a signature above the 47 bits of an address where the code was built so.
#[cfg(target_arch = "aarch64")]
fn unwind_registers(registers: Registers) -> UnwindRegsNative {
    let mask = framehop::aarch64::PtrAuthMask(u64::MAX >> 16);
    UnwindRegsNative::new_with_ptr_auth_mask(mask, registers.lr, registers.sp, registers.fp)
}

#[cfg(test)]
mod tests;
