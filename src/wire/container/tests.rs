//! Files that are whole, cut, damaged, and of every codec.

use super::{ContainerError, ContainerFault, ContainerReader, ContainerWriter, Packing};
use crate::wire::avro::encode;
use apache_avro::types::Value;
use apache_avro::{Codec, Reader, Schema, Writer};
use std::path::Path;

const TEXT: &str = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"t","type":"string"}]}"#;

fn datum(index: i64) -> Vec<u8> {
    let mut datum = Vec::new();
    encode::long(index, &mut datum);
    encode::text(&format!("text {index}"), &mut datum);
    datum
}

fn written(packing: Packing, records: i64, seed: u64) -> Vec<u8> {
    let mut writer =
        ContainerWriter::new(Vec::new(), Path::new("w.avro"), TEXT, packing, seed).unwrap();
    (0..records).for_each(|index| writer.append(&datum(index)).unwrap());
    writer.finish().unwrap()
}

/// Counts and bytes of all blocks.
fn blocks(file: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, ContainerError> {
    let mut reader = ContainerReader::new(file, Path::new("r.avro"))?;
    let (mut blocks, mut buffer) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block(&mut buffer)? {
        blocks.push((block.count, buffer.clone()));
    }
    assert_eq!(reader.position(), file.len() as u64);
    Ok(blocks)
}

fn refused(file: &[u8]) -> String {
    blocks(file).expect_err("a bad file").to_string()
}

#[test]
fn what_we_write_is_read_by_us_and_by_apache_avro() {
    for packing in [Packing::Null, Packing::Deflate, Packing::Zstandard] {
        let file = written(packing, 20_000, 1);
        let blocks = blocks(&file).unwrap();
        assert!(blocks.len() > 3);
        assert_eq!(blocks.iter().map(|(count, _)| count).sum::<u64>(), 20_000);
        let all: Vec<u8> = blocks.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(all, (0..20_000).flat_map(datum).collect::<Vec<u8>>());
        let theirs: Vec<Value> = Reader::new(&file[..])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(theirs.len(), 20_000);
        let Value::Record(last) = &theirs[19_999] else {
            panic!("a record")
        };
        assert_eq!(last[0].1, Value::Long(19_999));
    }
}

#[test]
fn what_apache_avro_writes_is_read() {
    let schema = Schema::parse_str(TEXT).unwrap();
    for codec in [
        Codec::Null,
        Codec::Deflate(apache_avro::DeflateSettings::default()),
        Codec::Snappy,
        Codec::Zstandard(apache_avro::ZstandardSettings::default()),
    ] {
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
        for index in 0..50 {
            let fields = vec![
                ("n".to_owned(), Value::Long(index)),
                ("t".to_owned(), Value::String(format!("text {index}"))),
            ];
            writer.append_value(Value::Record(fields)).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let all: Vec<u8> = blocks(&file)
            .unwrap()
            .into_iter()
            .flat_map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(all, (0..50).flat_map(datum).collect::<Vec<u8>>());
        let bad_checksum = matches!(codec, Codec::Snappy).then(|| {
            let mut bad = file.clone();
            let at = bad.len() - 17;
            bad[at] ^= 1;
            refused(&bad)
        });
        if let Some(error) = bad_checksum {
            assert!(error.contains("cannot be unpacked"), "{error}");
        }
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    assert_eq!(
        written(Packing::Zstandard, 9_000, 1),
        written(Packing::Zstandard, 9_000, 1)
    );
    assert_ne!(written(Packing::Null, 1, 1), written(Packing::Null, 1, 2));
}

#[test]
fn an_empty_file_has_no_blocks() {
    assert_eq!(blocks(&written(Packing::Null, 0, 1)).unwrap(), []);
}

#[test]
fn errors_name_the_file_and_the_place() {
    let file = written(Packing::Null, 1, 1);
    let start = written(Packing::Null, 0, 1).len();
    let at = |at: usize, text: &str| format!("r.avro, byte {at}: {text}");
    let edited = |at: usize, byte: u8| {
        let mut edited = file.clone();
        edited[at] = byte;
        edited
    };
    assert_eq!(
        refused(b""),
        at(0, "no Avro object container file: wrong magic bytes")
    );
    assert_eq!(
        refused(b"Obj\x02 and so on"),
        at(0, "no Avro object container file: wrong magic bytes")
    );
    assert_eq!(refused(&file[..20]), at(4, "truncated"));
    assert_eq!(refused(&file[..start - 1]), at(start - 16, "truncated"));
    assert_eq!(
        refused(&edited(file.len() - 1, 0xee)),
        at(start, "wrong sync marker")
    );
    assert_eq!(refused(&edited(start, 1)), at(start, "invalid length"));
    assert_eq!(
        refused(&edited(start + 1, 0x01)),
        at(start, "invalid length")
    );
    for length in start + 1..file.len() {
        assert_eq!(refused(&file[..length]), at(start, "truncated"));
    }
    let renamed = |from: &str, to: &str| {
        let text: Vec<u8> = file.clone();
        let place = text
            .windows(from.len())
            .position(|bytes| bytes == from.as_bytes())
            .unwrap();
        [&text[..place], to.as_bytes(), &text[place + from.len()..]].concat()
    };
    let codecs = "unknown codec `nuli`: null, deflate, snappy and zstandard are known";
    assert_eq!(refused(&renamed("\x08null", "\x08nuli")), at(4, codecs));
    assert_eq!(
        refused(&renamed("avro.schema", "avro.schemo")),
        at(4, "the header has no `avro.schema`")
    );
    assert!(refused(&renamed("\"record\"", "\"retord\"")).starts_with(&at(4, "invalid schema: ")));
}

#[test]
fn a_promised_length_is_not_allocated() {
    let mut file = written(Packing::Null, 0, 1);
    encode::length(1, &mut file);
    encode::length(super::MAX_BLOCK_BYTES, &mut file);
    let mut reader = ContainerReader::new(&file[..], Path::new("r.avro")).unwrap();
    let mut buffer = Vec::new();
    let error = reader.next_block(&mut buffer).unwrap_err();
    assert!(matches!(error.fault, ContainerFault::Truncated));
    assert!(buffer.capacity() < 1 << 20);
}
