//! Turns addresses into symbols. One lives on the symbol thread; it is not shared.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::cache::SymbolCache;
use super::chain::Chain;
use super::dwarf::RawFrame;
use super::known::KnownChains;
use super::module::{Looked, Module};
use super::name;
use super::pages::PageCache;
use super::symbol::{Class, Role, Symbol};
use crate::model::native::{ModuleInfo, ModuleMap, StackKind};
use crate::model::stack::{Framed, StackWord};

/// What of the bound the names that were found may take, one half by address and one by stack, and the pages of files; the
/// rest is for what is parsed.
pub(super) const CACHE_SHARE: usize = 8;
const PAGE_SHARE: usize = 4;

/// How a [`Symbolizer`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SymbolSettings {
    /// `max_symbol_bytes`.
    pub(crate) max_bytes: usize,
    /// Debug information that was moved out of the program.
    pub(crate) debug_file: Option<PathBuf>,
}

/// Looks up addresses; remembers what it found.
pub(crate) struct Symbolizer {
    settings: SymbolSettings,
    cache: SymbolCache,
    known: Arc<KnownChains>,
    pages: Rc<PageCache>,
    /// By their place: a module keeps its number for as long as this lives.
    modules: Vec<(Arc<ModuleInfo>, Option<Module>)>,
    peak_bytes: usize,
}

/// What was found at an address.
struct Found {
    symbols: Arc<[Symbol]>,
    /// To be answered like this from now on, without another look.
    is_kept: bool,
}

