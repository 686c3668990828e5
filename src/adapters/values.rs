//! Framed values, read by the schemas that they were written with.

use std::cell::RefCell;
use std::collections::HashMap;

use super::schemas::{NoSchema, Schemas};
use crate::wire::datum::{Datum, DatumError, is_ours};
use crate::wire::framing::{FramingError, unframe};

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Schema(#[from] NoSchema),
    #[error(transparent)]
    Datum(#[from] DatumError),
}

/// Reads framed values. A row takes a microsecond, asking whether its writer's schema is ours a hundred: asked once each.
pub struct Values<'a> {
    schemas: &'a Schemas,
    /// By id of the writer's schema, and name of the shape that it is read as.
    ours: RefCell<HashMap<(u32, &'static str), bool>>,
}

impl<'a> Values<'a> {
    #[must_use]
    pub fn new(schemas: &'a Schemas) -> Self {
        Self {
            schemas,
            ours: RefCell::default(),
        }
    }

    /// A framed value, by the schema that it was written with.
    ///
    /// # Errors
    /// When the schema cannot be had, or the value is another.
    pub fn decode<T: Datum>(&self, framed: Option<&[u8]>) -> Result<T, Unreadable> {
        let (id, datum) = unframe(framed)?;
        let key = (id, std::any::type_name::<T>());
        let known = self.ours.borrow().get(&key).copied();
        if known == Some(true) {
            return Ok(T::from_bytes(datum).map_err(DatumError::from)?);
        }
        let writer = self.schemas.schema(id)?;
        if known.is_none() {
            self.ours.borrow_mut().insert(key, is_ours::<T>(&writer));
        }
        Ok(T::decode(&writer, datum)?)
    }
}
