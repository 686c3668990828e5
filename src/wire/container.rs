//! Avro object container files, a block at a time.

use super::avro::encode;
use apache_avro::{Codec, DeflateSettings, Schema, ZstandardSettings};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

const MAGIC: [u8; 4] = *b"Obj\x01";

/// The longest block and the longest header entry that are taken in, packed and unpacked.
const MAX_BLOCK_BYTES: usize = 256 << 20;

/// A block is written once it holds this many bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// Why a container file cannot be read or written.
#[derive(Debug, Error)]
#[error("{}, byte {at}: {fault}", path.display())]
pub struct ContainerError {
    /// The file.
    pub path: PathBuf,
    /// Where in the file the part begins that cannot be read.
    pub at: u64,
    /// What is wrong with it.
    #[source]
    pub fault: ContainerFault,
}

/// What is wrong with a container file.
#[derive(Debug, Error)]
pub enum ContainerFault {
    /// The file cannot be opened, read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file does not begin as container files do.
    #[error("no Avro object container file: wrong magic bytes")]
    WrongMagic,
    /// The file ends within a header or a block.
    #[error("truncated")]
    Truncated,
    /// A count or a length is no number, or out of bounds.
    #[error("invalid length")]
    InvalidLength,
    /// The header has no schema.
    #[error("the header has no `avro.schema`")]
    NoSchema,
    /// The header's schema cannot be parsed.
    #[error("invalid schema: {0}")]
    InvalidSchema(String),
    /// The file is packed in a way that is not supported.
    #[error("unknown codec `{0}`: null, deflate, snappy and zstandard are known")]
    UnknownCodec(String),
    /// The block cannot be unpacked, or its checksum is wrong.
    #[error("the block cannot be unpacked: {0}")]
    Unpack(String),
    /// The block does not end with the header's marker.
    #[error("wrong sync marker")]
    WrongMarker,
}

/// How the blocks of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Null,
    /// By deflate.
    Deflate,
    /// By zstandard.
    Zstandard,
}

impl Packing {
    const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Zstandard => "zstandard",
        }
    }

    fn codec(self) -> Codec {
        match self {
            Self::Null => Codec::Null,
            Self::Deflate => Codec::Deflate(DeflateSettings::default()),
            Self::Zstandard => Codec::Zstandard(ZstandardSettings::new(3)),
        }
    }
}

/// A block that has been read: its records stand one after another, without lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// How many records the file says the block has. It is not to be trusted for allocation.
    pub count: u64,
}

/// Reads a container file block by block.
#[derive(Debug)]
pub struct ContainerReader<R = BufReader<File>> {
    input: Counted<R>,
    path: PathBuf,
    schema: Schema,
    codec: Codec,
    marker: [u8; 16],
    length: Option<u64>,
}

impl ContainerReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be opened or is no container file of a known codec.
    pub fn open(path: &Path) -> Result<Self, ContainerError> {
        let fail = |error: io::Error| ContainerError {
            path: path.to_owned(),
            at: 0,
            fault: error.into(),
        };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut reader = Self::new(BufReader::with_capacity(1 << 18, file), path)?;
        reader.length = Some(length);
        Ok(reader)
    }
}

impl<R: BufRead> ContainerReader<R> {
    /// Reads the header of an input; the path is what errors name.
    ///
    /// # Errors
    /// When the input is no container file of a known codec.
    pub fn new(input: R, path: &Path) -> Result<Self, ContainerError> {
        let mut input = Counted { input, at: 0 };
        let header = header(&mut input);
        let (schema, codec, marker) = header.map_err(|(at, fault)| ContainerError {
            path: path.to_owned(),
            at,
            fault,
        })?;
        Ok(Self {
            input,
            path: path.to_owned(),
            schema,
            codec,
            marker,
            length: None,
        })
    }

    /// The schema that the file was written with.
    pub const fn writer_schema(&self) -> &Schema {
        &self.schema
    }

    /// How many bytes of the file have been read.
    pub const fn position(&self) -> u64 {
        self.input.at
    }

