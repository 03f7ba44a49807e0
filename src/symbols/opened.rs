//! The modules that are parsed, within a bound: who has to give way to whom.
//!
//! What is parsed can only be given up whole, and is read again when it is needed. Where not all fits, the user's own code
//! goes first: a C library whose debug information is installed takes most of the bound, and its functions without.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::module::{Looked, Module};
use super::pages::PageCache;
use super::symbolizer::SymbolSettings;
use crate::model::native::ModuleInfo;

/// What of the bound the names that were found may take, one half by address and one by stack, and the pages of files; the
/// rest is for what is parsed.
pub(super) const CACHE_SHARE: usize = 8;
const PAGE_SHARE: usize = 4;
/// One part in so many of what is left stays free when a library is opened, for what it comes to keep; and it is not worth
/// opening any while less than that would be left.
const RESERVE: usize = 8;
/// A file that could not be read is tried again after so long.
const RETRY: Duration = Duration::from_secs(10);

/// What may be parsed.
pub(super) fn most_parsed(settings: &SymbolSettings) -> usize {
    settings.max_bytes - settings.max_bytes / CACHE_SHARE - settings.max_bytes / PAGE_SHARE
}

/// Pages of files within their share.
pub(super) fn pages(settings: &SymbolSettings) -> Rc<PageCache> {
    PageCache::new(settings.max_bytes / PAGE_SHARE)
}

/// Who has to give way: the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Of the system: by its symbol table it has the names that a user knows.
    System,
    Library,
    Program,
    /// What the agent was linked into: the program, but for a library that another language has loaded.
    Own,
}

impl Rank {
    fn of(module: &ModuleInfo) -> Self {
        let own = Self::of as fn(&ModuleInfo) -> Self as usize as u64;
        let is_of_system = || ["/lib", "/lib64", "/usr"].iter().any(|folder| module.path.starts_with(folder));
        match module {
            _ if module.range.contains(&own) => Self::Own,
            _ if module.is_program => Self::Program,
            // The kernel's own has no file.
            _ if is_of_system() || !module.path.is_absolute() => Self::System,
            _ => Self::Library,
        }
    }
}

/// See the module.
pub(super) struct Opened {
    settings: SymbolSettings,
    pages: Rc<PageCache>,
    /// By their place: a module keeps its number for as long as this lives.
    slots: Vec<Slot>,
    /// While a module was opened.
    peak_bytes: usize,
}

struct Slot {
    info: Arc<ModuleInfo>,
    rank: Rank,
    module: Option<Module>,
    /// When that was opened, and what it took.
    since: Instant,
    first_bytes: usize,
    /// It does not fit even when it is alone.
    is_too_long: bool,
}

impl Slot {
    fn is_open(&self) -> bool {
        self.module.as_ref().is_some_and(|module| !module.is_unread() || self.since.elapsed() < RETRY)
    }
}

impl Opened {
    pub(super) fn new(settings: SymbolSettings) -> Self {
        Self { pages: pages(&settings), settings, slots: Vec::new(), peak_bytes: 0 }
    }

    /// The number by which `info` is known from now on.
    pub(super) fn number(&mut self, info: &Arc<ModuleInfo>) -> u32 {
        let at = self.slots.iter().position(|slot| slot.info == *info).unwrap_or_else(|| {
            let (info, rank) = (info.clone(), Rank::of(info));
            self.slots.push(Slot {
                info,
                rank,
                module: None,
                since: Instant::now(),
                first_bytes: 0,
                is_too_long: false,
            });
            self.slots.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// What the module says of the address `at` of its file; when that is late, without reading anything.
    pub(super) fn look_up(&mut self, number: u32, at: u64, is_late: bool) -> Looked {
        let index = number as usize;
        if !is_late {
            self.open(index);
        }
        match self.slots.get(index).and_then(|slot| slot.module.as_ref()) {
            Some(module) if is_late => Looked { frames: module.symbol(at).into_iter().collect(), ..Looked::default() },
            Some(module) => module.look(at),
            None => Looked::default(),
        }
    }

    fn open(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| !slot.is_open()) else { return };
        slot.module = None;
        let (info, rank, is_too_long) = (slot.info.clone(), slot.rank, slot.is_too_long);
        if is_too_long {
            self.release_below(rank);
        }
        let mut module = self.open_within_bound(&info, rank);
        if module.is_short_of_room() && !is_too_long {
            self.peak_bytes = self.peak_bytes.max(self.bytes() + module.bytes());
            if self.release_below(rank) {
                // The first goes before the second is read.
                drop(module);
                module = self.open_within_bound(&info, rank);
            }
        }
        let is_alone = self.parsed_bytes() == 0;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.is_too_long |= is_alone && module.is_short_of_room();
            slot.first_bytes = module.bytes();
            (slot.module, slot.since) = (Some(module), Instant::now());
        }
    }

    fn open_within_bound(&self, info: &ModuleInfo, rank: Rank) -> Module {
        let left = most_parsed(&self.settings).saturating_sub(self.parsed_bytes());
        let most = if rank < Rank::Program { left - left / RESERVE } else { left };
        Module::open(info, self.debug_file(), &self.pages, most)
    }

    fn debug_file(&self) -> Option<&Path> {
        self.settings.debug_file.as_deref()
    }

    /// Gives up what is past the bound, the lowest ranks first.
    pub(super) fn keep_within_bound(&mut self) {
        let most = most_parsed(&self.settings);
        if self.parsed_bytes() <= most {
            return;
        }
        let reserve = most / RESERVE;
        for rank in [Rank::Library, Rank::Program, Rank::Own] {
            self.release_below(rank);
            // Else whatever is opened next would pass the bound again.
            if self.parsed_bytes() <= most - reserve {
                return;
            }
        }
        // Unless what is left is open for as little as it can be.
        if self.parsed_bytes() > most || self.grown_by() >= reserve {
            self.release();
        }
    }

    /// What the modules that are open have come to take since they were opened.
    fn grown_by(&self) -> usize {
        let grown = |slot: &Slot| Some(slot.module.as_ref()?.bytes().saturating_sub(slot.first_bytes));
        self.slots.iter().filter_map(grown).sum()
    }

    /// Whether any was open.
    fn release_below(&mut self, rank: Rank) -> bool {
        let below = self.slots.iter_mut().filter(|slot| slot.rank < rank);
        below.filter_map(|slot| slot.module.take()).count() > 0
    }

    /// Gives up all of them, and the pages.
    pub(super) fn release(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.module = None);
        self.pages.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.pages.bytes() + self.parsed_bytes()
    }

