//! How a request asks for the shape of its output, decided once for every wire.
//!
//! A provider that enforces schemas is given one. Elsewhere the model is made to call a tool whose arguments are
//! the output, or is told in words. Whatever is asked, the text that comes back is checked by whoever asked for
//! the shape: a provider that ignores what it is told does no harm but another try.

use std::borrow::Cow;
use std::sync::Arc;

use greenroom_core::message::Message;
use greenroom_core::model::{ChatRequest, ToolChoice};
use greenroom_core::output::OutputSchema;
use greenroom_core::tool::{EffectClass, ToolSpec};
use serde_json::Value;

use super::Quirks;
use super::schema::{self, Dialect};

/// The tool that stands for the output, where that is how a shape is asked for. Its arguments come back as
/// the reply's text. No tool of an application may have this name.
pub(super) const OUTPUT_TOOL: &str = "greenroom_answer";

/// How a provider, or one of its models, is asked for a shape of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OutputStyle {
    /// It enforces a schema, also while the model may call tools.
    #[default]
    Schema,
    /// It enforces a schema when no tools are offered. Beside tools the shape is told in words, because the
    /// provider refuses both together, or its model could not call a tool any more.
    SchemaAlone,
    /// It knows no schemas, so the model is made to call a tool whose arguments are the output.
    Tool,
    /// It can be told in words only; JSON is asked for where the wire can say that.
    Words,
}

/// What a wire is to say of the shape.
#[derive(Debug, PartialEq)]
pub(super) enum Format<'a> {
    /// Nothing: there is none, or the messages or the tools say it.
    Free,
    /// That the text is JSON.
    Json,
    /// The schema, which the provider enforces to the letter when it is strict.
    Schema { name: String, schema: Cow<'a, Value>, is_strict: bool },
}

/// The request with the shape in its messages or its tools, where it belongs there, and what the wire is to
/// say of it. A dialect that is `None` takes every schema as it is.
pub(super) fn asked<'a>(
    request: &'a ChatRequest,
    quirks: Quirks,
    dialect: Option<&Dialect>,
) -> (Cow<'a, ChatRequest>, Format<'a>) {
    let (mut request, format) = shaped(request, quirks, dialect);
    let choice = request.options.tool_choice.as_ref();
    let is_forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Tool(_)));
    if quirks.no_forced_calls && is_forced {
        request.to_mut().options.tool_choice = Some(ToolChoice::Auto);
    }
    (request, format)
}

fn shaped<'a>(
    request: &'a ChatRequest,
    quirks: Quirks,
    dialect: Option<&Dialect>,
) -> (Cow<'a, ChatRequest>, Format<'a>) {
    let Some(output) = &request.output else { return (Cow::Borrowed(request), Format::Free) };
    match quirks.output {
        OutputStyle::SchemaAlone | OutputStyle::Words if has_tools(request) => {
            (Cow::Owned(told(request, output)), Format::Free)
        }
        OutputStyle::Schema | OutputStyle::SchemaAlone => {
            enforced(request, output, quirks, dialect)
        }
        OutputStyle::Tool => by_tool(request, output, quirks),
        OutputStyle::Words => (Cow::Owned(told(request, output)), Format::Json),
    }
}

/// A schema that the dialect cannot say is given as a hint, or, where only strict ones are taken, as a tool.
fn enforced<'a>(
    request: &'a ChatRequest,
    output: &'a OutputSchema,
    quirks: Quirks,
    dialect: Option<&Dialect>,
) -> (Cow<'a, ChatRequest>, Format<'a>) {
    let name = schema::name(output);
    let Some(dialect) = dialect else {
        let schema = Cow::Borrowed(&output.schema);
        return (Cow::Borrowed(request), Format::Schema { name, schema, is_strict: true });
    };
    let object = output.object();
    match schema::strict(&object, dialect) {
        Some(schema) => {
            let format = Format::Schema { name, schema: Cow::Owned(schema), is_strict: true };
            (Cow::Borrowed(request), format)
        }
        None if dialect.takes_hints => {
            let format = Format::Schema { name, schema: object, is_strict: false };
            (Cow::Borrowed(request), format)
        }
        None => by_tool(request, output, quirks),
    }
}

/// Whether the model has tools that it may call.
fn has_tools(request: &ChatRequest) -> bool {
    !request.tools.is_empty() && request.options.tool_choice != Some(ToolChoice::None)
}

/// The model is made to call a tool. Those that think out loud refuse that, and are told in words.
fn by_tool<'a>(
    request: &ChatRequest,
    output: &OutputSchema,
    quirks: Quirks,
) -> (Cow<'a, ChatRequest>, Format<'a>) {
    let is_willing = request.options.effort.is_none() && !quirks.no_forced_calls;
    let asked = if is_willing { made_to_call(request, output) } else { told(request, output) };
    (Cow::Owned(asked), Format::Free)
}

fn made_to_call(request: &ChatRequest, output: &OutputSchema) -> ChatRequest {
    let mut request = request.clone();
    // Among others it may be called when the model has what it needs; alone it must be.
    let is_alone = !has_tools(&request);
    let tool = ToolSpec {
        name: OUTPUT_TOOL.to_owned(),
        description: "Gives the final answer. Call it once, when the answer is complete."
            .to_owned(),
        parameters: output.object().into_owned(),
        effect: EffectClass::ReadOnly,
    };
    let choice = match request.options.tool_choice {
        _ if is_alone => ToolChoice::Tool(OUTPUT_TOOL.to_owned()),
        None | Some(ToolChoice::Auto) => ToolChoice::Required,
        Some(choice) => choice,
    };
    request.options.tool_choice = Some(choice);
    let others = if is_alone { &[] } else { &request.tools[..] };
    request.tools = others.iter().cloned().chain([tool]).collect();
    request
}

/// The words join the instructions that are there: some servers take one system message, and only in front.
fn told(request: &ChatRequest, output: &OutputSchema) -> ChatRequest {
    let mut request = request.clone();
    let when =
        if request.tools.is_empty() { "Answer" } else { "When you need no more tools, answer" };
    let schema = output.object();
    let words =
        format!("{when} with one JSON value and nothing else. It must fit this schema:\n{schema}");
    let messages = Arc::make_mut(&mut request.messages);
    match messages.first_mut() {
        Some(Message::System { text }) => {
            text.push_str("\n\n");
            text.push_str(&words);
        }
        _ => messages.insert(0, Message::system(words)),
    }
    request
}

#[cfg(test)]
mod tests;
