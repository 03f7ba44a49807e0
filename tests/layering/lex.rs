//! Rust source as words, punctuation and bracketed groups; comments and literals are left out.

/// One token, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// The first line is 1. Of a group, where it opens.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Word(String),
    Punct(char),
    /// What stands between brackets, which are named by the opening one.
    Group(char, Vec<Token>),
}

/// Splits `source` into tokens.
///
/// # Errors
/// The line of a bracket that does not match, or of a comment or string that does not end.
pub(crate) fn lex(source: &str) -> Result<Vec<Token>, usize> {
    let mut lexer = Lexer { rest: source, line: 1 };
    let tokens = lexer.tokens_until(None)?;
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl Lexer<'_> {
    fn tokens_until(&mut self, closing: Option<char>) -> Result<Vec<Token>, usize> {
        let opened = self.line;
        let mut tokens = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            let line = self.line;
            let kind = match next {
                _ if self.rest.starts_with("//") => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
                _ if self.rest.starts_with("/*") => self.skip_comment()?,
                '"' => self.skip_string(line)?,
                '\'' => self.skip_char_or_lifetime(),
                '(' | '[' | '{' => {
                    self.skip(1);
                    Some(Kind::Group(next, self.tokens_until(Some(closing_of(next)))?))
                }
                ')' | ']' | '}' => {
                    self.skip(1);
                    return if closing == Some(next) { Ok(tokens) } else { Err(line) };
                }
                _ if next.is_alphanumeric() || next == '_' => self.word(line)?,
                _ => {
                    self.skip(next.len_utf8());
                    (!next.is_whitespace()).then_some(Kind::Punct(next))
                }
            };
            tokens.extend(kind.map(|kind| Token { kind, line }));
        }
        if closing.is_none() { Ok(tokens) } else { Err(opened) }
    }

    /// Steps over `bytes`; a token of no kind.
    fn skip(&mut self, bytes: usize) -> Option<Kind> {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
        None
    }

    /// Comments nest.
    fn skip_comment(&mut self) -> Result<Option<Kind>, usize> {
        let opened = self.line;
        let mut depth = 0;
        loop {
            let at = self.rest.find(['/', '*']).ok_or(opened)?;
            self.skip(at);
            let (step, bytes) = match self.rest.get(..2) {
                Some("/*") => (1, 2),
                Some("*/") => (-1, 2),
                _ => (0, 1),
            };
            self.skip(bytes);
            depth += step;
            if depth == 0 {
                return Ok(None);
            }
        }
    }

    fn skip_string(&mut self, opened: usize) -> Result<Option<Kind>, usize> {
        self.skip(1);
        loop {
            let at = self.rest.find(['"', '\\']).ok_or(opened)?;
            self.skip(at);
            let escaped = self.rest.chars().nth(1).filter(|_| self.rest.starts_with('\\'));
            self.skip(1 + escaped.map_or(0, char::len_utf8));
            if escaped.is_none() {
                return Ok(None);
            }
        }
    }

    /// At the hashes of `r##"…"##`.
    fn skip_raw_string(&mut self, opened: usize) -> Result<Option<Kind>, usize> {
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        self.skip(hashes + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        let at = self.rest.find(&end).ok_or(opened)?;
        Ok(self.skip(at + end.len()))
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn skip_char_or_lifetime(&mut self) -> Option<Kind> {
        let mut chars = self.rest.chars().skip(1);
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => self.skip(self.rest.get(3..).and_then(|rest| rest.find('\'')).map_or(1, |at| at + 4)),
            (Some(c), Some('\'')) => self.skip(2 + c.len_utf8()),
            _ => self.skip(1 + word_length(self.rest.get(1..).unwrap_or(""))),
        }
    }

    /// A word, a number (left out), or the string that it is the prefix of.
    fn word(&mut self, line: usize) -> Result<Option<Kind>, usize> {
        let length = word_length(self.rest);
        let word = self.rest.split_at(length).0.to_owned();
        self.skip(length);
        let is_raw = matches!(word.as_str(), "r" | "br" | "cr");
        match self.rest.chars().next() {
            Some('"') if !is_raw && matches!(word.as_str(), "b" | "c") => self.skip_string(line),
            Some('\'') if word == "b" => Ok(self.skip_char_or_lifetime()),
            Some('"' | '#') if is_raw && self.rest.trim_start_matches('#').starts_with('"') => {
                self.skip_raw_string(line)
            }
            // A raw word, `r#type`.
            Some('#') if word == "r" => {
                self.skip(1);
                self.word(line)
            }
            _ => Ok((!word.starts_with(|c: char| c.is_ascii_digit())).then_some(Kind::Word(word))),
        }
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn closing_of(opening: char) -> char {
    match opening {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}