impl Symbolizer {
    /// One that shares what it knows with nobody.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn alone(settings: SymbolSettings) -> Self {
        let known = KnownChains::within(&settings);
        Self::new(settings, known.into())
    }

    pub(crate) fn new(settings: SymbolSettings, known: Arc<KnownChains>) -> Self {
        let cache = SymbolCache::new(settings.max_bytes / CACHE_SHARE / 2);
        let pages = PageCache::new(settings.max_bytes / PAGE_SHARE);
        Self { settings, cache, known, pages, modules: Vec::new(), peak_bytes: 0 }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn frames(&mut self, map: &ModuleMap, address: u64, deadline: Instant) -> Arc<[Symbol]> {
        self.find(map, address, deadline).symbols
    }

    /// The functions of `stack`, root to leaf, each as [`Symbolizer::find`] has it. Await sites and wakes recur with each
    /// trace, so their stacks are remembered as a whole; of samples there are too many.
    pub(crate) fn chain(
        &mut self,
        map: &ModuleMap,
        stack: &[StackWord],
        kind: StackKind,
        deadline: Instant,
    ) -> Arc<Chain> {
        let recurs = kind == StackKind::Await;
        if let Some(known) = recurs.then(|| self.known.get(map, stack)).flatten() {
            return known;
        }
        let (mut chain, mut is_kept) = (Chain::default(), true);
        for (number, word) in (0..).zip(stack) {
            if let Framed::Native(address) = word.framed() {
                let found = self.find(map, address, deadline);
                is_kept &= found.is_kept;
                chain.push(number, &found.symbols);
            }
        }
        let chain = Arc::new(chain);
        if recurs && is_kept {
            self.known.insert(map, stack, &chain);
        }
        chain
    }

    /// The functions at `address`, the physical one first, then what is inlined there, down to the innermost.
    ///
    /// For a return address, `address` is that less one. Past `deadline`, where the bytes are used up, and where the
    /// file is gone, names are as good as can be had without reading more: `libfoo.so+0x1f00` at worst. Past `deadline`,
    /// or without any name where the bytes are used up or the file is gone, a later trace asks again. All else is kept: a
    /// system's libraries have many functions without a name.
    fn find(&mut self, map: &ModuleMap, address: u64, deadline: Instant) -> Found {
        let Some(module) = map.find(address) else {
            return Found { symbols: [unknown(format!("{address:#x}"), None)].into(), is_kept: true };
        };
        let number = self.number(module);
        let at = address.wrapping_sub(module.bias);
        if let Some(symbols) = self.cache.get((number, at)) {
            return Found { symbols, is_kept: true };
        }
        let is_late = Instant::now() >= deadline;
        let Looked { frames, is_incomplete } = self.look_up(number, at, is_late);
        let mut symbols = frames.iter().map(|frame| self.symbol(frame)).collect::<Vec<_>>();
        let has_names = !symbols.is_empty();
        if !has_names {
            symbols.push(unknown(format!("{}+{at:#x}", file_name(module)), Some(place_of(module))));
        }
        let symbols = symbols.into();
        let is_kept = !is_late && (has_names || !is_incomplete);
        if is_kept {
            self.cache.insert((number, at), &symbols);
        }
        self.keep_within_bound();
        Found { symbols, is_kept }
    }

    /// Gives up all that was parsed; what was found stays.
    pub(crate) fn release_idle(&mut self) {
        self.modules.iter_mut().for_each(|(_, module)| *module = None);
        self.pages.clear();
    }

    /// What is held, by our own account.
    pub(crate) fn bytes(&self) -> usize {
        self.cache.bytes() + self.known.bytes() + self.pages.bytes() + self.parsed_bytes()
    }

    /// The most that was ever held, by the same account.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    fn parsed_bytes(&self) -> usize {
        self.modules.iter().filter_map(|(_, module)| module.as_ref()).map(Module::bytes).sum()
    }

    fn most_parsed(&self) -> usize {
        self.settings.max_bytes - self.settings.max_bytes / CACHE_SHARE - self.settings.max_bytes / PAGE_SHARE
    }

    fn number(&mut self, module: &Arc<ModuleInfo>) -> u32 {
        let at = self.modules.iter().position(|(known, _)| known == module).unwrap_or_else(|| {
            self.modules.push((module.clone(), None));
            self.modules.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn look_up(&mut self, number: u32, at: u64, is_late: bool) -> Looked {
        if !is_late {
            self.open(number);
        }
        match self.modules.get(number as usize) {
            Some((_, Some(module))) if is_late => {
                Looked { frames: module.symbol(at).into_iter().collect(), ..Looked::default() }
            }
            Some((_, Some(module))) => module.look(at),
            _ => Looked::default(),
        }
    }

    /// Unless it is open. The user's own code goes before libraries: a C library's debug information alone may take most
    /// of the bound.
    fn open(&mut self, number: u32) {
        let Some((info, None)) = self.modules.get(number as usize) else { return };
        let info = info.clone();
        let mut module = self.open_within_bound(&info);
        if module.is_short_of_room() && has_own_code(&info) && self.release_libraries() {
            // The first goes before the second is read.
            drop(module);
            module = self.open_within_bound(&info);
        }
        if let Some((_, slot)) = self.modules.get_mut(number as usize) {
            *slot = Some(module);
        }
    }

    fn open_within_bound(&self, info: &ModuleInfo) -> Module {
        let left = self.most_parsed().saturating_sub(self.parsed_bytes());
        Module::open(info, self.settings.debug_file.as_deref(), &self.pages, left)
    }

    /// What is parsed can only be given up whole; it is read again when it is needed.
    fn keep_within_bound(&mut self) {
        self.peak_bytes = self.peak_bytes.max(self.bytes());
        if self.parsed_bytes() > self.most_parsed() {
            self.release_libraries();
        }
        if self.parsed_bytes() > self.most_parsed() {
            self.release_idle();
        }
    }

    /// Whether any was open.
    fn release_libraries(&mut self) -> bool {
        let libraries = self.modules.iter_mut().filter(|(info, _)| !has_own_code(info));
        libraries.fold(false, |had_any, (_, module)| module.take().is_some() || had_any)
    }

    fn symbol(&mut self, frame: &RawFrame) -> Symbol {
        let named = name::read(frame.name.as_deref().unwrap_or_default());
        let class = name::class_of(&named, frame.file.as_deref());
        let role = named.role();
        let file = frame.file.as_deref().map(|file| self.cache.text(file));
        Symbol { name: self.cache.text(&named.text), file, line: frame.line, class, role }
    }
}

/// Whether it is the executable, or what the agent was linked into: the user's functions are there.
fn has_own_code(module: &ModuleInfo) -> bool {
    module.is_program || module.range.contains(&(has_own_code as fn(&ModuleInfo) -> bool as usize as u64))
}

fn unknown(name: String, file: Option<String>) -> Symbol {
    let file = file.map(Into::into);
    Symbol { name: name.into(), file, line: 0, class: Class::Unknown, role: Role::Plain }
}

fn file_name(module: &ModuleInfo) -> String {
    let name = module.path.file_name().unwrap_or(module.path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// So that the name can be found later, from the file with that build id.
fn place_of(module: &ModuleInfo) -> String {
    let mut place = module.path.display().to_string();
    if let Some(id) = &module.build_id {
        place.push_str(" build-id=");
        // Writing to a string cannot fail.
        id.iter().for_each(|byte| write!(place, "{byte:02x}").unwrap_or_default());
    }
    place
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::super::testing::program;
    use super::*;
    use crate::model::frame::FrameId;
    use crate::model::stack::Place;

    const MANY_BYTES: usize = 64 << 20;

    #[inline(never)]
    fn known_function() -> u64 {
        std::hint::black_box(7)
    }

    fn address() -> u64 {
        known_function as *const () as u64
    }

    fn symbolizer(max_bytes: usize) -> Symbolizer {
        Symbolizer::alone(SymbolSettings { max_bytes, debug_file: None })
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[test]
    fn a_function_of_this_program_has_its_name_file_and_line() {
        known_function();
        let map = program(|_| {});
        let mut symbolizer = symbolizer(MANY_BYTES);
        let frames = symbolizer.frames(&map, address(), later());
        let first = frames.first().unwrap();
        assert!(first.name.ends_with("symbolizer::tests::known_function"), "{frames:?}");
        assert!(first.file.as_ref().unwrap().ends_with("src/symbols/symbolizer.rs"), "{frames:?}");
        assert!(first.line > 0);
        assert!(symbolizer.bytes() <= MANY_BYTES, "{} bytes", symbolizer.bytes());
        symbolizer.release_idle();
        assert!(symbolizer.parsed_bytes() == 0);
        assert!(Arc::ptr_eq(&frames, &symbolizer.frames(&map, address(), later())), "forgotten when released");
    }

    #[test]
    fn the_stack_of_a_wait_is_looked_up_once_while_the_modules_are_the_same() {
        known_function();
        let (map, mut symbolizer) = (program(|_| {}), symbolizer(MANY_BYTES));
        let by_hand = StackWord::by_hand(FrameId(7), Place(0));
        let stack = [by_hand, StackWord::native(address(), Place(1))];
        let mut look = |map: &ModuleMap, kind, deadline| symbolizer.chain(map, &stack, kind, deadline);
        let late = look(&map, StackKind::Await, Instant::now());
        let sample = look(&map, StackKind::Cpu, later());
        let chain = look(&map, StackKind::Await, later());
        assert!(!Arc::ptr_eq(&late, &chain) && !Arc::ptr_eq(&sample, &chain));
        let functions: Vec<_> = chain.functions().map(|(word, symbol)| (word, symbol.name.to_string())).collect();
        assert!(matches!(&functions[..], [(1, name)] if name.ends_with("known_function")), "{functions:?}");
        assert_eq!(sample.symbols(), chain.symbols());
        let mut others: Vec<_> = map.modules().iter().map(|module| Arc::new(ModuleInfo::clone(module))).collect();
        let equal = ModuleMap::new(others.clone());
        assert!(Arc::ptr_eq(&chain, &look(&equal, StackKind::Await, later())), "an equal map");
        let (path, range) = ("/other".into(), 16..32);
        others.push(Arc::new(ModuleInfo { path, is_program: false, bias: 0, range, build_id: None }));
        assert!(!Arc::ptr_eq(&chain, &look(&ModuleMap::new(others), StackKind::Await, later())));
    }

    /// Whether a second look at the functions of `stack` is spared.
    fn is_kept(symbolizer: &mut Symbolizer, map: &ModuleMap, stack: &[StackWord]) -> bool {
        let mut look = || symbolizer.chain(map, stack, StackKind::Await, later());
        Arc::ptr_eq(&look(), &look())
    }

    #[test]
    fn a_function_without_a_name_is_kept_unless_there_was_no_room_to_read_it() {
        known_function();
        let (map, mut symbolizer) = (program(|_| {}), symbolizer(MANY_BYTES));
        // Before its code a file has data.
        let mut addresses = map.find(address()).unwrap().range.clone().step_by(4_096);
        let mut is_nameless = |at| symbolizer.frames(&map, at, later()).first().unwrap().class == Class::Unknown;
        let nameless = addresses.find(|at| is_nameless(*at)).unwrap();
        let stack = [StackWord::native(nameless, Place(0)), StackWord::native(address(), Place(1))];
        let chain = symbolizer.chain(&map, &stack, StackKind::Await, later());
        assert!(chain.symbols().first().unwrap().name.contains("+0x"), "{chain:?}");
        assert!(is_kept(&mut symbolizer, &map, &stack));
        let replaced = program(|module| module.build_id = Some([0; 20].into()));
        assert!(!is_kept(&mut symbolizer, &replaced, &stack), "it may be read later");
        // Room for the chain, and not for the program.
        let mut without_room = Symbolizer::alone(SymbolSettings { max_bytes: 64 * 1024, debug_file: None });
        assert!(is_kept(&mut without_room, &ModuleMap::default(), &stack[1..]));
        assert!(!is_kept(&mut without_room, &map, &stack[1..]));
    }

    #[test]
    fn the_program_has_its_lines_when_a_library_had_the_room_before_it() {
        known_function();
        let program = program(|_| {});
        let own = program.find(address()).unwrap();
        // The same file as a library, far from here.
        let away = 1 << 45;
        let range = own.range.start + away..own.range.end + away;
        let library = ModuleInfo { is_program: false, bias: own.bias + away, range, ..ModuleInfo::clone(own) };
        let map = ModuleMap::new(vec![own.clone(), library.into()]);

        let mut alone = symbolizer(MANY_BYTES);
        alone.frames(&map, address(), later());
        // Enough for one of them and not for both.
        let most = alone.parsed_bytes() * 3 / 2;
        let mut symbolizer = symbolizer(most * 8 / 5);
        let mut line_at = |address| symbolizer.frames(&map, address, later()).first().unwrap().line;
        assert!(line_at(address() + away) > 0);
        assert!(line_at(address()) > 0, "the library has its room");
        // From the symbol table: the program keeps its room.
        let other = the_program_has_its_lines_when_a_library_had_the_room_before_it as *const () as u64;
        assert_eq!(line_at(other + away), 0);
        assert!(line_at(other) > 0);
        assert!(symbolizer.peak_bytes() <= most * 8 / 5, "{} bytes", symbolizer.peak_bytes());
    }

    #[test]
    fn past_the_deadline_nothing_is_read_and_the_answer_is_not_remembered() {
        let map = program(|_| {});
        let mut symbolizer = symbolizer(MANY_BYTES);
        let late = symbolizer.frames(&map, address(), Instant::now());
        assert_eq!(late.first().unwrap().class, Class::Unknown);
        assert_eq!(symbolizer.parsed_bytes(), 0);
        let found = symbolizer.frames(&map, address(), later());
        assert!(found.first().unwrap().name.ends_with("known_function"));
    }

    #[test]
    fn a_file_with_another_build_id_gives_no_names() {
        let map = program(|module| module.build_id = Some([1, 2, 3].into()));
        let frames = symbolizer(MANY_BYTES).frames(&map, address(), later());
        let only = frames.first().unwrap();
        assert_eq!(only.class, Class::Unknown);
        assert!(only.name.contains("+0x"), "{frames:?}");
        assert!(only.file.as_ref().unwrap().ends_with("build-id=010203"), "{frames:?}");
    }

    #[test]
    fn an_address_outside_of_every_module_is_told_as_it_is() {
        let frames = symbolizer(MANY_BYTES).frames(&ModuleMap::default(), 0x1234, later());
        assert_eq!(&*frames.first().unwrap().name, "0x1234");
    }
}
