//! One call of an action: arguments in, output object out, whatever happens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp as Moment;
use lazaret_core::services::actions::{
    CodeRun, CommandRun, Entry, ListSandboxes, NewSandbox, Outcome, Refusal, Upload,
};
use lazaret_core::{
    Caller, FileKind, GitAccess, GitClone, GitCredentials, IdleAction, Sandbox, Secret, State, Timestamp,
};
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::catalogue::Action;
use crate::ids;
use crate::settings::App;

const GIB: u64 = 1024 * 1024 * 1024;
/// The region of every sandbox: there is one host.
const TARGET: &str = "local";

/// Calls an action. The output has every field that its schema names, also for a refusal.
pub(super) async fn call(
    app: &App,
    caller: &Caller,
    action: &Action,
    arguments: Map<String, Value>,
) -> Value {
    match act(app, caller, action.name, Arguments(arguments)).await {
        Ok(fields) => {
            let mut output = action.refused("");
            output["success"] = true.into();
            output["error"] = Value::Null;
            if let (Value::Object(output), Value::Object(fields)) = (&mut output, fields) {
                output.extend(fields);
            }
            output
        }
        Err(Refusal(sentence)) => action.refused(&sentence),
    }
}

async fn act(app: &App, caller: &Caller, name: &str, mut given: Arguments) -> Outcome<Value> {
    let actions = &app.core.actions;
    Ok(match name {
        "create_sandbox" => {
            let new = NewSandbox {
                snapshot: given.text("snapshot")?.or_else(|| app.settings.actions.default_image.clone()),
                name: given.text("name")?,
                target: given.text("target")?,
                user: given.text("user")?,
                env: given.texts("env")?,
                labels: given.texts("labels")?,
                cpu: given.integer("cpu")?,
                memory: given.integer("memory")?,
                disk: given.integer("disk")?,
                auto_stop_interval: given.integer("auto_stop_interval")?,
                auto_archive_interval: given.integer("auto_archive_interval")?,
                auto_delete_interval: given.integer("auto_delete_interval")?,
                public: given.boolean("public")?,
            };
            json!({"sandbox": summary(&actions.create_sandbox(caller, new).await?)})
        }
        "list_sandboxes" => {
            let wanted = ListSandboxes {
                limit: given.integer("limit")?,
                name: given.text("name")?,
                labels: given.texts("labels")?,
                cursor: given.text("cursor")?,
            };
            let page = actions.list_sandboxes(caller, wanted).await?;
            let sandboxes: Vec<Value> = page.sandboxes.iter().map(summary).collect();
            json!({"sandboxes": sandboxes, "next_cursor": page.next_cursor})
        }
        "get_sandbox" => {
            json!({"sandbox": summary(&actions.get_sandbox(caller, &given.required("sandbox_id")?).await?)})
        }
        "start_sandbox" => {
            json!({"sandbox": summary(&actions.start_sandbox(caller, &given.required("sandbox_id")?).await?)})
        }
        "stop_sandbox" => {
            json!({"sandbox": summary(&actions.stop_sandbox(caller, &given.required("sandbox_id")?).await?)})
        }
        "delete_sandbox" => {
            json!({"sandbox": summary(&actions.delete_sandbox(caller, &given.required("sandbox_id")?).await?)})
        }
        "run_code" => {
            let run = CodeRun {
                sandbox: given.required("sandbox_id")?,
                code: given.required("code")?,
                language: given.required("language")?,
                env: given.texts("env")?,
                timeout: given.integer("timeout")?,
            };
            let ran = actions.run_code(caller, run).await?;
            json!({"exit_code": ran.exit_code, "result": ran.result})
        }
        "execute_command" => {
            let run = CommandRun {
                sandbox: given.required("sandbox_id")?,
                command: given.required("command")?,
                cwd: given.text("cwd")?,
                env: given.texts("env")?,
                timeout: given.integer("timeout")?,
            };
            let ran = actions.execute_command(caller, run).await?;
            json!({"exit_code": ran.exit_code, "result": ran.result})
        }
        "upload_file" => {
            let upload = Upload {
                sandbox: given.required("sandbox_id")?,
                destination: given.required("destination_path")?,
                content: decode(given.required("file_content_base64")?)?.into(),
                name: given.text("file_name")?,
            };
            let made = actions.upload_file(caller, upload).await?;
            json!({"uploaded_path": made.path, "name": made.name, "size": made.size})
        }
        "download_file" => {
            let (sandbox, path) = (given.required("sandbox_id")?, given.required("file_path")?);
            let file = actions.download_file(caller, &sandbox, &path).await?;
            let media_type =
                mime_guess::from_path(&file.name).first_raw().unwrap_or("application/octet-stream");
            json!({
                "name": file.name, "mime_type": media_type, "size": file.content.len(),
                "content_base64": BASE64.encode(&file.content),
            })
        }
        "list_files" => {
            let (sandbox, path) = (given.required("sandbox_id")?, given.text("path")?);
            let entries = actions.list_files(caller, &sandbox, path.as_deref()).await?;
            json!({"files": entries.iter().map(file_info).collect::<Vec<_>>()})
        }
        "git_clone" => {
            let sandbox = given.required("sandbox_id")?;
            // They count as a pair only.
            let credentials = given.text("username")?.zip(given.text("password")?);
            let credentials = credentials
                .map(|(username, password)| GitCredentials { username, password: Secret::new(password) });
            let clone = GitClone {
                url: given.required("url")?,
                path: given.required("path")?,
                branch: given.text("branch")?,
                commit: given.text("commit_id")?,
                depth: None,
                access: GitAccess { credentials, insecure_skip_tls: false },
            };
            let told = json!({"repo_url": clone.url, "clone_path": clone.path});
            actions.git_clone(caller, &sandbox, clone).await?;
            told
        }
        other => unreachable!("{other} is not in the catalogue"),
    })
}

