//! The protocol: what rmcp asks of a server, and how answers are written in its types.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, CompletionInfo,
    ContentBlock, Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, MetaObject,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Reference,
    ResourceContents, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use scout_machine::visible;
use scout_runtime::{Receipt, Structured};
use serde_json::{Value, json};

use super::scout_tool;
use super::session::{Changes, Session};
use crate::arguments::Mistake;
use crate::outgoing::{text_of_field, written_fields};
use crate::render::{Missing, Reply, Text};
use crate::router::{Caller, Router};
use crate::target::{MAX_HOST, PATH_URI_TEMPLATE};
use crate::transport::Answers;

/// The receipt's key in a result's `_meta`.
const RECEIPT: &str = "dev.scout/receipt";
/// The longest URI of a resource, in bytes: the longest path of Linux with each of its bytes encoded, and a host.
const MAX_URI: usize = 16 << 10;

const INSTRUCTIONS: &str = "Scout looks at machines over SSH. Call the tool `scout` with target `hosts` to see what there is, `host:/path` \
to read a file or list a directory, and a `query` to run a command there. Large files are cut; the answer says how to read on.";

/// The MCP server of one client: a handle that rmcp clones.
#[derive(Clone)]
pub struct McpServer {
    session: Session,
    writing: Writing,
}

/// Who writes what is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// Scout's own writer of lines, which is given a long text once for both its places.
    Lines,
    /// rmcp, as it is.
    Plain,
}

impl McpServer {
    /// A server for one client, whose requests are this caller's.
    pub(crate) fn new(router: Arc<Router>, caller: Caller, answers: Answers) -> Self {
        Self { session: Session::new(router, caller, answers), writing: Writing::Lines }
    }

    /// The same client's, for one request that comes on its own and is written by rmcp. The room of the answer goes there, and
    /// `client` is kept until it has ended.
    pub(super) fn of_request(&self, answers: Answers, client: Arc<dyn Any + Send + Sync>) -> Self {
        Self { session: self.session.of_request(answers, client), writing: Writing::Plain }
    }

    /// The changes of the lists from now on.
    ///
    /// # Errors
    /// That the client has as many subscriptions as it may.
    pub(super) fn changes(&self) -> Result<Changes, String> {
        self.session.changes()
    }

    /// Tells a client that has shaken hands of each change of the list of tools, until the client is gone. One of
    /// 2026-07-28 is told what it subscribes to, in [`ServerHandler::listen`].
    pub async fn tell_changes(self, client: Peer<RoleServer>) {
        self.session.tell_changes(client).await;
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_completions()
            .build();
        let mut implementation = Implementation::default();
        implementation.name = "scout".to_owned();
        implementation.title = Some("Scout".to_owned());
        implementation.version = env!("CARGO_PKG_VERSION").to_owned();
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, _context: NotificationContext<RoleServer>) {
        self.session.greet();
    }