    /// How many bytes the file has, if it is one.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Reads the next block into the buffer, in place of what it held; none at the end of the file.
    ///
    /// # Errors
    /// When the block cannot be read. What follows it cannot be found, so that the file ends there.
    pub fn next_block(&mut self, into: &mut Vec<u8>) -> Result<Option<Block>, ContainerError> {
        let start = self.input.at;
        self.read_block(into).map_err(|fault| ContainerError {
            path: self.path.clone(),
            at: start,
            fault,
        })
    }

    fn read_block(&mut self, into: &mut Vec<u8>) -> Result<Option<Block>, ContainerFault> {
        into.clear();
        if self.input.is_at_end()? {
            return Ok(None);
        }
        let count = u64::try_from(self.input.long()?).map_err(|_| ContainerFault::InvalidLength)?;
        let size = self.input.length()?;
        self.input.take_into(size, into)?;
        if self.input.array::<16>()? != self.marker {
            return Err(ContainerFault::WrongMarker);
        }
        self.codec
            .decompress(into)
            .map_err(|error| ContainerFault::Unpack(error.to_string()))?;
        Ok(Some(Block { count }))
    }
}

/// The schema, the codec and the marker of a file, or where its header goes wrong.
fn header<R: BufRead>(
    input: &mut Counted<R>,
) -> Result<(Schema, Codec, [u8; 16]), (u64, ContainerFault)> {
    let magic = input.array::<4>().map_err(|fault| {
        let short = matches!(fault, ContainerFault::Truncated);
        (
            0,
            if short {
                ContainerFault::WrongMagic
            } else {
                fault
            },
        )
    })?;
    if magic != MAGIC {
        return Err((0, ContainerFault::WrongMagic));
    }
    let start = input.at;
    let entries = entries(input).map_err(|fault| (start, fault))?;
    let entry = |key: &str| {
        entries
            .iter()
            .find(|(name, _)| name == key.as_bytes())
            .map(|(_, value)| value)
    };
    let text = entry("avro.schema").ok_or((start, ContainerFault::NoSchema))?;
    let schema = std::str::from_utf8(text).map_err(|error| error.to_string());
    let schema = schema.and_then(|text| Schema::parse_str(text).map_err(|error| error.to_string()));
    let schema = schema.map_err(|error| (start, ContainerFault::InvalidSchema(error)))?;
    let codec = match entry("avro.codec").map_or(&b"null"[..], Vec::as_slice) {
        b"null" => Codec::Null,
        b"deflate" => Codec::Deflate(DeflateSettings::default()),
        b"snappy" => Codec::Snappy,
        b"zstandard" => Codec::Zstandard(ZstandardSettings::default()),
        other => {
            return Err((
                start,
                ContainerFault::UnknownCodec(String::from_utf8_lossy(other).into_owned()),
            ));
        }
    };
    let at = input.at;
    let marker = input.array().map_err(|fault| (at, fault))?;
    Ok((schema, codec, marker))
}

type Entry = (Vec<u8>, Vec<u8>);

/// The header's map of bytes.
fn entries<R: BufRead>(input: &mut Counted<R>) -> Result<Vec<Entry>, ContainerFault> {
    let mut entries = Vec::new();
    loop {
        let count = input.long()?;
        if count == 0 {
            return Ok(entries);
        }
        if count < 0 {
            input.length()?;
        }
        for _ in 0..count.unsigned_abs() {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            let length = input.length()?;
            input.take_into(length, &mut key)?;
            let length = input.length()?;
            input.take_into(length, &mut value)?;
            entries.push((key, value));
        }
    }
}

/// An input that knows how many bytes it gave.
#[derive(Debug)]
struct Counted<R> {
    input: R,
    at: u64,
}