    pub(super) fn parsed_bytes(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.module.as_ref()).map(Module::bytes).sum()
    }

    /// The most that was held while a module was opened that then had to be opened again.
    pub(super) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::testing::program;
    use super::*;
    use crate::model::native::ModuleMap;

    /// Far from the program, where the same file is a library.
    const AWAY: u64 = 1 << 45;

    #[inline(never)]
    fn known_function() -> u64 {
        std::hint::black_box(7)
    }

    fn here() -> u64 {
        known_function();
        known_function as *const () as u64
    }

    fn opened(most_parsed: usize) -> Opened {
        Opened::new(SymbolSettings { max_bytes: most_parsed * 8 / 5, debug_file: None })
    }

    /// The test program and its file again as a library, and what one of them takes.
    fn program_and_library() -> (ModuleMap, usize) {
        let map = program(|_| {});
        let own = map.find(here()).unwrap();
        let range = own.range.start + AWAY..own.range.end + AWAY;
        let library = ModuleInfo { is_program: false, bias: own.bias + AWAY, range, ..ModuleInfo::clone(own) };
        let mut alone = opened(1 << 30);
        let number = alone.number(own);
        alone.look_up(number, here() - own.bias, false);
        (ModuleMap::new(vec![own.clone(), library.into()]), alone.parsed_bytes())
    }

    /// The line of the function at `address`; 0 by the symbol table alone.
    fn line(opened: &mut Opened, map: &ModuleMap, address: u64) -> u32 {
        let module = map.find(address).unwrap();
        let number = opened.number(module);
        let looked = opened.look_up(number, address - module.bias, false);
        let line = looked.frames.first().map_or(0, |frame| frame.line);
        opened.keep_within_bound();
        line
    }

    #[test]
    fn the_users_own_code_has_its_lines_when_another_module_had_the_room_before_it() {
        let (map, bytes) = program_and_library();
        // Enough for one of them and not for both.
        let most = bytes * 3 / 2;
        let mut opened = opened(most);
        assert!(line(&mut opened, &map, here() + AWAY) > 0);
        assert!(line(&mut opened, &map, here()) > 0, "the other one has its room");
        // From the symbol table: what is the user's keeps its room.
        assert_eq!(line(&mut opened, &map, here() + AWAY), 0);
        assert!(line(&mut opened, &map, here()) > 0);
        assert!(opened.peak_bytes() > bytes && opened.peak_bytes() <= most * 8 / 5, "{}", opened.peak_bytes());
    }

    #[test]
    fn what_does_not_fit_alone_is_not_tried_twice() {
        let (map, bytes) = program_and_library();
        let mut opened = opened(bytes / 4);
        assert_eq!(line(&mut opened, &map, here()), 0);
        assert!(opened.slots.iter().all(|slot| slot.is_too_long));
    }

    #[test]
    fn past_the_bound_the_lowest_rank_goes_first_and_what_leaves_no_room_for_others_goes_too() {
        let (map, bytes) = program_and_library();
        let mut opened = opened(bytes * 3);
        line(&mut opened, &map, here() + AWAY);
        line(&mut opened, &map, here());
        let is_open = |opened: &Opened| opened.slots.iter().map(|slot| slot.module.is_some()).collect::<Vec<_>>();
        assert_eq!(is_open(&opened), [true, true]);
        opened.settings.max_bytes = opened.parsed_bytes() * 8 / 5 - 1_000;
        opened.keep_within_bound();
        assert_eq!(is_open(&opened), [false, true]);
        opened.settings.max_bytes = (opened.parsed_bytes() - 1_000) * 8 / 5;
        opened.keep_within_bound();
        assert_eq!(is_open(&opened), [false, false]);
    }

    #[test]
    fn who_gives_way_to_whom() {
        let rank = |path: &str, is_program, range| {
            Rank::of(&ModuleInfo { path: path.into(), is_program, bias: 0, range, build_id: None })
        };
        let (own, other) = (here()..here() + 1, 16..32);
        let ranks = [
            rank("linux-vdso.so.1", false, other.clone()),
            rank("/usr/lib/x86_64-linux-gnu/libc.so.6", false, other.clone()),
            rank("/srv/libplugin.so", false, other.clone()),
            rank("/usr/bin/python3", true, other),
            Rank::of(program(|_| {}).find(here()).unwrap()),
        ];
        assert_eq!(ranks, [Rank::System, Rank::System, Rank::Library, Rank::Program, Rank::Own]);
        assert_eq!(rank("/srv/shop", true, own), Rank::Program, "the agent's code is not in that range");
    }
}
