//! For tests: a program that is looked up function by function, and what that is said to take.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::elf::ElfFile;
use super::pages::PageCache;
use super::symbolizer::{SymbolSettings, Symbolizer};
use super::symtab::SymbolTable;
use crate::model::native::{ModuleInfo, ModuleMap};

const BIAS: u64 = 1 << 40;
/// Longer than any test.
const LIMIT: Duration = Duration::from_secs(3_600);

/// See the module.
#[expect(missing_debug_implementations, reason = "nobody prints it")]
pub struct Lookup {
    symbolizer: Symbolizer,
    map: ModuleMap,
    functions: Vec<u64>,
}

impl Lookup {
    /// Nothing is read yet but the list of functions. `None` when the program cannot be read.
    #[must_use]
    pub fn new(program: &Path, max_bytes: usize) -> Option<Self> {
        let file = ElfFile::open(program, &PageCache::new(max_bytes))?;
        let functions = SymbolTable::read(&file, usize::MAX).addresses();
        let range = BIAS..BIAS + 2 * std::fs::metadata(program).ok()?.len();
        let module = ModuleInfo { path: program.into(), is_program: false, bias: BIAS, range, build_id: file.build_id };
        let symbolizer = Symbolizer::alone(SymbolSettings { max_bytes, debug_file: None });
        Some(Self { symbolizer, map: ModuleMap::new(vec![Arc::new(module)]), functions })
    }

    /// How many there are.
    #[must_use]
    pub fn functions(&self) -> usize {
        self.functions.len()
    }

    /// Looks up the function number `at`, in an order that jumps through the program; its name.
    pub fn look_up(&mut self, at: usize) -> String {
        // No multiple of 7,919 (a prime) meets another until all were met, unless it divides the count.
        let address = self.functions.get(at * 7_919 % self.functions.len().max(1)).copied().unwrap_or_default();
        let symbols = self.symbolizer.frames(&self.map, BIAS + address + 1, Instant::now() + LIMIT);
        symbols.first().map(|symbol| symbol.name.to_string()).unwrap_or_default()
    }

    /// Bytes by the symboliser's own account.
    #[must_use]
    pub fn held(&self) -> usize {
        self.symbolizer.bytes()
    }

    /// The most so far.
    #[must_use]
    pub fn most_held(&self) -> usize {
        self.symbolizer.peak_bytes()
    }

    /// As when it has been idle.
    pub fn release(&mut self) {
        self.symbolizer.release_idle();
    }
}
