//! The actions as tools of the Model Context Protocol, over its streamable HTTP transport.
//!
//! Every request stands alone: there are no sessions to keep, to guess or to take over, and nothing that the server would
//! say unasked, so a GET for a stream of its own is answered 405, as the protocol has it. The key is looked at for every
//! request. A browser's page must be of the server's own origin or of this machine (DNS rebinding).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lazaret_core::Caller;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::call;
use super::catalogue::{self, Action, Effect};
use super::routes::REQUEST_MAX_BYTES;
use crate::auth::Authenticated;
use crate::body;
use crate::settings::App;

/// The protocol's machinery for one request: it keeps nothing from one to the next.
fn service(app: App) -> StreamableHttpService<Tools, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // Checked in `handle`, where the server's own name is known.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_cancellation_token(app.settings.stopping.clone())
        .with_max_request_body_bytes(REQUEST_MAX_BYTES);
    StreamableHttpService::new(move || Ok(Tools(app.clone())), Arc::default(), config)
}

/// Any request of the protocol.
pub(super) async fn handle(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    mut request: Request,
) -> Response {
    if !is_allowed_origin(request.headers(), request.uri()) {
        return (StatusCode::FORBIDDEN, "this origin is not allowed here").into_response();
    }
    request.extensions_mut().insert(caller);
    // A client that falls silent in its body is not waited for.
    let idle = app.settings.body_idle_timeout;
    let request = request.map(|body| body::from_core(body::into_core(body, idle)));
    service(app).handle(request).await.map(Body::new)
}

/// No browser, a page of this server, or one of this machine.
fn is_allowed_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Some(origin) = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok()) else {
        return false;
    };
    let Some(authority) = origin.authority() else { return false };
    let host = authority.host();
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = own.or_else(|| uri.authority().map(|authority| authority.as_str()));
    matches!(host, "localhost" | "127.0.0.1" | "[::1]") || own == Some(authority.as_str())
}

/// The actions as tools.
struct Tools(App);

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new("lazaret", self.0.settings.version.clone());
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(about)
            .with_instructions(
                "Sandboxed Linux machines: create one, run code and commands in it, and exchange files.",
            )
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalogue::ALL.iter().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let unknown = || ErrorData::invalid_params(format!("there is no tool {}", request.name), None);
        let action = catalogue::find(&request.name).ok_or_else(unknown)?;
        let caller = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Caller>());
        let caller = caller.ok_or_else(|| ErrorData::internal_error("the request has no caller", None))?;
        let output = call::call(&self.0, caller, action, request.arguments.unwrap_or_default()).await;
        let mut result = CallToolResult::success(vec![ContentBlock::text(output.to_string())]);
        result.structured_content = Some(output);
        Ok(CallToolResponse::Complete(result))
    }
}

fn tool(action: &Action) -> Tool {
    let hints = match action.effect {
        Effect::Reads => ToolAnnotations::new().read_only(true),
        Effect::Adds => ToolAnnotations::new().read_only(false).destructive(false),
        Effect::Settles => ToolAnnotations::new().read_only(false).destructive(false).idempotent(true),
        Effect::Destroys => ToolAnnotations::new().read_only(false).destructive(true),
    };
    let mut tool = Tool::new(action.name, action.description, Arc::new(action.input_schema()));
    tool.output_schema = Some(Arc::new(action.output_schema()));
    tool.annotations = Some(hints);
    tool
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_other_origins_are_turned_away() {
        for (origin, host, want) in [
            (None, "box.example:8080", true),
            (Some("http://box.example:8080"), "box.example:8080", true),
            (Some("http://localhost:3000"), "box.example:8080", true),
            (Some("http://127.0.0.1"), "127.0.0.1:8080", true),
            (Some("https://evil.example"), "box.example:8080", false),
            (Some("http://box.example"), "box.example:8080", false),
            (Some("http://127.0.0.1.evil.example"), "127.0.0.1:8080", false),
            (Some("null"), "127.0.0.1:8080", false),
            (Some(""), "127.0.0.1:8080", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_allowed_origin(&headers, &Uri::from_static("/mcp")), want, "{origin:?} at {host}");
        }
    }
}
