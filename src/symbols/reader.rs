//! What gimli reads debug information through: a part of a file, or bytes that had to be unpacked.

use std::borrow::Cow;
use std::rc::Rc;

use addr2line::gimli::{self, Error, LittleEndian, ReaderOffsetId, Result};

use super::pages::PagedFile;

#[derive(Debug, Clone)]
enum Source {
    File(Rc<PagedFile>),
    Memory(Rc<[u8]>),
}

/// A cursor over bytes `start..end` of a source.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    source: Source,
    start: u64,
    end: u64,
}

impl Reader {
    /// Over `length` bytes of `file` from `offset` on.
    pub(super) fn of_file(file: Rc<PagedFile>, offset: u64, length: u64) -> Self {
        Self { source: Source::File(file), start: offset, end: offset.saturating_add(length) }
    }

    /// Over all of `bytes`.
    pub(super) fn of_memory(bytes: Rc<[u8]>) -> Self {
        let end = bytes.len() as u64;
        Self { source: Source::Memory(bytes), start: 0, end }
    }

    pub(super) fn empty() -> Self {
        Self::of_memory(Rc::new([]))
    }

    /// What is held in memory for as long as a reader of it lives.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.source {
            Source::File(_) => 0,
            Source::Memory(bytes) => bytes.len(),
        }
    }

    fn left(&self) -> u64 {
        self.end - self.start
    }

    fn eof(&self) -> Error {
        Error::UnexpectedEof(ReaderOffsetId(self.start))
    }

    fn copy(&self, buffer: &mut [u8]) -> Result<()> {
        if buffer.len() as u64 > self.left() {
            return Err(self.eof());
        }
        match &self.source {
            // Whatever went wrong, the bytes are not there; addr2line keeps the error and asks no more.
            Source::File(file) => file.read_exact_at(self.start, buffer).map_err(|_| self.eof()),
            Source::Memory(bytes) => {
                let start = self.start as usize;
                let from = bytes.get(start..start + buffer.len()).ok_or_else(|| self.eof())?;
                buffer.copy_from_slice(from);
                Ok(())
            }
        }
    }

    fn position(&self, byte: u8) -> Option<u64> {
        match &self.source {
            Source::File(file) => file.find(self.start, self.left(), byte).ok().flatten(),
            Source::Memory(bytes) => {
                let rest = bytes.get(self.start as usize..self.end as usize)?;
                rest.iter().position(|other| *other == byte).map(|at| at as u64)
            }
        }
    }
}

impl gimli::Reader for Reader {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        self.left() as usize
    }

    fn empty(&mut self) {
        self.end = self.start;
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        if len as u64 > self.left() {
            return Err(self.eof());
        }
        self.end = self.start + len as u64;
        Ok(())
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.start.saturating_sub(base.start) as usize
    }

    fn offset_id(&self) -> ReaderOffsetId {
        ReaderOffsetId(self.start)
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        (self.start..=self.end).contains(&id.0).then(|| (id.0 - self.start) as usize)
    }

    fn find(&self, byte: u8) -> Result<usize> {
        self.position(byte).map(|at| at as usize).ok_or_else(|| self.eof())
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        if len as u64 > self.left() {
            return Err(self.eof());
        }
        self.start += len as u64;
        Ok(())
    }

    fn split(&mut self, len: usize) -> Result<Self> {
        let mut front = self.clone();
        front.truncate(len)?;
        self.skip(len)?;
        Ok(front)
    }

    fn to_slice(&self) -> Result<Cow<'_, [u8]>> {
        let mut bytes = vec![0; self.len()];
        self.copy(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    fn to_string(&self) -> Result<Cow<'_, str>> {
        let bytes = self.to_slice()?.into_owned();
        String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Error::BadUtf8)
    }

    fn to_string_lossy(&self) -> Result<Cow<'_, str>> {
        let bytes = self.to_slice()?;
        Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn read_slice(&mut self, buf: &mut [u8]) -> Result<()> {
        self.copy(buf)?;
        self.start += buf.len() as u64;
        Ok(())
    }
}
