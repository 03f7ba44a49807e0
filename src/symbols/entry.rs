//! What an entry of the debug information calls a function. addr2line gives the linker's name where there is one, and that
//! may be without the function's type arguments.

use addr2line::gimli::{self, AttributeValue, Dwarf, Unit, UnitOffset, UnitRef};

use super::reader::Reader;

/// From an inlined call to the function it is a call of, and from there to its declaration.
const MOST_STEPS: usize = 8;

/// The name of the function of `entry`, which may be an inlined call, with its arguments: `complete<shop::load, u32>`.
pub(super) fn own_name(unit: UnitRef<'_, Reader>, mut entry: UnitOffset) -> Option<String> {
    let mut other = None::<Unit<Reader>>;
    for _ in 0..MOST_STEPS {
        let here = other.as_ref().map_or(unit, |other| UnitRef::new(unit.dwarf, other));
        let reference = match step(here, entry)? {
            Step::Named(name) => return Some(name),
            Step::On(reference) => reference,
        };
        let (found, at) = follow(here, &reference)?;
        entry = at;
        other = found.or(other);
    }
    None
}

enum Step {
    Named(String),
    On(AttributeValue<Reader>),
}

fn step(unit: UnitRef<'_, Reader>, entry: UnitOffset) -> Option<Step> {
    let entry = unit.entry(entry).ok()?;
    if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
        let name = unit.attr_string(name).ok()?;
        return Some(Step::Named(gimli::Reader::to_string_lossy(&name).ok()?.into_owned()));
    }
    let on = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
    on.into_iter().find_map(|attribute| entry.attr_value(attribute)).map(Step::On)
}

/// The entry that `reference` stands for, with its unit where that is another one: units that were optimised together are
/// inlined into each other.
fn follow(unit: UnitRef<'_, Reader>, reference: &AttributeValue<Reader>) -> Option<(Option<Unit<Reader>>, UnitOffset)> {
    match *reference {
        AttributeValue::UnitRef(entry) => Some((None, entry)),
        AttributeValue::DebugInfoRef(at) => match at.to_unit_offset(&unit.header) {
            Some(entry) => Some((None, entry)),
            None => unit_at(unit.dwarf, at).map(|(unit, entry)| (Some(unit), entry)),
        },
        _ => None,
    }
}

fn unit_at(dwarf: &Dwarf<Reader>, at: gimli::DebugInfoOffset) -> Option<(Unit<Reader>, UnitOffset)> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().ok()? {
        if let Some(entry) = at.to_unit_offset(&header) {
            return Some((dwarf.unit(header).ok()?, entry));
        }
    }
    None
}
