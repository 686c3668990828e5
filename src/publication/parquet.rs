//! The publication's files as Parquet: the same columns, counts as 64-bit integers, shares as doubles, texts as UTF-8.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::PublicationError;
use super::table::{Kind, Layout, Line, Table, Value};

/// Lines of a row group at most: a reader takes one at a time into memory.
const GROUP: usize = 500_000;

/// Writes a file, compressed with Snappy.
///
/// # Errors
/// When it cannot be written; the error names it.
pub fn write(table: &Table<'_>, path: &Path) -> Result<(), PublicationError> {
    let file = File::create(path).map_err(|error| PublicationError::new(path, error))?;
    write_to(table, file).map_err(|error| PublicationError::new(path, error))
}

/// The same in memory.
///
/// # Errors
/// When the lines do not fit the layout, which the publication's do.
pub fn bytes(table: &Table<'_>) -> Result<Vec<u8>, ParquetError> {
    let mut bytes = Vec::new();
    write_to(table, &mut bytes)?;
    Ok(bytes)
}

fn write_to<W: Write + Send>(table: &Table<'_>, to: W) -> Result<(), ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let schema = schema(table.layout)?;
    let mut writer = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
    for lines in table.lines().chunks(GROUP) {
        let mut group = writer.next_row_group()?;
        for (at, column) in table.layout.columns.iter().enumerate() {
            column_of(&mut group, lines, at, column.kind)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn schema(layout: &Layout) -> Result<TypePtr, ParquetError> {
    let columns = layout.columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Key | Kind::Name => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Count | Kind::Total => (Physical::INT64, None),
            Kind::Share => (Physical::DOUBLE, None),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(if may_lack(column.kind) {
                Repetition::OPTIONAL
            } else {
                Repetition::REQUIRED
            })
            .build()
            .map(Arc::new)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let message = Type::group_type_builder(layout.file).with_fields(columns);
    Ok(Arc::new(message.build()?))
}

const fn may_lack(kind: Kind) -> bool {
    matches!(kind, Kind::Total | Kind::Share)
}

fn column_of<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    lines: &[Line<'_>],
    at: usize,
    kind: Kind,
) -> Result<(), ParquetError> {
    let mut column = (group.next_column()?).expect("the schema has as many columns as the layout");
    let values = lines.iter().map(|line| &line.values[at]);
    // 1 where there is a value, 0 where there is none; only columns that may lack values have levels.
    let levels: Option<Vec<i16>> = may_lack(kind).then(|| {
        let levels = values.clone().map(|it| i16::from(*it != Value::Nothing));
        levels.collect()
    });
    let levels = levels.as_deref();
    match kind {
        Kind::Key | Kind::Name => {
            let texts = values.filter_map(|value| match value {
                Value::Text(text) => Some(ByteArray::from(&**text)),
                Value::Count(_) | Value::Share(_) | Value::Nothing => None,
            });
            let texts: Vec<ByteArray> = texts.collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&texts, levels, None)?;
        }
        Kind::Count | Kind::Total => {
            let counts = values.filter_map(|value| match value {
                Value::Count(count) => Some(*count),
                Value::Text(_) | Value::Share(_) | Value::Nothing => None,
            });
            let counts: Vec<i64> = counts.collect();
            column
                .typed::<Int64Type>()
                .write_batch(&counts, levels, None)?;
        }
        Kind::Share => {
            let shares = values.filter_map(|value| match value {
                Value::Share(share) => Some(*share),
                Value::Text(_) | Value::Count(_) | Value::Nothing => None,
            });
            let shares: Vec<f64> = shares.collect();
            column
                .typed::<DoubleType>()
                .write_batch(&shares, levels, None)?;
        }
    }
    column.close()
}
