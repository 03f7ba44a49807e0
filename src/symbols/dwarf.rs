//! Functions, inlined ones too, by debug information.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use addr2line::gimli::{self, Dwarf, DwarfFileType, DwarfPackage, Reader as _, Section as _, UnitRef};
use addr2line::{Context, Frame, LookupContinuation as _, LookupResult, SplitDwarfLoad};

use super::diagnose::Split;
use super::elf::{ElfFile, UnpackBudget};
use super::libraries::Libraries;
use super::pages::PageCache;
use super::reader::Reader;
use super::{entry, task};

/// What addr2line keeps of a unit that it has looked into, for each byte of its entries and of its line program. These four
/// are held against an allocator that counts by `tests/symbol_memory.rs`.
const KEPT_FOR_ENTRIES: usize = 1;
const KEPT_FOR_LINES: usize = 6;
/// What it keeps of each byte of `.debug_abbrev`, for as long as the context lives.
const KEPT_FOR_ABBREVIATIONS: usize = 16;
/// What it keeps of each unit that it has not looked into yet, beside its list of files and its ranges.
const KEPT_FOR_UNIT: usize = 2_048;
/// A range of addresses, and which unit has it.
const KEPT_FOR_RANGE: usize = 32;

/// A function as the debug information has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFrame {
    /// As the linker knows it where that is said, else the bare name.
    pub(super) name: Option<String>,
    /// Of tokio's function that ends a task: whose task that was.
    pub(super) task: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: u32,
}

/// The debug information of one module.
pub(super) struct DebugInfo {
    context: Context<Reader>,
    package: Option<DwarfPackage<Reader>>,
    pages: Rc<PageCache>,
    budget: RefCell<UnpackBudget>,
    kept: Cell<usize>,
    charged: RefCell<Vec<usize>>,
    split_off: Cell<Split>,
    libraries: OnceCell<Libraries>,
    /// Units that would take more than there is room for, by the addresses of their code.
    too_long: Vec<std::ops::Range<u64>>,
}

impl DebugInfo {
    /// Of `file`, which the program at `path` was stripped into or is itself. `None` where it has none, or where that
    /// would take more than `most_bytes`.
    pub(super) fn load(file: &ElfFile, path: &Path, pages: &Rc<PageCache>, most_bytes: usize) -> Option<Self> {
        if !Self::is_in(file) {
            return None;
        }
        let mut budget = UnpackBudget::of(most_bytes);
        let mut dwarf = load(file, false, &mut budget);
        let mut kept = most_bytes - budget.left;
        kept += dwarf.debug_abbrev.reader().len() * KEPT_FOR_ABBREVIATIONS;
        let left = most_bytes.checked_sub(kept)?;
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let survey = Survey::of(&dwarf, most_bytes, left)?;
        kept += survey.kept;
        let package = package(path, pages, &mut budget);
        let context = Context::from_dwarf(dwarf).ok()?;
        Some(Self {
            context,
            package,
            pages: pages.clone(),
            budget: RefCell::new(budget),
            kept: Cell::new(kept),
            charged: RefCell::default(),
            split_off: Cell::default(),
            libraries: OnceCell::new(),
            too_long: survey.too_long,
        })
    }

    /// Whether `file` has any.
    pub(super) fn is_in(file: &ElfFile) -> bool {
        file.has(".debug_info") || file.has(".zdebug_info")
    }

    /// What is kept in memory, the pages of files aside.
    pub(super) fn bytes(&self) -> usize {
        self.kept.get()
    }

    /// Whether any of its units are not looked into for want of room, or a section.
    pub(super) fn is_cut(&self) -> bool {
        !self.too_long.is_empty() || self.budget.borrow().is_exceeded
    }

    /// Whether the unit of `address` is not looked into, for want of room.
    fn is_cut_at(&self, address: u64) -> bool {
        self.too_long.iter().any(|range| range.contains(&address))
    }

    /// Whether more could be known of `address`, had there been more room.
    pub(super) fn is_short_of_room_at(&self, address: u64) -> bool {
        self.budget.borrow().is_exceeded || self.is_cut_at(address)
    }

    /// Where the information of the units that were looked into was, of those that are not in the file itself.
    pub(super) fn split_off(&self) -> Split {
        self.split_off.get()
    }