    fn accepted_subscription_filter(&self, _requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().resources_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.session.subscribed(subscription).await
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.session.tools(request.and_then(|request| request.cursor).as_deref(), context).await
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.session.tool(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.arguments.unwrap_or_default();
        let mut reply = if self.session.is_scout(&request.name) {
            match scout_tool::arguments(given) {
                Ok((request, base64)) => self.session.answer(request, base64, &context).await,
                Err(Mistake::WrongKind(why)) => {
                    return Err(ErrorData::invalid_params(visible(&why).into_owned(), None));
                }
                Err(Mistake::Senseless(why)) => Reply::failure("invalid", &why, None, Receipt::default()),
            }
        } else {
            self.session.call_tool(&request.name, given, &context).await
        };
        if reply.missing == Some(Missing::Tool) {
            let message = format!("{}; `tools/list` has all of them", reply.joined());
            return Err(ErrorData::invalid_params(message, None));
        }
        if reply.is_misasked {
            return Err(ErrorData::invalid_params(reply.joined(), None));
        }
        self.session.finish(&mut reply, context);
        Ok(CallToolResponse::Complete(call_result(reply, self.writing)))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.session.resources(request.and_then(|request| request.cursor).as_deref(), context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.session.templates(request.and_then(|request| request.cursor).as_deref(), &context).await
    }

    /// Of `scout://{host}/{path*}` hosts are completed. What lies on them nobody is asked for while somebody types.
    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        match &request.r#ref {
            Reference::Resource(template) if template.uri == PATH_URI_TEMPLATE => {}
            _ => {
                let message = format!("there is nothing to complete but `{PATH_URI_TEMPLATE}`");
                return Err(ErrorData::invalid_params(message, None));
            }
        }
        let argument = request.argument;
        if argument.name != "host" || argument.value.len() > MAX_HOST {
            return Ok(CompleteResult::default());
        }
        let found = self.session.complete(argument.value, CompletionInfo::MAX_VALUES).await?;
        let names = found.names.iter().map(|name| visible(name).into_owned()).collect();
        let total = found.total.and_then(|total| u32::try_from(total).ok());
        let completion = CompletionInfo::with_pagination(names, total, found.has_more);
        Ok(CompleteResult::new(completion.map_err(|why| ErrorData::internal_error(why, None))?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        // The answer repeats it.
        if uri.len() > MAX_URI {
            return Err(ErrorData::resource_not_found(format!("the URI is longer than {MAX_URI} bytes"), None));
        }
        let mut reply = self.session.read(&uri, &context).await;
        if reply.is_error {
            let (message, data) = (reply.joined(), Some(json!({"uri": visible(&uri)})));
            return Err(match reply.missing {
                Some(_) => ErrorData::resource_not_found(message, data),
                // It may well be there: whoever asks can ask again.
                None => ErrorData::internal_error(message, data),
            });
        }
        self.session.finish(&mut reply, context);
        Ok(ReadResourceResponse::Complete(ReadResourceResult::new(contents(&uri, &reply))))
    }
}

fn call_result(mut reply: Reply, writing: Writing) -> CallToolResult {
    let mut meta = MetaObject::new();
    meta.insert(RECEIPT.to_owned(), reply.receipt_json());
    if writing == Writing::Plain {
        reply.text = reply.texts().map(|text| Text::Said(text.to_owned())).collect();
        reply.structured = reply.structured.map(|structured| Structured::Fields(structured.into_fields()));
    }
    let images = reply.images.into_iter().map(|(data, media_type)| ContentBlock::image(data, media_type));
    let texts = reply.text.into_iter().map(|text| match text {
        Text::Said(text) => ContentBlock::text(text),
        Text::Field(name) => text_of_field(name),
    });
    let content = texts.chain(images).collect();
    let mut result = if reply.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = reply.structured.map(|structured| match structured {
        Structured::Fields(fields) => Value::Object(fields),
        Structured::Text(text) => written_fields(text),
    });
    result.with_meta(Some(meta))
}

/// Bytes as they are if they can be shown unchanged, else as base64; what is said about them as text; then pictures.
fn contents(uri: &str, reply: &Reply) -> Vec<ResourceContents> {
    let said = match &reply.raw {
        None if reply.says_nothing() && !reply.images.is_empty() => None,
        None => Some(ResourceContents::text(reply.joined(), uri)),
        Some(raw) => Some(match std::str::from_utf8(raw) {
            Ok(text) if matches!(visible(text), Cow::Borrowed(_)) => ResourceContents::text(text, uri),
            Ok(_) | Err(_) => ResourceContents::blob(BASE64_STANDARD.encode(raw), uri),
        }),
    };
    let said = said.map(|contents| match &reply.media_type {
        Some(media_type) => contents.with_mime_type(media_type.clone()),
        None => contents,
    });
    let pictures = reply.images.iter();
    let pictures =
        pictures.map(|(data, media_type)| ResourceContents::blob(data.clone(), uri).with_mime_type(*media_type));
    said.into_iter().chain(pictures).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_resource_that_is_a_picture_is_read_as_one() {
        let picture = || vec![("iVBORw0=".to_owned(), "image/png")];
        let media_type = Some("text/plain".to_owned());
        let told = |reply: Reply| {
            serde_json::to_value(contents("notes://x", &Reply { media_type: media_type.clone(), ..reply })).unwrap()
        };
        let text = |text: &str| json!({"uri": "notes://x", "mimeType": "text/plain", "text": text});
        let blob = json!({"uri": "notes://x", "mimeType": "image/png", "blob": "iVBORw0="});
        let words = || vec![Text::Said("words".to_owned())];
        assert_eq!(told(Reply { images: picture(), ..Reply::default() }), json!([blob]));
        assert_eq!(told(Reply { images: picture(), text: words(), ..Reply::default() }), json!([text("words"), blob]));
        assert_eq!(told(Reply { text: words(), ..Reply::default() }), json!([text("words")]));
        assert_eq!(told(Reply::default()), json!([text("")]));
    }
}
