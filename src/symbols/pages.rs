//! Files read page by page, so that debug information costs the memory of what was looked at and not its own size.
//!
//! Not mapped into memory: a mapped file that is cut short while we read it kills the process with SIGBUS.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::rc::Rc;

/// Long enough that walking through a unit is few reads, short enough that one string does not cost much.
pub(super) const PAGE: usize = 16 * 1024;

/// A page of a file: the number that the [`PageCache`] gave the file, and which of its pages.
type PageKey = (u32, u64);

/// The pages of all files, the oldest given up first.
#[derive(Debug)]
pub(super) struct PageCache {
    pages: RefCell<Pages>,
    most: usize,
}

#[derive(Debug, Default)]
struct Pages {
    held: HashMap<PageKey, Rc<[u8]>>,
    order: VecDeque<PageKey>,
    files: u32,
}

impl PageCache {
    /// Keeps at most `bytes`, and never fewer than one page.
    pub(super) fn new(bytes: usize) -> Rc<Self> {
        Rc::new(Self { pages: RefCell::default(), most: (bytes / PAGE).max(1) })
    }

    /// What the pages occupy.
    pub(super) fn bytes(&self) -> usize {
        self.pages.borrow().held.len() * PAGE
    }

    /// Gives up all of them.
    pub(super) fn clear(&self) {
        let mut pages = self.pages.borrow_mut();
        pages.held = HashMap::new();
        pages.order = VecDeque::new();
    }

    fn next_file(&self) -> u32 {
        let mut pages = self.pages.borrow_mut();
        pages.files = pages.files.wrapping_add(1);
        pages.files
    }

    fn page(&self, key: PageKey, read: impl FnOnce() -> io::Result<Rc<[u8]>>) -> io::Result<Rc<[u8]>> {
        if let Some(page) = self.pages.borrow().held.get(&key) {
            return Ok(page.clone());
        }
        let page = read()?;
        let mut pages = self.pages.borrow_mut();
        while pages.held.len() >= self.most {
            let Some(oldest) = pages.order.pop_front() else { break };
            pages.held.remove(&oldest);
        }
        pages.order.push_back(key);
        pages.held.insert(key, page.clone());
        Ok(page)
    }
}

/// An open file whose pages are in a [`PageCache`].
#[derive(Debug)]
pub(super) struct PagedFile {
    file: File,
    number: u32,
    cache: Rc<PageCache>,
    /// The page that was read last: most reads follow one another.
    current: RefCell<Option<(u64, Rc<[u8]>)>>,
}

impl PagedFile {
    pub(super) fn new(file: File, cache: Rc<PageCache>) -> Rc<Self> {
        Rc::new(Self { file, number: cache.next_file(), cache, current: RefCell::default() })
    }

    /// What is in the page of `offset`, from there to the page's end; empty past the end of the file.
    pub(super) fn with_page<R>(&self, offset: u64, f: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
        let (number, within) = (offset / PAGE as u64, (offset % PAGE as u64) as usize);
        let mut current = self.current.borrow_mut();
        let page = match &*current {
            Some((held, page)) if *held == number => page,
            _ => {
                let page = self.cache.page((self.number, number), || self.read_page(number))?;
                &current.insert((number, page)).1
            }
        };
        Ok(f(page.get(within..).unwrap_or_default()))
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn read_exact_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let copied = self.with_page(offset, |page| {
                let length = page.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..length), page.get(..length)) {
                    to.copy_from_slice(from);
                }
                length
            })?;
            if copied == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += copied as u64;
            buffer = buffer.get_mut(copied..).unwrap_or_default();
        }
        Ok(())
    }

    /// Where the first `byte` is in the `length` bytes from `offset` on, counted from `offset`.
    pub(super) fn find(&self, offset: u64, length: u64, byte: u8) -> io::Result<Option<u64>> {
        let mut passed = 0;
        while passed < length {
            let (found, seen) = self.with_page(offset + passed, |page| {
                let rest = usize::try_from(length - passed).unwrap_or(usize::MAX).min(page.len());
                let found = page.iter().take(rest).position(|other| *other == byte);
                (found.map(|at| at as u64), rest as u64)
            })?;
            match found {
                Some(at) => return Ok(Some(passed + at)),
                None if seen == 0 => return Ok(None),
                None => passed += seen,
            }
        }
        Ok(None)
    }

    /// The last page of a file is short.
    fn read_page(&self, number: u64) -> io::Result<Rc<[u8]>> {
        let mut page = vec![0; PAGE];
        let mut length = 0;
        while let Some(rest) = page.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match read_at(&self.file, rest, number * PAGE as u64 + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        page.truncate(length);
        Ok(page.into())
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Native stacks are taken on Linux only.
#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn paged(contents: &[u8], most_bytes: usize) -> (Rc<PagedFile>, Rc<PageCache>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        let cache = PageCache::new(most_bytes);
        (PagedFile::new(file, cache.clone()), cache)
    }

    #[test]
    fn a_read_goes_over_the_edge_of_pages_and_not_past_the_end() {
        let contents = (0..3 * PAGE + 5).map(|at| (at % 251) as u8).collect::<Vec<_>>();
        let (file, _) = paged(&contents, usize::MAX);
        let mut buffer = vec![0; 2 * PAGE];
        file.read_exact_at(PAGE as u64 - 3, &mut buffer).unwrap();
        assert!(buffer == contents[PAGE - 3..3 * PAGE - 3]);
        file.read_exact_at(contents.len() as u64 - 1, &mut buffer[..1]).unwrap();
        let past = file.read_exact_at(contents.len() as u64 - 1, &mut buffer[..2]);
        assert_eq!(past.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_byte_is_found_across_pages_and_within_the_length_only() {
        let mut contents = vec![1; 2 * PAGE];
        contents[PAGE + 7] = 0;
        let (file, _) = paged(&contents, usize::MAX);
        assert_eq!(file.find(10, 2 * PAGE as u64, 0).unwrap(), Some(PAGE as u64 - 3));
        assert_eq!(file.find(10, 20, 0).unwrap(), None);
        assert_eq!(file.find(0, u64::MAX, 9).unwrap(), None);
    }

    #[test]
    fn no_more_pages_are_held_than_allowed_and_they_are_read_again() {
        let contents = (0..40 * PAGE).map(|at| (at / PAGE) as u8).collect::<Vec<_>>();
        let (file, cache) = paged(&contents, 4 * PAGE);
        for round in 0..2 {
            for page in 0..40_u8 {
                let mut byte = [0];
                file.read_exact_at(u64::from(page) * PAGE as u64 + round, &mut byte).unwrap();
                assert_eq!(byte, [page]);
                assert!(cache.bytes() <= 4 * PAGE);
            }
        }
        assert_eq!(cache.bytes(), 4 * PAGE);
        cache.clear();
        assert_eq!(cache.bytes(), 0);
    }
}
