//! The twelve actions: names, descriptions, arguments and outputs, from which every schema is made.

use serde_json::{Map, Value, json};

/// A type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Texts by name; numbers and booleans are taken as their text.
    Texts,
}

/// An argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) description: &'static str,
}

/// What an action does to the world, for clients that ask a person first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Reads,
    /// Something new.
    Adds,
    /// Something that a second time changes nothing about.
    Settles,
    /// Something is gone.
    Destroys,
}

/// A field of an output, besides `success` and `error`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Text(&'static str),
    Integer(&'static str),
    /// Any object, or null.
    Object(&'static str),
    /// A sandbox, or null.
    Sandbox(&'static str),
    Sandboxes(&'static str),
    Files(&'static str),
}

/// An action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action {
    pub(super) name: &'static str,
    /// Title of its output's schema.
    pub(super) output: &'static str,
    pub(super) description: &'static str,
    pub(super) effect: Effect,
    pub(super) arguments: &'static [Argument],
    pub(super) fields: &'static [Field],
}

const fn argument(name: &'static str, kind: Kind, is_required: bool, description: &'static str) -> Argument {
    Argument { name, kind, is_required, description }
}

const ID: Argument = argument("sandbox_id", Kind::Text, true, "ID of the sandbox");
const ID_OR_NAME: Argument = argument("sandbox_id", Kind::Text, true, "ID or name of the sandbox");
const ENV: Argument = argument("env", Kind::Texts, false, "Environment variables for this run");
const TIMEOUT: Argument =
    argument("timeout", Kind::Integer, false, "Seconds until it is ended; 10 if not given");
const SANDBOX: &[Field] = &[Field::Sandbox("sandbox")];

/// Every action.
pub(super) const ALL: [Action; 12] = [
    Action {
        name: "create_sandbox",
        output: "CreateSandboxOutput",
        description: "Create a sandbox: an isolated Linux machine that runs when the answer comes",
        effect: Effect::Adds,
        arguments: &[
            argument("snapshot", Kind::Text, false, "ID or name of the snapshot to create it from"),
            argument("name", Kind::Text, false, "Name of the sandbox; must be unique"),
            argument("target", Kind::Text, false, "Region to create it in"),
            argument("user", Kind::Text, false, "User that its commands run as"),
            argument("env", Kind::Texts, false, "Environment variables of the sandbox"),
            argument("labels", Kind::Texts, false, "Labels of the sandbox"),
            argument("cpu", Kind::Integer, false, "CPU cores"),
            argument("memory", Kind::Integer, false, "Memory in GiB"),
            argument("disk", Kind::Integer, false, "Disk in GiB"),
            argument(
                "auto_stop_interval",
                Kind::Integer,
                false,
                "Minutes without use until it stops; 0 disables; 15 if not given",
            ),
            argument(
                "auto_archive_interval",
                Kind::Integer,
                false,
                "Minutes stopped until it is archived; 0 is the longest",
            ),
            argument(
                "auto_delete_interval",
                Kind::Integer,
                false,
                "Minutes stopped until it is deleted; negative disables",
            ),
            argument("public", Kind::Boolean, false, "Whether previews need no token"),
        ],
        fields: SANDBOX,
    },
    Action {
        name: "list_sandboxes",
        output: "ListSandboxesOutput",
        description: "List sandboxes, the most recently used first",
        effect: Effect::Reads,
        arguments: &[
            argument("limit", Kind::Integer, false, "Sandboxes on a page, 1 to 200; 100 if not given"),
            argument("name", Kind::Text, false, "Beginning of the name, in any case"),
            argument("labels", Kind::Texts, false, "Labels that must all be there"),
            argument("cursor", Kind::Text, false, "next_cursor of the page before"),
        ],
        fields: &[Field::Sandboxes("sandboxes"), Field::Text("next_cursor")],
    },
    Action {
        name: "get_sandbox",
        output: "GetSandboxOutput",
        description: "Get a sandbox by its ID or name",
        effect: Effect::Reads,
        arguments: &[ID_OR_NAME],
        fields: SANDBOX,
    },
    Action {
        name: "start_sandbox",
        output: "StartSandboxOutput",
        description: "Start a stopped sandbox, with its files as they were",
        effect: Effect::Settles,
        arguments: &[ID_OR_NAME],
        fields: SANDBOX,
    },
    Action {
        name: "stop_sandbox",
        output: "StopSandboxOutput",
        description: "Stop a running sandbox; its files stay",
        effect: Effect::Adds,
        arguments: &[ID_OR_NAME],
        fields: SANDBOX,
    },
    Action {
        name: "delete_sandbox",
        output: "DeleteSandboxOutput",
        description: "Delete a sandbox and everything in it",
        effect: Effect::Destroys,
        arguments: &[ID_OR_NAME],
        fields: SANDBOX,
    },
    Action {
        name: "run_code",
        output: "RunCodeOutput",
        description: "Run Python, JavaScript or TypeScript code in a sandbox",
        effect: Effect::Adds,
        arguments: &[
            ID,
            argument("code", Kind::Text, true, "Source code to run"),
            argument("language", Kind::Text, true, "python, javascript or typescript"),
            ENV,
            TIMEOUT,
        ],
        fields: &[Field::Integer("exit_code"), Field::Text("result"), Field::Object("artifacts")],
    },
    Action {
        name: "execute_command",
        output: "ExecuteCommandOutput",
        description: "Run a shell command in a sandbox",
        effect: Effect::Adds,
        arguments: &[
            ID,
            argument("command", Kind::Text, true, "Shell command to run"),
            argument("cwd", Kind::Text, false, "Working directory; the sandbox's own if not given"),
            ENV,
            TIMEOUT,
        ],
        fields: &[Field::Integer("exit_code"), Field::Text("result")],
    },
    Action {
        name: "upload_file",
        output: "UploadFileOutput",
        description: "Write a file in a sandbox, making its directories",
        effect: Effect::Adds,
        arguments: &[
            ID,
            argument(
                "destination_path",
                Kind::Text,
                true,
                "Path of the file, or of a directory if it ends in a slash",
            ),
            argument("file_content_base64", Kind::Text, true, "Content of the file in base64"),
            argument("file_name", Kind::Text, false, "Name instead of the path's last part"),
        ],
        fields: &[Field::Text("uploaded_path"), Field::Text("name"), Field::Integer("size")],
    },
    Action {
        name: "download_file",
        output: "DownloadFileOutput",
        description: "Read a file of at most 100 MB from a sandbox",
        effect: Effect::Reads,
        arguments: &[ID, argument("file_path", Kind::Text, true, "Path of the file")],
        fields: &[
            Field::Text("name"),
            Field::Text("mime_type"),
            Field::Integer("size"),
            Field::Text("content_base64"),
        ],
    },
    Action {
        name: "list_files",
        output: "ListFilesOutput",
        description: "List a directory in a sandbox",
        effect: Effect::Reads,
        arguments: &[
            ID,
            argument(
                "path",
                Kind::Text,
                false,
                "Path of the directory; the sandbox's working directory if not given",
            ),
        ],
        fields: &[Field::Files("files")],
    },
    Action {
        name: "git_clone",
        output: "GitCloneOutput",
        description: "Clone a Git repository into a sandbox",
        effect: Effect::Adds,
        arguments: &[
            ID,
            argument("url", Kind::Text, true, "URL of the repository"),
            argument("path", Kind::Text, true, "Directory to clone into"),
            argument("branch", Kind::Text, false, "Branch; the default one if not given"),
            argument("commit_id", Kind::Text, false, "Commit to check out after cloning"),
            argument("username", Kind::Text, false, "User name, with a password"),
            argument("password", Kind::Text, false, "Password or token, with a user name"),
        ],
        fields: &[Field::Text("repo_url"), Field::Text("clone_path")],
    },
];

/// The action of this name.
pub(super) fn find(name: &str) -> Option<&'static Action> {
    ALL.iter().find(|action| action.name == name)
}

/// `two words` of `two_words`, as titles have them.
fn title(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn nullable(kind: &str, name: &str) -> Value {
    json!({"anyOf": [{"type": kind}, {"type": "null"}], "default": null, "title": title(name)})
}

fn object(title: &str, properties: Map<String, Value>) -> Value {
    json!({"title": title, "type": "object", "properties": properties, "additionalProperties": false})
}

fn sandbox_summary() -> Value {
    let mut properties = Map::new();
    for (name, kind) in [
        ("id", "string"),
        ("name", "string"),
        ("state", "string"),
        ("snapshot", "string"),
        ("target", "string"),
        ("cpu", "integer"),
        ("gpu", "integer"),
        ("memory", "integer"),
        ("disk", "integer"),
        ("labels", "object"),
        ("public", "boolean"),
        ("error_reason", "string"),
        ("auto_stop_interval", "integer"),
        ("created_at", "string"),
        ("updated_at", "string"),
    ] {
        let shape = match name {
            "labels" => json!({"type": "object", "additionalProperties": true, "title": "Labels"}),
            _ => nullable(kind, name),
        };
        properties.insert(name.to_owned(), shape);
    }
    object("SandboxSummary", properties)
}

fn file_info() -> Value {
    let mut properties = Map::new();
    for (name, kind) in [
        ("name", "string"),
        ("is_dir", "boolean"),
        ("size", "integer"),
        ("mode", "string"),
        ("permissions", "string"),
        ("owner", "string"),
        ("group", "string"),
        ("modified_at", "string"),
    ] {
        properties.insert(name.to_owned(), nullable(kind, name));
    }
    object("FileInfo", properties)
}

impl Action {
    /// The schema of its arguments.
    pub(super) fn input_schema(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for argument in self.arguments {
            let mut shape = match argument.kind {
                Kind::Text => json!({"type": "string"}),
                Kind::Integer => json!({"type": "integer"}),
                Kind::Boolean => json!({"type": "boolean"}),
                Kind::Texts => {
                    json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})
                }
            };
            shape["title"] = title(argument.name).into();
            shape["description"] = argument.description.into();
            if argument.is_required {
                required.push(argument.name);
            }
            properties.insert(argument.name.to_owned(), shape);
        }
        let Value::Object(schema) = json!({"type": "object", "properties": properties, "required": required})
        else {
            unreachable!("it is written as an object")
        };
        schema
    }

    /// The schema of its output.
    pub(super) fn output_schema(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        properties.insert("success".to_owned(), json!({"type": "boolean", "title": "Success"}));
        properties.insert("error".to_owned(), nullable("string", "error"));
        let mut definitions = Map::new();
        for field in self.fields {
            let (name, shape) = match *field {
                Field::Text(name) => (name, nullable("string", name)),
                Field::Integer(name) => (name, nullable("integer", name)),
                Field::Object(name) => {
                    let any = json!({"type": "object", "additionalProperties": true});
                    (name, json!({"anyOf": [any, {"type": "null"}], "default": null, "title": title(name)}))
                }
                Field::Sandbox(name) => {
                    definitions.insert("SandboxSummary".to_owned(), sandbox_summary());
                    let summary = json!({"$ref": "#/$defs/SandboxSummary"});
                    (name, json!({"anyOf": [summary, {"type": "null"}], "default": null}))
                }
                Field::Sandboxes(name) => {
                    definitions.insert("SandboxSummary".to_owned(), sandbox_summary());
                    let items = json!({"$ref": "#/$defs/SandboxSummary"});
                    (name, json!({"type": "array", "items": items, "title": title(name)}))
                }
                Field::Files(name) => {
                    definitions.insert("FileInfo".to_owned(), file_info());
                    (
                        name,
                        json!({"type": "array", "items": {"$ref": "#/$defs/FileInfo"}, "title": title(name)}),
                    )
                }
            };
            properties.insert(name.to_owned(), shape);
        }
        let Value::Object(mut schema) = object(self.output, properties) else {
            unreachable!("it is written as an object")
        };
        schema.insert("required".to_owned(), json!(["success"]));
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        schema
    }

    /// The output of a refusal: every field has what it has when there is nothing to say.
    pub(super) fn refused(&self, sentence: &str) -> Value {
        let mut output = Map::new();
        output.insert("success".to_owned(), false.into());
        output.insert("error".to_owned(), sentence.into());
        for field in self.fields {
            let (name, nothing) = match *field {
                Field::Text(name) | Field::Integer(name) | Field::Object(name) | Field::Sandbox(name) => {
                    (name, Value::Null)
                }
                Field::Sandboxes(name) | Field::Files(name) => (name, json!([])),
            };
            output.insert(name.to_owned(), nothing);
        }
        Value::Object(output)
    }
}
