//! One sample in a ring, in words.
//!
//! ```text
//!  0               1      2      3     4   5   6   7   8     9      10 …
//! │length, flags │agent│label│time│ip│sp│fp│lr│base│start│ the stack │
//! ```

use super::super::RawSample;
use crate::capture::native::registers::Registers;

/// Words before the stack.
pub(super) const HEADER: usize = 10;
/// 64 KiB of stack at most: deeper ones lose their outermost frames.
pub(super) const MAX_STACK: usize = 64 * 1024 / size_of::<u64>();
const FOREIGN: u64 = 1 << 32;
const TRUNCATED: u64 = 1 << 33;

/// The words of a record that has `sample`'s header and a stack of `words` words (at most [`MAX_STACK`]) behind it, but
/// for the stack.
#[inline]
pub(super) fn header(agent: u64, sample: &RawSample<'_>, words: usize) -> [u64; HEADER] {
    let RawSample { registers, .. } = sample;
    let foreign = if sample.is_foreign_stack { FOREIGN } else { 0 };
    let truncated = if sample.is_truncated { TRUNCATED } else { 0 };
    [
        (HEADER + words) as u64 | foreign | truncated,
        agent,
        sample.label,
        sample.time,
        registers.ip,
        registers.sp,
        registers.fp,
        registers.lr,
        sample.base as u64,
        sample.start as u64,
    ]
}

/// The words of the record that begins with `first`.
pub(super) fn length(first: u64) -> usize {
    // The low half, so it fits.
    (first & u64::from(u32::MAX)) as usize
}

/// Whose sample it is, and the sample; `None` for words that are no record.
pub(super) fn read(record: &[u64]) -> Option<(u64, RawSample<'_>)> {
    let (header, words) = record.split_first_chunk::<HEADER>()?;
    let [flags, agent, label, time, ip, sp, fp, lr, base, start] = *header;
    let sample = RawSample {
        label,
        time,
        registers: Registers { ip, sp, fp, lr },
        base: usize::try_from(base).ok()?,
        start: usize::try_from(start).ok()?,
        words,
        is_foreign_stack: flags & FOREIGN != 0,
        is_truncated: flags & TRUNCATED != 0,
    };
    Some((agent, sample))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_back_its_sample() {
        let registers = Registers { ip: 1, sp: 2, fp: 3, lr: 4 };
        let words = [7, 8, 9];
        for (is_foreign_stack, is_truncated) in [(false, false), (true, false), (false, true)] {
            let (label, time, base, start) = (5, 6, 0x2000, 0x1000);
            let sample = RawSample { label, time, registers, base, start, words: &[], is_foreign_stack, is_truncated };
            let mut record = header(11, &sample, words.len()).to_vec();
            assert_eq!(record[0] & u64::from(u32::MAX), 13);
            record.extend(words);
            let (agent, read) = read(&record).unwrap();
            assert_eq!((agent, read.registers, read.words), (11, registers, &words[..]));
            assert_eq!((read.label, read.time, read.base, read.start), (label, time, base, start));
            assert_eq!((read.is_foreign_stack, read.is_truncated), (is_foreign_stack, is_truncated));
        }
    }

    #[test]
    fn what_is_shorter_than_a_header_is_no_record() {
        assert!(read(&[HEADER as u64; HEADER - 1]).is_none());
    }
}
