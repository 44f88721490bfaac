//! The schemas of a tool, compiled; those of a plugin's tools are compiled together, and what they take is bounded together.

use std::sync::Arc;

use scout_runtime::{Meter, Stopped, Structured, ToolDescription};
use serde_json::{Map, Value};

use crate::render::Reply;
use crate::schema::{Compiler, Schema, Unusable};

/// A tool's schemas.
#[derive(Debug)]
pub(crate) struct Schemas {
    arguments: Schema,
    answer: Option<Schema>,
}

impl Schemas {
    /// Those of these tools, in their order, and what all of them take, in bytes, at most.
    ///
    /// # Errors
    /// A schema that cannot be used, with why.
    pub(crate) fn of(tools: &[ToolDescription], meter: &mut Meter) -> Result<(Vec<Arc<Self>>, usize), String> {
        let mut compiler = Compiler::default();
        let mut all = Vec::with_capacity(tools.len());
        for tool in tools {
            let mut compiled = |what: &str, schema: &Map<String, Value>| {
                compiler.compile(schema, meter).map_err(|why| {
                    let why = match why {
                        Unusable::Wrong(why) => why,
                        Unusable::Stopped(_) => {
                            "the schemas of its tools together take too long to be compiled".to_owned()
                        }
                    };
                    format!("the {what} schema of its tool `{}` cannot be used: {why}", tool.name)
                })
            };
            let arguments = compiled("input", &tool.input_schema)?;
            let answer = tool.output_schema.as_deref().map(|schema| compiled("output", schema)).transpose()?;
            all.push(Arc::new(Self { arguments, answer }));
        }
        Ok((all, compiler.memory()))
    }

    /// Arguments as their plugin gets them, or the first things that are wrong with them.
    ///
    /// # Errors
    /// The work ended before that was known.
    pub(super) fn checked_arguments(
        &self,
        value: &Value,
        meter: &mut Meter,
    ) -> Result<Result<String, String>, Stopped> {
        meter.take_value(value)?;
        Ok(self.arguments.mistakes(value, meter)?.map_or_else(|| Ok(value.to_string()), Err))
    }

    /// How much is wrong with arguments, as far as that is counted; nothing: they fit.
    ///
    /// # Errors
    /// The work ended before that was known.
    pub(crate) fn count_mistakes_in_arguments(&self, value: &Value, meter: &mut Meter) -> Result<usize, Stopped> {
        /// More is not told apart.
        const COUNTED: usize = 100;
        self.arguments.count_mistakes(value, COUNTED, meter)
    }

    /// The first argument that is of another kind than the schema has for it, as far as it says so where it names it.
    pub(super) fn wrong_kind(&self, arguments: &Map<String, Value>) -> Option<String> {
        self.arguments.wrong_kind(arguments)
    }

    /// A reply, with what is wrong with it. One that tells of a failure owes nobody the fields of a success: if what it has
    /// does not fit, it loses them, and keeps its text.
    pub(crate) fn checked(&self, mut reply: Reply, meter: &mut Meter) -> (Reply, Result<Option<String>, Stopped>) {
        let Some(schema) = &self.answer else { return (reply, Ok(None)) };
        // Why it failed is Scout's own, and in no plugin's schema.
        let why = if reply.is_error { reply.take_why() } else { None };
        let Some(fields) = reply.structured.take().map(Structured::into_fields) else {
            let missing = (!reply.is_error).then(|| "it is missing".to_owned());
            return (reply, Ok(missing));
        };
        if reply.is_error {
            let value = Value::Object(fields);
            let wrong = schema.mistakes(&value, meter);
            if let Value::Object(mut fields) = value {
                fields.extend(why);
                reply.structured = Some(Structured::Fields(fields));
            }
            return match wrong {
                Ok(None) => (reply, Ok(None)),
                Ok(Some(_)) => (reply.without_fields(), Ok(None)),
                Err(stopped) => (reply, Err(stopped)),
            };
        }
        let value = Value::Object(fields);
        let wrong = schema.mistakes(&value, meter);
        if let Value::Object(fields) = value {
            reply.structured = Some(Structured::Fields(fields));
        }
        (reply, wrong)
    }
}
