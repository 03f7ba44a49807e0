//! Turns addresses into symbols. One lives on the symbol thread; it is not shared.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::cache::SymbolCache;
use super::chain::Chain;
use super::dwarf::RawFrame;
use super::known::KnownChains;
use super::module::Looked;
use super::name;
use super::opened::{CACHE_SHARE, Opened};
use super::symbol::{Class, Role, Symbol};
use crate::model::native::{ModuleInfo, ModuleMap, StackKind};
use crate::model::stack::{Framed, StackWord};

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
    cache: SymbolCache,
    known: Arc<KnownChains>,
    modules: Opened,
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
        Self { cache, known, modules: Opened::new(settings), peak_bytes: 0 }
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
        let number = self.modules.number(module);
        let at = address.wrapping_sub(module.bias);
        if let Some(symbols) = self.cache.get((number, at)) {
            return Found { symbols, is_kept: true };
        }
        let is_late = Instant::now() >= deadline;
        let Looked { frames, is_incomplete } = self.modules.look_up(number, at, is_late);
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
        self.modules.release();
    }

    /// What is held, by our own account.
    pub(crate) fn bytes(&self) -> usize {
        self.cache.bytes() + self.known.bytes() + self.modules.bytes()
    }

    /// The most that was ever held, by the same account.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    fn keep_within_bound(&mut self) {
        let others = self.cache.bytes() + self.known.bytes();
        self.peak_bytes = self.peak_bytes.max(self.bytes()).max(others + self.modules.peak_bytes());
        self.modules.keep_within_bound();
    }

    fn symbol(&mut self, frame: &RawFrame) -> Symbol {
        let named = name::read(frame.name.as_deref().unwrap_or_default());
        let class = name::class_of(&named, frame.file.as_deref());
        let role = named.role();
        let file = frame.file.as_deref().map(|file| self.cache.text(file));
        let task = frame.task.as_deref().map(|task| self.cache.text(task));
        Symbol { name: self.cache.text(&named.text), file, line: frame.line, class, role, task }
    }
}

fn unknown(name: String, file: Option<String>) -> Symbol {
    let file = file.map(Into::into);
    Symbol { name: name.into(), file, line: 0, class: Class::Unknown, role: Role::Plain, task: None }
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
        assert!(symbolizer.modules.parsed_bytes() == 0);
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
    fn past_the_deadline_nothing_is_read_and_the_answer_is_not_remembered() {
        let map = program(|_| {});
        let mut symbolizer = symbolizer(MANY_BYTES);
        let late = symbolizer.frames(&map, address(), Instant::now());
        assert_eq!(late.first().unwrap().class, Class::Unknown);
        assert_eq!(symbolizer.modules.parsed_bytes(), 0);
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