    /// The functions at `address` of the file, innermost first; empty where nothing is known.
    pub(super) fn frames(&self, address: u64) -> Vec<RawFrame> {
        if self.is_cut_at(address) {
            return Vec::new();
        }
        let mut lookup = self.context.find_frames(address);
        let frames = loop {
            match lookup {
                LookupResult::Output(frames) => break frames,
                LookupResult::Load { load, continuation } => lookup = continuation.resume(self.split(&load)),
            }
        };
        self.charge(address);
        let mut raw = Vec::new();
        if let Ok(mut frames) = frames {
            // An error ends the list: what came before it holds.
            while let Ok(Some(frame)) = frames.next() {
                let mut named = raw_frame(&frame);
                if named.name.as_deref().is_some_and(task::ends_a_task) {
                    named.task = frame.dw_die_offset.and_then(|entry| self.task(address, entry));
                }
                raw.push(named);
            }
        }
        raw
    }

    /// Counts what the unit of `address` has come to keep.
    fn charge(&self, address: u64) {
        let Some(unit) = self.unit(address) else { return };
        let identity = std::ptr::from_ref(unit.unit) as usize;
        let mut charged = self.charged.borrow_mut();
        if let Err(at) = charged.binary_search(&identity) {
            charged.insert(at, identity);
            self.kept.set(self.kept.get() + kept_for(unit.unit));
        }
    }

    /// Whose task it is that the function of `entry` ends, in the unit of `address`.
    fn task(&self, address: u64, entry: gimli::UnitOffset) -> Option<String> {
        // One that was split off does not know of the other crates.
        let unit = self.unit(address).filter(|unit| unit.dwarf.file_type == DwarfFileType::Main)?;
        let name = entry::own_name(unit, entry)?;
        task::of_function(&name, |path| self.libraries(unit.dwarf).have(path))
    }

    /// Read for the first task that ends.
    fn libraries(&self, dwarf: &Dwarf<Reader>) -> &Libraries {
        self.libraries.get_or_init(|| {
            let libraries = Libraries::of(dwarf);
            self.kept.set(self.kept.get() + libraries.bytes());
            libraries
        })
    }

    /// The unit of `address`, which has been looked into.
    fn unit(&self, address: u64) -> Option<UnitRef<'_, Reader>> {
        match self.context.find_dwarf_and_unit(address) {
            LookupResult::Output(unit) => unit,
            LookupResult::Load { .. } => None,
        }
    }

    fn split(&self, load: &SplitDwarfLoad<Reader>) -> Option<Arc<Dwarf<Reader>>> {
        let (packaged, loose) = match self.packaged(load) {
            None => (None, self.loose(load)),
            found => (found, None),
        };
        let before = self.split_off.get();
        self.split_off.set(Split {
            in_package: before.in_package || packaged.is_some(),
            in_objects: before.in_objects || loose.is_some(),
            is_missing: before.is_missing || (packaged.is_none() && loose.is_none()),
        });
        let found = packaged.or(loose)?;
        self.keep_split(&found);
        #[expect(clippy::arc_with_non_send_sync, reason = "what addr2line takes; it stays on one thread")]
        Some(Arc::new(found))
    }

    fn packaged(&self, load: &SplitDwarfLoad<Reader>) -> Option<Dwarf<Reader>> {
        self.package.as_ref()?.find_cu(load.dwo_id, &load.parent).ok()?
    }

    fn loose(&self, load: &SplitDwarfLoad<Reader>) -> Option<Dwarf<Reader>> {
        let file = ElfFile::open(&split_path(load)?, &self.pages)?;
        let mut dwarf = self::load(&file, true, &mut self.budget.borrow_mut());
        let header = dwarf.units().next().ok()??;
        let is_ours = dwarf.unit(header).ok()?.dwo_id == Some(load.dwo_id);
        dwarf.make_dwo(&load.parent);
        is_ours.then_some(dwarf)
    }

    fn keep_split(&self, dwarf: &Dwarf<Reader>) {
        let abbreviations = dwarf.debug_abbrev.reader().len() * KEPT_FOR_ABBREVIATIONS;
        let unpacked = dwarf.debug_info.reader().held_bytes() + dwarf.debug_str.reader().held_bytes();
        self.kept.set(self.kept.get() + KEPT_FOR_UNIT + abbreviations + unpacked);
    }
}

