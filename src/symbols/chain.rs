//! The functions of a captured stack: the same ones for every trace that has it.

use std::sync::{Arc, OnceLock};

use super::answer::answered_by;
use super::symbol::Symbol;

/// From the root to the leaf. Frames by hand are not in it.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    symbols: Vec<Symbol>,
    /// Of each symbol, which word of the stack it is from.
    words: Vec<u32>,
    call: OnceLock<Option<Arc<str>>>,
}

impl Chain {
    /// The functions at the stack's word number `word` are the next.
    pub(crate) fn push(&mut self, word: u32, symbols: &[Symbol]) {
        self.symbols.extend_from_slice(symbols);
        self.words.extend(symbols.iter().map(|_| word));
    }

    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Each with the number of the word that it is from.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (u32, &Symbol)> {
        self.words.iter().copied().zip(&self.symbols)
    }

    /// `CALL <who>`, where this is the stack of a thread that woke a task, and tells who answered.
    pub(crate) fn call(&self) -> Option<&Arc<str>> {
        let call = || answered_by(&self.symbols).map(|name| format!("CALL {name}").into());
        self.call.get_or_init(call).as_ref()
    }

    /// With its texts, which it may share with others.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let texts = |symbol: &Symbol| symbol.name.len() + length(&symbol.file) + length(&symbol.task);
        let lists = self.symbols.capacity() * size_of::<Symbol>() + self.words.capacity() * size_of::<u32>();
        size_of::<Self>() + lists + self.symbols.iter().map(texts).sum::<usize>()
    }
}
