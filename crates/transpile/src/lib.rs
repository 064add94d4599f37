//! The `Transpiler` port over oxc: TypeScript to JavaScript, in memory.
//!
//! A crate of its own because oxc is by far the largest dependency of the tree: whoever works on the core or a dialect
//! does not wait for it. Types are removed and the few constructs with a meaning at run time (enums, namespaces,
//! parameter properties, decorators) are lowered; modules and everything that is JavaScript already stay as written.

#![forbid(unsafe_code)]

use std::path::Path;

use async_trait::async_trait;
use lazaret_core::ports::Transpiler;
use lazaret_core::{Error, Result};
use oxc::allocator::Allocator;
use oxc::codegen::Codegen;
use oxc::diagnostics::Severity;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc::transformer::{TransformOptions, Transformer};

/// Turns TypeScript into JavaScript with oxc.
#[derive(Debug, Default)]
pub struct Oxc;

#[async_trait]
impl Transpiler for Oxc {
    async fn to_javascript(&self, code: String) -> Result<String> {
        tokio::task::spawn_blocking(move || strip(&code)).await.map_err(Error::internal)?
    }
}

fn strip(code: &str) -> Result<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::ts()).parse();
    if let Some(first) = parsed.diagnostics.iter().find(|found| found.severity == Severity::Error) {
        let at = first.labels.first().map(|label| label.offset());
        return Err(Error::invalid("code", describe(code, at, &first.message)));
    }
    let mut program = parsed.program;
    let scoping = SemanticBuilder::new().with_enum_eval(true).build(&program).semantic.into_scoping();
    let options = TransformOptions::default();
    let transformed = Transformer::new(&allocator, Path::new("snippet.ts"), &options)
        .build_with_scoping(scoping, &mut program);
    if let Some(first) = transformed.diagnostics.iter().find(|found| found.severity == Severity::Error) {
        return Err(Error::invalid("code", first.message.to_string()));
    }
    Ok(Codegen::new().build(&program).code)
}

/// The message with the line and column, both from 1, where `offset` is.
fn describe(code: &str, offset: Option<u32>, message: &str) -> String {
    let before = offset.and_then(|offset| code.get(..usize::try_from(offset).ok()?));
    let Some(before) = before else { return message.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_and_what_runs_stays() {
        let code = "interface P { x: number }\nenum E { A = 1, B }\nconst p: P = { x: 1 };\nconsole.log(p.x as number, E.B);\n";
        let out = strip(code).unwrap();
        assert!(!out.contains("interface") && !out.contains(": P") && !out.contains(" as "), "{out}");
        assert!(out.contains("console.log(p.x, E.B)") && out.contains("B"), "{out}");
    }

    #[test]
    fn a_syntax_error_names_its_place() {
        let error = strip("let a = 1;\nlet b: = 2;\n").unwrap_err().to_string();
        assert!(error.starts_with("code: line 2, column 8"), "{error}");
    }
}