/// Base 64 with blanks and line breaks anywhere.
fn decode(mut text: String) -> Outcome<Vec<u8>> {
    text.retain(|letter| !letter.is_ascii_whitespace());
    let decoded = BASE64.decode(text);
    decoded.map_err(|error| Refusal(format!("file_content_base64 is not valid base64: {error}")))
}

fn summary(sandbox: &Sandbox) -> Value {
    let auto_stop = match sandbox.lease.idle {
        Some((span, IdleAction::Stop)) => span.as_secs().div_ceil(60),
        _ => 0,
    };
    let error = sandbox.reason.as_ref().filter(|_| sandbox.state == State::Error).map(ToString::to_string);
    json!({
        "id": ids::uuid(sandbox.id.as_bytes()),
        "name": sandbox.name,
        "state": state(sandbox.state),
        "snapshot": sandbox.image,
        "target": TARGET,
        "cpu": sandbox.resources.cpu_millis.div_ceil(1000),
        "gpu": 0,
        "memory": sandbox.resources.memory_bytes.div_ceil(GIB),
        "disk": sandbox.resources.disk_bytes.div_ceil(GIB),
        "labels": sandbox.labels,
        "public": sandbox.public,
        "error_reason": error,
        "auto_stop_interval": auto_stop,
        "created_at": rfc3339(sandbox.created_at),
        "updated_at": rfc3339(sandbox.state_since),
    })
}

const fn state(state: State) -> &'static str {
    match state {
        State::Creating => "creating",
        State::Running => "started",
        State::Paused => "paused",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Archiving => "archiving",
        State::Archived => "archived",
        State::Error => "error",
        State::Expired | State::Deleted => "destroyed",
    }
}

fn file_info(entry: &Entry) -> Value {
    json!({
        "name": String::from_utf8_lossy(entry.path.file_name()),
        "is_dir": entry.kind == FileKind::Directory,
        "size": entry.bytes,
        "mode": entry.mode_text(),
        "permissions": format!("{:04o}", entry.mode & 0o7777),
        "owner": entry.uid.to_string(),
        "group": entry.gid.to_string(),
        "modified_at": rfc3339(entry.modified_at),
    })
}

fn rfc3339(at: Timestamp) -> Option<String> {
    // A guest may claim any time for a file.
    Moment::from_microsecond(at.unix_micros()).ok().map(|moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_may_have_blanks_and_says_what_is_wrong_with_it() {
        assert_eq!(decode(" aGk\n= ".to_owned()), Ok(b"hi".to_vec()));
        assert_eq!(decode(String::new()), Ok(Vec::new()));
        let Refusal(sentence) = decode("a*".to_owned()).expect_err("no base 64");
        assert!(sentence.starts_with("file_content_base64 is not valid base64: "), "{sentence}");
    }
}