fn kept_for(unit: &gimli::Unit<Reader>) -> usize {
    unit.header.length_including_self() * KEPT_FOR_ENTRIES + kept_for_lines(unit)
}

fn kept_for_lines(unit: &gimli::Unit<Reader>) -> usize {
    unit.line_program.as_ref().map_or(0, |program| program.header().raw_program_buf().len() * KEPT_FOR_LINES)
}

/// What there is to know before addr2line reads the list of units.
#[derive(Default)]
struct Survey {
    /// What it will keep of them.
    kept: usize,
    /// See [`DebugInfo`].
    too_long: Vec<std::ops::Range<u64>>,
}

impl Survey {
    /// `None` when more than `left` bytes would be kept. A unit that alone would take half of `most_bytes` is too long.
    fn of(dwarf: &Dwarf<Reader>, most_bytes: usize, left: usize) -> Option<Self> {
        let mut survey = Self::default();
        let mut headers = dwarf.units();
        while let Some(header) = headers.next().ok()? {
            if matches!(header.type_(), gimli::UnitType::Type { .. } | gimli::UnitType::SplitType { .. }) {
                continue;
            }
            // What cannot be read is left out there as well.
            if let Ok(unit) = dwarf.unit(header) {
                survey.add(dwarf, &unit, kept_for(&unit) > most_bytes / 2)?;
            }
            if survey.kept > left {
                return None;
            }
        }
        Some(survey)
    }

    fn add(&mut self, dwarf: &Dwarf<Reader>, unit: &gimli::Unit<Reader>, is_too_long: bool) -> Option<()> {
        let files = unit.line_program.as_ref().map_or(0, |program| program.header().file_names().len());
        self.kept += KEPT_FOR_UNIT + files.next_power_of_two() * size_of::<gimli::FileEntry<Reader>>();
        if unit.header.type_() == gimli::UnitType::Partial {
            return Some(());
        }
        let mut has_ranges = false;
        // The linker gives code that it leaves out the highest addresses, and gimli would add its length to them.
        if unit.low_pc < u64::MAX / 2 {
            let mut ranges = dwarf.unit_ranges(unit).ok()?;
            while let Some(range) = ranges.next().ok()? {
                has_ranges |= range.begin < range.end;
                self.kept += KEPT_FOR_RANGE;
                if is_too_long {
                    self.too_long.push(range.begin..range.end);
                }
            }
        }
        if !has_ranges {
            // Then those of its lines are read at once.
            self.kept += kept_for_lines(unit);
        }
        Some(())
    }
}

fn load(file: &ElfFile, is_split: bool, budget: &mut UnpackBudget) -> Dwarf<Reader> {
    let sections = Dwarf::load(|id| Ok::<_, std::convert::Infallible>(file.reader(id, is_split, budget)));
    let Ok(mut dwarf) = sections;
    dwarf.file_type = if is_split { DwarfFileType::Dwo } else { DwarfFileType::Main };
    dwarf
}

/// `<program>.dwp` beside the program.
fn package(path: &Path, pages: &Rc<PageCache>, budget: &mut UnpackBudget) -> Option<DwarfPackage<Reader>> {
    let mut name = OsString::from(path);
    name.push(".dwp");
    let file = ElfFile::open(Path::new(&name), pages)?;
    let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(file.reader(id, true, budget));
    DwarfPackage::load(load, Reader::empty()).ok()
}

fn split_path(load: &SplitDwarfLoad<Reader>) -> Option<PathBuf> {
    let text = |reader: &Reader| reader.to_string_lossy().map(std::borrow::Cow::into_owned).ok();
    let mut path = load.comp_dir.as_ref().and_then(text).map(PathBuf::from).unwrap_or_default();
    path.push(text(load.path.as_ref()?)?);
    Some(path)
}

fn raw_frame(frame: &Frame<'_, Reader>) -> RawFrame {
    let name = frame.function.as_ref().and_then(|function| function.name.to_string_lossy().ok());
    let location = frame.location.as_ref();
    RawFrame {
        name: name.map(std::borrow::Cow::into_owned).filter(|name| !name.is_empty()),
        task: None,
        file: location.and_then(|location| location.file).map(str::to_owned),
        line: location.and_then(|location| location.line).unwrap_or(0),
    }
}
