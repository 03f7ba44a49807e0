//! Finds the paths in a source file (`a::b::c`, use-trees expanded), each with its line, module, and whether it is
//! test code; and the word `unsafe`.
//!
//! Works on tokens, so comments and strings are no paths and code inside macros is. It does not resolve names: an
//! import under another name (`use std::time::Instant as Clock`) is seen only where it is imported.

use std::iter::Peekable;
use std::slice::Iter;

use crate::lex::{Kind, Token, lex};

/// One path as written, or a single word that a `use` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// The module it stands in, from the crate root; inline modules included.
    pub(crate) module: Vec<String>,
    /// Whether it stands under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl Path {
    /// The path from the crate root, when it is one into this crate that says so (`crate::`, `self::`, `super::`).
    pub(crate) fn absolute(&self) -> Option<Vec<String>> {
        let (first, rest) = self.segments.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" | "super" => {
                let steps = self.segments.iter().take_while(|word| *word == "self" || *word == "super");
                let (ups, length) = (steps.clone().filter(|word| *word == "super").count(), steps.count());
                let base = self.module.get(..self.module.len().checked_sub(ups)?)?;
                Some([base, self.segments.get(length..)?].concat())
            }
            _ => None,
        }
    }
}

/// What a file holds.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) paths: Vec<Path>,
    /// The lines with the word `unsafe`.
    pub(crate) unsafe_lines: Vec<usize>,
}

/// Scans `source`, the text of the module `module`.
///
/// # Errors
/// The line from which on it is not Rust.
pub(crate) fn scan(source: &str, module: &[String], in_test: bool) -> Result<Scanned, usize> {
    let mut scanner = Scanner { module: module.to_vec(), in_test, found: Scanned::default() };
    scanner.tokens(&lex(source)?);
    Ok(scanner.found)
}

type Tokens<'a> = Peekable<Iter<'a, Token>>;

struct Scanner {
    module: Vec<String>,
    in_test: bool,
    found: Scanned,
}

impl Scanner {
    fn tokens(&mut self, tokens: &[Token]) {
        let outer_test = self.in_test;
        let mut tokens = tokens.iter().peekable();
        let mut previous = "";
        while let Some(Token { kind, line }) = tokens.next() {
            let word = if let Kind::Word(word) = kind { word.as_str() } else { "" };
            match kind {
                Kind::Group(_, inner) if previous == "use" => self.use_group(&[], inner),
                Kind::Group(bracket, inner) => {
                    self.tokens(inner);
                    match bracket {
                        '{' => self.in_test = outer_test,
                        '[' if is_test_cfg(inner) => self.in_test = true,
                        _ => {}
                    }
                }
                Kind::Word(_) if previous == "mod" => {
                    if self.module(word, &mut tokens) {
                        self.in_test = outer_test;
                    }
                }
                Kind::Word(_) if word == "unsafe" => self.found.unsafe_lines.push(*line),
                Kind::Word(_) => {
                    let names_crate = matches!(previous, "use" | "crate");
                    self.path(vec![word.to_owned()], *line, &mut tokens, names_crate);
                }
                Kind::Punct(';') => self.in_test = outer_test,
                Kind::Punct(_) => {}
            }
            previous = word;
        }
        self.in_test = outer_test;
    }

    /// After `mod name`: what stands in its body, if it has one here, belongs to the module one deeper.
    fn module(&mut self, name: &str, tokens: &mut Tokens<'_>) -> bool {
        let Some(Token { kind: Kind::Group(_, body), .. }) = tokens.peek() else { return false };
        tokens.next();
        self.module.push(name.to_owned());
        self.tokens(body);
        self.module.pop();
        true
    }

    /// After the first words of a path: reads on to its end. `alone` keeps a path of one word.
    fn path(&mut self, mut segments: Vec<String>, line: usize, tokens: &mut Tokens<'_>, alone: bool) {
        while takes_double_colon(tokens) {
            match tokens.peek().map(|next| &next.kind) {
                Some(Kind::Word(word)) => segments.push(word.clone()),
                Some(Kind::Punct('*')) => segments.push("*".to_owned()),
                Some(Kind::Group('{', group)) => {
                    tokens.next();
                    return self.use_group(&segments, group);
                }
                _ => break,
            }
            tokens.next();
        }
        if alone || segments.len() > 1 {
            self.found.paths.push(Path { segments, line, module: self.module.clone(), in_test: self.in_test });
        }
    }

    /// `{a, b::c, d as e}` after `prefix`.
    fn use_group(&mut self, prefix: &[String], group: &[Token]) {
        let mut tokens = group.iter().peekable();
        let mut previous = "";
        while let Some(Token { kind, line }) = tokens.next() {
            let word = if let Kind::Word(word) = kind { word.as_str() } else { "" };
            match kind {
                // The new name is no path.
                Kind::Word(_) if word == "as" || previous == "as" => {}
                Kind::Word(_) => self.path([prefix, &[word.to_owned()]].concat(), *line, &mut tokens, true),
                Kind::Punct('*') => self.path([prefix, &["*".to_owned()]].concat(), *line, &mut tokens, true),
                Kind::Group(_, inner) => self.use_group(prefix, inner),
                Kind::Punct(_) => {}
            }
            previous = word;
        }
    }
}

fn takes_double_colon(tokens: &mut Tokens<'_>) -> bool {
    let is_colon = |token: Option<&Token>| token.is_some_and(|token| token.kind == Kind::Punct(':'));
    let mut ahead = tokens.clone();
    let found = is_colon(ahead.next()) && is_colon(ahead.next());
    if found {
        *tokens = ahead;
    }
    found
}

/// Whether it is `cfg(test)` or `cfg(all(test, …))`: what follows is compiled for tests only.
fn is_test_cfg(attribute: &[Token]) -> bool {
    let [Token { kind: Kind::Word(cfg), .. }, Token { kind: Kind::Group('(', condition), .. }] = attribute else {
        return false;
    };
    let is_word = |token: Option<&Token>, wanted: &str| matches!(token, Some(Token { kind: Kind::Word(word), .. }) if word == wanted);
    let is_test = is_word(condition.first(), "test") && condition.len() == 1;
    let all_begin_with_test = match condition.as_slice() {
        [all, Token { kind: Kind::Group('(', parts), .. }] => {
            is_word(Some(all), "all") && is_word(parts.first(), "test")
        }
        _ => false,
    };
    cfg == "cfg" && (is_test || all_begin_with_test)
}
