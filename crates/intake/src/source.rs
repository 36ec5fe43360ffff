//! A file as a stream of UTF-8 bytes: gzip undone, encoding found out and undone.
//!
//! Nothing is mapped into memory or read whole. The stream counts the file's own bytes, so that a
//! progress bar is right for compressed files too.

use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Decoder, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;

use crate::bounds::SAMPLE_BYTES;
use crate::error::IntakeError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const READ_BYTES: usize = 256 * 1024;
/// GBK writes most characters as two bytes; a sample may end within one of four.
const TAIL_BYTES_MAX: usize = 4;

/// A text file opened for reading.
pub struct Source {
    pub reader: Box<dyn Read + Send>,
    /// The file's bytes read so far.
    pub position: Arc<AtomicU64>,
    /// Whether the bytes were another encoding, so that U+FFFD stands for what could not be read.
    pub transcoded: bool,
}

/// Opens `path`; `encoding` overrules what the file looks like.
pub fn open(path: &Path, encoding: Option<&str>) -> Result<Source, IntakeError> {
    let read = |source| IntakeError::Read { path: path.to_owned(), source };
    let position = Arc::new(AtomicU64::new(0));
    let file = File::open(path).map_err(read)?;
    let counted = Counted { file, position: Arc::clone(&position) };
    let mut source = from_reader(Box::new(counted), encoding, read)?;
    source.position = position;
    Ok(source)
}

/// The same from any reader, for tests and for text that is in memory already.
pub fn from_reader(
    mut raw: Box<dyn Read + Send>,
    encoding: Option<&str>,
    error: impl Fn(std::io::Error) -> IntakeError,
) -> Result<Source, IntakeError> {
    let magic = sample(&mut raw, GZIP_MAGIC.len()).map_err(&error)?;
    let zipped = magic == GZIP_MAGIC;
    let whole = Cursor::new(magic).chain(raw);
    let mut plain: Box<dyn Read + Send> =
        if zipped { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    let head = sample(&mut plain, SAMPLE_BYTES).map_err(&error)?;
    let (encoding, mark) = match encoding {
        Some(name) => (named(name)?, Encoding::for_bom(&head).map_or(0, |(_, length)| length)),
        None => guess(&head),
    };
    let mut start = Cursor::new(head);
    start.set_position(mark as u64);
    let rest = start.chain(plain);
    let transcoded = encoding != UTF_8;
    let reader: Box<dyn Read + Send> =
        if transcoded { Box::new(Transcoded::new(rest, encoding)) } else { Box::new(rest) };
    Ok(Source { reader, position: Arc::default(), transcoded })
}

fn named(name: &str) -> Result<&'static Encoding, IntakeError> {
    match name.to_lowercase().replace(['-', '_', ' '], "").as_str() {
        "utf8" | "utf8bom" | "utf8sig" => Ok(UTF_8),
        "gb18030" | "gbk" | "gb2312" | "cp936" => Ok(GB18030),
        "utf16" | "utf16le" => Ok(UTF_16LE),
        "utf16be" => Ok(UTF_16BE),
        _ => Err(IntakeError::Encoding(name.to_owned())),
    }
}

/// The encoding and the length of the byte order mark.
fn guess(head: &[u8]) -> (&'static Encoding, usize) {
    if let Some(found) = Encoding::for_bom(head) {
        return found;
    }
    let utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // Only cut off at the sample's end: `error_len` is `None` there.
        Err(error) => error.error_len().is_none() && head.len() == SAMPLE_BYTES,
    };
    if utf8 || !decodes_as_gb18030(head) { (UTF_8, 0) } else { (GB18030, 0) }
}

fn decodes_as_gb18030(head: &[u8]) -> bool {
    let shortest =
        if head.len() == SAMPLE_BYTES { head.len() - TAIL_BYTES_MAX } else { head.len() };
    (shortest..=head.len()).any(|end| {
        GB18030.decode_without_bom_handling_and_without_replacement(&head[..end]).is_some()
    })
}

/// The first `bytes` of a reader, fewer at its end.
fn sample(reader: &mut dyn Read, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(bytes as u64).read_to_end(&mut head)?;
    Ok(head)
}

struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Another encoding to UTF-8, piece by piece. Readers may ask for less than one character at a
/// time, so what is decoded waits in a buffer of its own.
struct Transcoded<R> {
    inner: R,
    decoder: Decoder,
    input: Vec<u8>,
    /// What of `input` is not decoded yet.
    pending: Range<usize>,
    output: Vec<u8>,
    /// What of `output` is not given out yet.
    ready: Range<usize>,
    ended: bool,
    finished: bool,
}

impl<R: Read> Transcoded<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_without_bom_handling(),
            input: vec![0; READ_BYTES],
            pending: 0..0,
            output: vec![0; READ_BYTES],
            ready: 0..0,
            ended: false,
            finished: false,
        }
    }

    fn decode(&mut self) -> std::io::Result<()> {
        while self.ready.is_empty() && !self.finished {
            if self.pending.is_empty() && !self.ended {
                let count = self.inner.read(&mut self.input)?;
                self.ended = count == 0;
                self.pending = 0..count;
            }
            let input = &self.input[self.pending.clone()];
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(input, &mut self.output, self.ended);
            self.pending.start += read;
            self.ready = 0..written;
            self.finished = self.ended && result == encoding_rs::CoderResult::InputEmpty;
        }
        Ok(())
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.decode()?;
        let count = self.ready.len().min(buffer.len());
        let from = self.ready.start;
        buffer[..count].copy_from_slice(&self.output[from..from + count]);
        self.ready.start += count;
        Ok(count)
    }
}
