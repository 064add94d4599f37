//! Contexts between JSON and the core's nouns.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use lazaret_core::{
    CellOutput, CellSpec, CodeError, ContextSpec, Error, InterpreterContext, Language, Representation, Shown,
};

use super::wire;
use crate::ids;
use crate::native::execs::convert::{code_and_signal, millis, text};
use crate::native::time::rfc3339;

impl TryFrom<wire::NewContext> for ContextSpec {
    type Error = Error;

    fn try_from(new: wire::NewContext) -> Result<Self, Error> {
        let language = new.language.map_or(Ok(Language::Python), |language| language.parse())?;
        Ok(Self { language, cwd: new.cwd, env: new.env.unwrap_or_default() })
    }
}

impl From<wire::CellRequest> for CellSpec {
    fn from(request: wire::CellRequest) -> Self {
        Self {
            code: request.code,
            env: request.env.unwrap_or_default(),
            timeout: request.timeout_ms.map(Duration::from_millis),
        }
    }
}

impl From<InterpreterContext> for wire::Context {
    fn from(context: InterpreterContext) -> Self {
        Self {
            id: ids::uuid(context.id.as_bytes()),
            language: context.language.name(),
            cwd: context.cwd,
            created_at: rfc3339(context.created_at),
            is_default: context.is_default,
        }
    }
}

impl From<Shown> for wire::Shown {
    fn from(shown: Shown) -> Self {
        let representations = shown.representations.into_iter().map(wire::Representation::from).collect();
        Self { is_value: shown.is_value, representations }
    }
}

impl From<Representation> for wire::Representation {
    fn from(form: Representation) -> Self {
        let (text, data_base64) = match is_text(&form.media_type).then(|| utf8(&form.data)).flatten() {
            Some(text) => (Some(text), None),
            None => (None, Some(BASE64.encode(&form.data))),
        };
        Self { media_type: form.media_type, text, data_base64 }
    }
}

fn is_text(media_type: &str) -> bool {
    const TEXTS: [&str; 3] = ["application/json", "application/javascript", "image/svg+xml"];
    media_type.starts_with("text/") || media_type.ends_with("+json") || TEXTS.contains(&media_type)
}

fn utf8(bytes: &Bytes) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

impl From<CodeError> for wire::CodeError {
    fn from(error: CodeError) -> Self {
        Self { name: error.name, value: error.value, traceback: error.traceback }
    }
}

impl From<CellOutput> for wire::CellEnded {
    fn from(output: CellOutput) -> Self {
        let (exit_code, signal) = output.context_ended.map_or((None, None), code_and_signal);
        Self {
            timed_out: output.timed_out,
            context_ended: output.context_ended.is_some(),
            exit_code,
            signal,
            truncated: output.truncated,
            duration_ms: millis(output.duration),
        }
    }
}

impl From<lazaret_core::CellResult> for wire::CellResult {
    fn from(result: lazaret_core::CellResult) -> Self {
        let (stdout, stdout_base64) = text(result.stdout);
        let (stderr, stderr_base64) = text(result.stderr);
        Self {
            stdout,
            stderr,
            stdout_base64,
            stderr_base64,
            shown: result.shown.into_iter().map(wire::Shown::from).collect(),
            error: result.error.map(wire::CodeError::from),
            ended: result.output.into(),
        }
    }
}
