//! Stacks as collapsed text: a line for each path.

use std::fmt::Write as _;

use super::stacks::Stacks;

/// `root;…;leaf µs` for each path. Only here a `;` in a name is a `:` and a line break a space.
pub(crate) fn collapsed(stacks: &Stacks) -> String {
    let mut lines = String::new();
    for (path, micros) in stacks.paths() {
        for (at, function) in path.iter().enumerate() {
            if at > 0 {
                lines.push(';');
            }
            lines.extend(stacks.name(*function).chars().map(plain));
        }
        // Writing into a string cannot fail.
        writeln!(lines, " {micros}").ok();
    }
    lines
}

fn plain(c: char) -> char {
    match c {
        ';' => ':',
        '\n' | '\r' => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::collapsed;
    use crate::graph::testing::stacks;

    #[test]
    fn separators_in_names_are_replaced() {
        let mut stacks = stacks(&[("r;a b", 3), ("r", 0)]);
        assert_eq!(collapsed(&stacks), "r;a b 3\nr 0\n");
        stacks = super::super::testing::stacks(&[("x\ny", 1)]);
        assert_eq!(collapsed(&stacks), "x y 1\n");
    }
}
