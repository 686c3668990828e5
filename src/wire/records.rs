//! The values of a container file, one after another.

use super::container::{ContainerError, ContainerReader};
use super::datum::{Datum, DatumError, Resolver};
use apache_avro::Schema;
use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a file's values end, or some of them cannot be had.
#[derive(Debug, Error)]
pub enum RecordsError {
    /// The file cannot be read on.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A value cannot be decoded, nor can those after it in its block be found.
    #[error("{}, before byte {at}: {lost} records cannot be read: {source}", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// Where the block ends.
        at: u64,
        /// How many records of the block are lost.
        lost: u64,
        /// What is wrong with the first of them.
        source: DatumError,
    },
}

/// Reads a file's values, whatever schema it was written with, one block in memory at a time.
#[derive(Debug)]
pub struct Records<T> {
    reader: ContainerReader<BufReader<File>>,
    path: PathBuf,
    block: Vec<u8>,
    ready: VecDeque<Result<T, RecordsError>>,
    ended: bool,
}

impl<T: Datum> Records<T> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is no container file.
    pub fn open(path: &Path) -> Result<Self, ContainerError> {
        let reader = ContainerReader::open(path)?;
        Ok(Self {
            reader,
            path: path.to_owned(),
            block: Vec::new(),
            ready: VecDeque::new(),
            ended: false,
        })
    }

    /// The schema that the file was written with.
    #[must_use]
    pub const fn writer_schema(&self) -> &Schema {
        self.reader.writer_schema()
    }

    /// How many bytes of the file have been read.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.reader.position()
    }

    /// Decodes the next block; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ContainerError> {
        let Some(block) = self.reader.next_block(&mut self.block)? else {
            return Ok(false);
        };
        let mut rest = &self.block[..];
        let resolver = Resolver::<T>::new(self.reader.writer_schema());
        let undecodable = |lost: u64, source: DatumError| RecordsError::Undecodable {
            path: self.path.clone(),
            at: self.reader.position(),
            lost,
            source,
        };
        match resolver {
            Err(source) => self.ready.push_back(Err(undecodable(block.count, source))),
            Ok(resolver) => {
                for number in 0..block.count {
                    match resolver.front(&mut rest) {
                        Ok(value) => self.ready.push_back(Ok(value)),
                        Err(source) => {
                            self.ready
                                .push_back(Err(undecodable(block.count - number, source)));
                            break;
                        }
                    }
                }
            }
        }
        Ok(true)
    }
}

impl<T: Datum> Iterator for Records<T> {
    type Item = Result<T, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            match self.fill() {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.ready.pop_front()
    }
}
