//! A stream of text cut into blocks at record boundaries.
//!
//! Every block but the last is filled to the same number of bytes before it is cut, so that block
//! n of a file is the same in every run, on every machine, with any number of threads.

use std::io::Read;

use memchr::{memchr, memchr_iter};

use crate::bounds::RAW_BYTES_MAX;

/// A whole number of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub text: Vec<u8>,
    /// Physical line of the first byte, from 1.
    pub first_line: u64,
    /// The block is the beginning of one record too long to be held.
    pub oversized: bool,
}

/// Finds where the last whole record of a text ends; 0 if there is none. The flag says that no
/// text follows.
pub type LastRecordEnd = Box<dyn FnMut(&[u8], bool) -> usize + Send>;

pub struct Blocks {
    reader: Box<dyn Read + Send>,
    last_record_end: LastRecordEnd,
    block_bytes: usize,
    record_bytes_max: usize,
    /// Read, but not yet given out.
    carry: Vec<u8>,
    line: u64,
    /// Within a record too long: pass over everything up to its end.
    skipping: bool,
    ended: bool,
}

impl Blocks {
    pub fn new(
        reader: Box<dyn Read + Send>,
        block_bytes: usize,
        record_bytes_max: usize,
        last_record_end: LastRecordEnd,
    ) -> Self {
        assert!(block_bytes > 0, "a block holds at least a byte");
        Self {
            reader,
            last_record_end,
            block_bytes,
            record_bytes_max,
            carry: Vec::new(),
            line: 1,
            skipping: false,
            ended: false,
        }
    }

    /// The stream's first byte is on this line of the file.
    pub fn starting_on(mut self, line: u64) -> Self {
        self.line = line;
        self
    }

    /// The next block; `None` at the end.
    pub fn next(&mut self) -> std::io::Result<Option<Block>> {
        // A record may be longer than the block: then the block grows up to the longest record.
        let mut want = self.block_bytes;
        loop {
            self.fill(want)?;
            if self.skipping && !self.skip_line() {
                if self.ended {
                    return Ok(None);
                }
                continue;
            }
            if self.carry.is_empty() && self.ended {
                return Ok(None);
            }
            if self.carry.len() < want && !self.ended {
                continue;
            }
            let end = match (self.last_record_end)(&self.carry, self.ended) {
                0 if self.ended => self.carry.len(),
                end => end,
            };
            if end > 0 {
                return Ok(Some(self.take(end)));
            }
            if self.carry.len() > self.record_bytes_max {
                return Ok(Some(self.take_oversized()));
            }
            want += self.block_bytes;
        }
    }

    /// The line on which the next block starts.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is left of the stream.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(std::io::Cursor::new(self.carry).chain(self.reader))
    }

    fn fill(&mut self, want: usize) -> std::io::Result<()> {
        if self.ended || self.carry.len() >= want {
            return Ok(());
        }
        let missing = want - self.carry.len();
        self.carry.reserve_exact(missing);
        let count = (&mut self.reader).take(missing as u64).read_to_end(&mut self.carry)?;
        self.ended = count < missing;
        Ok(())
    }

    fn take(&mut self, end: usize) -> Block {
        let rest = self.carry[end..].to_vec();
        let mut text = std::mem::replace(&mut self.carry, rest);
        text.truncate(end);
        let first_line = self.line;
        self.line += memchr_iter(b'\n', &text).count() as u64;
        Block { text, first_line, oversized: false }
    }

    fn take_oversized(&mut self) -> Block {
        let text = self.carry[..RAW_BYTES_MAX.min(self.carry.len())].to_vec();
        self.skipping = true;
        Block { text, first_line: self.line, oversized: true }
    }

    /// Passes over text up to the next line; false: it has not come yet.
    fn skip_line(&mut self) -> bool {
        match memchr(b'\n', &self.carry) {
            Some(newline) => {
                self.carry.drain(..=newline);
                self.line += 1;
                self.skipping = false;
                true
            }
            None => {
                self.carry.clear();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::bounds::RECORD_BYTES_MAX;
    use crate::split::last_record_end;

    fn cut(text: &str, block_bytes: usize) -> Vec<Block> {
        let reader = Box::new(Cursor::new(text.to_owned().into_bytes()));
        let cut = Box::new(|text: &[u8], _| last_record_end(text, b','));
        let mut blocks = Blocks::new(reader, block_bytes, RECORD_BYTES_MAX, cut);
        let mut all = Vec::new();
        while let Some(block) = blocks.next().expect("memory can be read") {
            all.push(block);
        }
        all
    }

    #[test]
    fn blocks_end_at_records_and_lose_nothing() {
        let text = "a,b\n1,\"two\nlines\"\n3,4\n5,6";
        for block_bytes in 1..40 {
            let blocks = cut(text, block_bytes);
            let joined: Vec<u8> = blocks.iter().flat_map(|block| block.text.clone()).collect();
            assert_eq!(joined, text.as_bytes(), "{block_bytes}");
            for block in &blocks {
                let text = std::str::from_utf8(&block.text).expect("ascii");
                assert!(!text.starts_with("lines"), "{block_bytes}: cut within quotes");
                assert!(text.ends_with('\n') || text.ends_with('6'), "{block_bytes}");
            }
            let last = blocks.last().expect("some");
            let lines = last.text.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(last.first_line + lines, 5, "{block_bytes}");
        }
    }

    #[test]
    fn a_record_without_end_does_not_stop_the_rest() {
        let text = format!("a\n{}\nb\n", "x".repeat(RECORD_BYTES_MAX * 3));
        let blocks = cut(&text, 1024 * 1024);
        assert_eq!(blocks[0].text, b"a\n");
        assert!(blocks[1].oversized);
        assert_eq!((blocks[1].first_line, blocks[1].text.len()), (2, RAW_BYTES_MAX));
        assert_eq!((blocks[2].first_line, blocks[2].text.as_slice()), (3, &b"b\n"[..]));
        assert_eq!(blocks.len(), 3);
    }
}
