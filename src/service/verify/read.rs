//! Whole topics and their framed values, whatever schema they were written with.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use apache_avro::Schema;

use super::VerifyError;
use crate::adapters::log::{Log, Message, Position, Span};
use crate::adapters::schemas::{NoSchema, Schemas};
use crate::wire::datum::Datum;
use crate::wire::framing::unframe_ours;

/// Reads a whole topic, or on from positions; answers where to read on.
///
/// # Errors
/// When the log cannot be read, or `take` does not want to go on.
pub fn scan(
    log: &dyn Log,
    topic: &str,
    from: &[Position],
    take: &mut dyn FnMut(&Message<'_>) -> Result<(), VerifyError>,
) -> Result<Vec<Position>, VerifyError> {
    let partitions = log.partitions(&[topic])?[0].unwrap_or(0);
    let spans: Vec<Span> = (0..partitions)
        .map(|partition| Span {
            from: (from.iter())
                .find(|at| at.partition == partition)
                .map_or(0, |at| at.next),
            ..Span::whole(partition)
        })
        .collect();
    let mut outcome = Ok(());
    let positions = log.scan(topic, &spans, &mut |message| {
        let Some(message) = message else {
            return ControlFlow::Continue(());
        };
        match take(&message) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    outcome.map(|()| positions)
}

/// Reads framed values of one shape, whatever schema they were written with.
pub struct Reader<'s, T> {
    schemas: &'s Schemas,
    /// By id: `None` where the writer's schema is ours.
    writers: HashMap<u32, Option<Arc<Schema>>>,
    shape: std::marker::PhantomData<T>,
}

impl<'s, T: Datum> Reader<'s, T> {
    pub fn new(schemas: &'s Schemas) -> Self {
        Self {
            schemas,
            writers: HashMap::new(),
            shape: std::marker::PhantomData,
        }
    }

    /// The value, or why there is none.
    ///
    /// # Errors
    /// When the registry is away.
    pub fn read(&mut self, framed: Option<&[u8]>) -> Result<Result<T, String>, VerifyError> {
        let (id, datum) = match unframe_ours(framed) {
            Ok(framed) => framed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if !self.writers.contains_key(&id) {
            let writer = match self.schemas.schema(id) {
                Ok(writer) => writer,
                Err(error @ NoSchema::Registry(_)) => {
                    return Err(VerifyError::Schema { id, error });
                }
                Err(error @ (NoSchema::Unknown | NoSchema::Unreadable)) => {
                    return Ok(Err(format!("schema {id}: {error}")));
                }
            };
            let is_ours =
                serde_json::to_value(&*writer).ok() == serde_json::to_value(T::schema()).ok();
            self.writers.insert(id, (!is_ours).then_some(writer));
        }
        let read = match self.writers.get(&id).and_then(Option::as_deref) {
            None => T::from_bytes(datum).map_err(|error| error.to_string()),
            Some(writer) => T::decode(writer, datum).map_err(|error| error.to_string()),
        };
        Ok(read)
    }
}