impl<R: BufRead> Counted<R> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.input.fill_buf()?.is_empty())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ContainerFault> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(truncation)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn long(&mut self) -> Result<i64, ContainerFault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                return Err(ContainerFault::InvalidLength);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(ContainerFault::InvalidLength)
    }

    fn length(&mut self) -> Result<usize, ContainerFault> {
        let length = usize::try_from(self.long()?)
            .ok()
            .filter(|&length| length <= MAX_BLOCK_BYTES);
        length.ok_or(ContainerFault::InvalidLength)
    }

    /// Appends that many bytes. Grows with what is there, not with what is promised.
    fn take_into(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), ContainerFault> {
        let taken = self.input.by_ref().take(length as u64).read_to_end(into)?;
        self.at += taken as u64;
        if taken < length {
            Err(ContainerFault::Truncated)
        } else {
            Ok(())
        }
    }
}

fn truncation(error: io::Error) -> ContainerFault {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ContainerFault::Truncated
    } else {
        error.into()
    }
}

/// Writes a container file: the same records, schema, packing and seed give the same bytes.
#[derive(Debug)]
pub struct ContainerWriter<W: Write = BufWriter<File>> {
    output: W,
    path: PathBuf,
    packing: Packing,
    marker: [u8; 16],
    block: Vec<u8>,
    count: usize,
    at: u64,
}

impl ContainerWriter {
    /// Creates a file, in place of what was there, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be created or written.
    pub fn create(
        path: &Path,
        schema: &str,
        packing: Packing,
        seed: u64,
    ) -> Result<Self, ContainerError> {
        let file = File::create(path).map_err(|error| ContainerError {
            path: path.to_owned(),
            at: 0,
            fault: error.into(),
        })?;
        Self::new(
            BufWriter::with_capacity(1 << 18, file),
            path,
            schema,
            packing,
            seed,
        )
    }
}

impl<W: Write> ContainerWriter<W> {
    /// Writes the header to an output; the path is what errors name. The schema is JSON.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn new(
        output: W,
        path: &Path,
        schema: &str,
        packing: Packing,
        seed: u64,
    ) -> Result<Self, ContainerError> {
        let digest = Sha256::new()
            .chain_update(schema)
            .chain_update(seed.to_le_bytes())
            .finalize();
        let mut marker = [0; 16];
        marker.copy_from_slice(&digest[..16]);
        let mut header = MAGIC.to_vec();
        encode::length(2, &mut header);
        encode::text("avro.codec", &mut header);
        encode::text(packing.name(), &mut header);
        encode::text("avro.schema", &mut header);
        encode::text(schema, &mut header);
        encode::length(0, &mut header);
        header.extend_from_slice(&marker);
        let mut writer = Self {
            output,
            path: path.to_owned(),
            packing,
            marker,
            block: Vec::new(),
            count: 0,
            at: 0,
        };
        writer.write(&header)?;
        Ok(writer)
    }

    /// Appends one record's datum.
    ///
    /// # Errors
    /// When a block is full and cannot be written.
    pub fn append(&mut self, datum: &[u8]) -> Result<(), ContainerError> {
        self.block.extend_from_slice(datum);
        self.count += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.write_block()
        } else {
            Ok(())
        }
    }

    /// Writes what is left, and hands back the output, flushed.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> Result<W, ContainerError> {
        if self.count > 0 {
            self.write_block()?;
        }
        let (path, at) = (self.path, self.at);
        self.output.flush().map_err(|error| ContainerError {
            path,
            at,
            fault: error.into(),
        })?;
        Ok(self.output)
    }

    fn write_block(&mut self) -> Result<(), ContainerError> {
        let mut head = Vec::with_capacity(20);
        encode::length(self.count, &mut head);
        let mut block = std::mem::take(&mut self.block);
        let packed = self.packing.codec().compress(&mut block);
        packed.map_err(|error| self.fail(ContainerFault::Unpack(error.to_string())))?;
        encode::length(block.len(), &mut head);
        self.write(&head)?;
        self.write(&block)?;
        self.write(&self.marker.clone())?;
        block.clear();
        self.block = block;
        self.count = 0;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ContainerError> {
        self.output
            .write_all(bytes)
            .map_err(|error| self.fail(error.into()))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn fail(&self, fault: ContainerFault) -> ContainerError {
        ContainerError {
            path: self.path.clone(),
            at: self.at,
            fault,
        }
    }
}

#[cfg(test)]
mod tests;
