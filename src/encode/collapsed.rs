//! The collapsed text that flame graph tools read: one line for each path.

use std::fmt::Write as _;

use super::micros::own_micros;
use crate::model::profile::Profile;
use crate::model::time::Nanos;

/// Lines of `root;…;leaf <µs>`, for the paths with at least one microsecond of their own. A `;` in a name becomes
/// `:`, a line break a space.
pub(crate) fn collapsed(profile: &Profile) -> String {
    let mut text = String::new();
    let mut path = Path::default();
    for (index, micros) in own_micros(profile).enumerate() {
        let line = path.enter(profile, index);
        if micros > 0 {
            // Writing to a string cannot fail.
            writeln!(text, "{line} {micros}").ok();
        }
    }
    text
}

/// The paths with time of their own, as text like that of [`collapsed`]; the times sum to the total.
pub(crate) fn paths(profile: &Profile) -> impl Iterator<Item = (String, Nanos)> {
    let mut path = Path::default();
    profile.nodes.iter().enumerate().filter_map(move |(index, node)| {
        let line = path.enter(profile, index);
        (node.own > Nanos::ZERO).then(|| (line.to_owned(), node.own))
    })
}

/// The text of the path at hand; going on in pre-order cuts it back and adds one name.
#[derive(Default)]
struct Path {
    text: String,
    /// Where each node's path ends in `text` while it is an ancestor of the node at hand.
    ends: Vec<usize>,
}

impl Path {
    /// Goes on to the node at `index`, the one behind the node before.
    fn enter(&mut self, profile: &Profile, index: usize) -> &str {
        let node = profile.nodes.get(index);
        let parent_end = node.and_then(|node| self.ends.get(to_index(node.parent)).copied());
        self.text.truncate(parent_end.unwrap_or(0));
        if parent_end.is_some() {
            self.text.push(';');
        }
        let frame = node.and_then(|node| profile.frames.get(to_index(node.frame)));
        self.text.extend(frame.iter().flat_map(|frame| frame.name.chars()).map(replace_separators));
        self.ends.push(self.text.len());
        &self.text
    }
}

fn replace_separators(character: char) -> char {
    match character {
        ';' => ':',
        '\n' | '\r' => ' ',
        other => other,
    }
}

fn to_index(index: u32) -> usize {
    index as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::{NO_PARENT, ProfileNode};

    fn profile(frames: &[&str], nodes: &[(u32, u32, u64)]) -> Profile {
        let node = |&(parent, frame, own)| ProfileNode { parent, frame, own: Nanos(own) };
        Profile { frames: frames.iter().map(|name| (*name).into()).collect(), nodes: nodes.iter().map(node).collect() }
    }

    #[test]
    fn a_line_is_a_path_and_its_own_microseconds() {
        let tree = [(NO_PARENT, 0, 1_500), (0, 1, 0), (1, 2, 2_600), (0, 2, 999)];
        let profile = profile(&["GET /", "a", "b"], &tree);
        assert_eq!(collapsed(&profile), "GET / 1\nGET /;a;b 3\nGET /;b 1\n");
        let paths: Vec<_> = paths(&profile).collect();
        let expected = [("GET /", 1_500), ("GET /;a;b", 2_600), ("GET /;b", 999)];
        assert_eq!(paths, expected.map(|(path, own)| (path.to_owned(), Nanos(own))));
    }

    #[test]
    fn a_separator_in_a_name_does_not_split_it() {
        let profile = profile(&["a;b\r\nc"], &[(NO_PARENT, 0, 1_000)]);
        assert_eq!(collapsed(&profile), "a:b  c 1\n");
    }

    #[test]
    fn nothing_gives_no_line() {
        assert_eq!(collapsed(&Profile::default()), "");
        assert_eq!(collapsed(&profile(&["a"], &[(NO_PARENT, 0, 0)])), "");
    }
}
