//! The command line.

use std::path::PathBuf;

use flame_on_viewer::{Data, Options};
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt as _};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Takes traces and errors from FlameOn agents and shows them as a web page.

flame-on-viewer [OPTIONS]
flame-on-viewer watch DIR [OPTIONS]     also imports what an agent without a server leaves in DIR
flame-on-viewer import FILE… [OPTIONS]  imports profiles (.pb.gz) and errors (.errors.jsonl), and ends

  --grpc ADDRESS     where agents ship to             [127.0.0.1:50051]
  --http ADDRESS     where the page is                [127.0.0.1:4040]
  --data DIR         where the data is, or `:memory:` [~/.local/share/flame-on-viewer]
  --api-key KEY      what agents must send            [$FLAME_ON_VIEWER_API_KEY, else none]
  --max-bytes BYTES  how much is kept; K, M and G are powers of 1024  [1G]
  --keep TIME        how long it is kept: 12h, 7d     [7d]";

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve(Options),
    Import(Options, Vec<PathBuf>),
}

/// Reads the command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options { data: default_data(), api_key: key_of_environment(), ..Options::default() };
    let mut words: Vec<PathBuf> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("grpc") => options.grpc = parser.value()?.parse()?,
            Long("http") => options.http = parser.value()?.parse()?,
            Long("data") => options.data = data(parser.value()?.into()),
            Long("api-key") => options.api_key = Some(parser.value()?.string()?),
            Long("max-bytes") => options.bounds.max_bytes = parser.value()?.parse_with(bytes)?,
            Long("keep") => options.bounds.keep = parser.value()?.parse_with(humantime::parse_duration)?,
            Value(word) => words.push(word.into()),
            other => return Err(other.unexpected()),
        }
    }
    command(options, words)
}

fn command(mut options: Options, mut words: Vec<PathBuf>) -> Result<Command, lexopt::Error> {
    if words.is_empty() {
        return Ok(Command::Serve(options));
    }
    let verb = words.remove(0);
    match (verb.to_str(), words.len()) {
        (Some("watch"), 1) => {
            options.watch = words.pop();
            Ok(Command::Serve(options))
        }
        (Some("watch"), _) => Err("`watch` takes one directory".into()),
        (Some("import"), 1..) if options.data != Data::Memory => Ok(Command::Import(options, words)),
        (Some("import"), 1..) => Err("`import` needs a directory: what is in memory ends with it".into()),
        (Some("import"), 0) => Err("`import` takes files".into()),
        _ => Err(format!("`{}` is not a command", verb.display()).into()),
    }
}

fn data(given: PathBuf) -> Data {
    if given.as_os_str() == ":memory:" { Data::Memory } else { Data::Directory(given) }
}

fn default_data() -> Data {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let share = of("XDG_DATA_HOME").or_else(|| Some(of("HOME")?.join(".local/share")));
    share.map_or(Data::Memory, |share| Data::Directory(share.join("flame-on-viewer")))
}

/// Where other users of the machine do not see it, unlike the command line.
fn key_of_environment() -> Option<String> {
    std::env::var("FLAME_ON_VIEWER_API_KEY").ok().filter(|key| !key.is_empty())
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a number of bytes"))?;
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::time::Duration;

    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, lexopt::Error> {
        parse(Parser::from_args(words))
    }

    #[test]
    fn options_are_read() {
        let line = ["--grpc", "[::1]:0", "--data", ":memory:", "--max-bytes", "5M", "--keep=2h", "--api-key", "k"];
        let Command::Serve(options) = parsed(&line).unwrap() else { panic!() };
        assert_eq!(options.grpc.to_string(), "[::1]:0");
        assert_eq!(options.data, Data::Memory);
        assert_eq!((options.bounds.max_bytes, options.bounds.keep), (5 << 20, Duration::from_secs(7_200)));
        assert_eq!(options.api_key.as_deref(), Some("k"));
        assert!(!format!("{options:?}").contains("\"k\""));
    }

    #[test]
    fn commands_take_what_they_need() {
        assert!(matches!(parsed(&["watch", "dir"]).unwrap(), Command::Serve(options) if options.watch.is_some()));
        assert!(
            matches!(parsed(&["import", "a", "b", "--data", "d"]).unwrap(), Command::Import(_, files) if files.len() == 2)
        );
        for bad in [
            &["watch"][..],
            &["import"],
            &["import", "a", "--data", ":memory:"],
            &["fly"],
            &["--max-bytes", "x"],
            &["--keep", "7"],
            &["--nonsense"],
            &["--grpc", "nowhere"],
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
