//! `lazaret template`: recipes that sandboxes are made of.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{each, print_json, say_if_empty};
use crate::client::Client;
use crate::failure::{Failure, say};
use crate::sizes::{parse_bytes, parse_cpus};
use crate::text::{age, print_table, size};
use crate::variables::Variables;
use crate::wire::{Template as Row, TemplateList};

/// Between two looks at a template that is being made.
const LOOK: Duration = Duration::from_millis(200);

/// Manage templates: recipes that sandboxes are made of
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  lazaret template create web --image python:3.13-slim --memory 512m -- python3 -m http.server
  lazaret stop box && lazaret template create mine --sandbox box
  lazaret run --rm --template mine -- make test")]
pub enum Template {
    /// Make a template of an image or of a stopped sandbox, and wait until it can be used
    Create(Box<Create>),
    /// List templates
    #[command(visible_alias = "list")]
    Ls {
        /// Print names only
        #[arg(short, long, conflicts_with = "json")]
        quiet: bool,
    },
    /// Show everything about templates, as JSON
    Inspect {
        /// Names or ids
        #[arg(required = true, value_name = "TEMPLATE")]
        templates: Vec<String>,
    },
    /// Let sandboxes be made of templates again
    Activate {
        /// Names or ids
        #[arg(required = true, value_name = "TEMPLATE")]
        templates: Vec<String>,
    },
    /// Keep sandboxes from being made of templates
    Deactivate {
        /// Names or ids
        #[arg(required = true, value_name = "TEMPLATE")]
        templates: Vec<String>,
    },
    /// Remove templates; sandboxes of them go on
    Rm {
        /// Names or ids
        #[arg(required = true, value_name = "TEMPLATE")]
        templates: Vec<String>,
    },
}

/// What the template shall be.
#[derive(Debug, Args)]
pub struct Create {
    /// Name for the template
    name: String,

    /// Image to make it of, a name or a digest
    #[arg(short = 'I', long, required_unless_present = "sandbox", conflicts_with = "sandbox")]
    image: Option<String>,

    /// Stopped sandbox to make it of, by name or id
    #[arg(long)]
    sandbox: Option<String>,

    #[command(flatten)]
    variables: Variables,

    /// Working directory of every command
    #[arg(short = 'w', long = "workdir", value_name = "DIR")]
    cwd: Option<String>,

    /// User of every command
    #[arg(short = 'u', long)]
    user: Option<String>,

    /// Memory limit of its sandboxes, such as 512m or 1g
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Limits")]
    memory: Option<u64>,

    /// CPU limit in cores, such as 0.5 or 2
    #[arg(long, value_name = "CORES", value_parser = parse_cpus, help_heading = "Limits")]
    cpus: Option<u32>,

    /// Most processes and threads
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    pids: Option<u32>,

    /// Disk limit, such as 2g
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Limits")]
    disk: Option<u64>,

    /// Do not wait until it can be used
    #[arg(short, long)]
    detach: bool,

    /// Started in the background whenever a sandbox starts
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Template {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Create(create) => create.run(client, json).await.map(|()| 0),
            Self::Ls { quiet } => {
                let TemplateList { templates } = client.json(client.get(&["templates"])?).await?;
                if json {
                    return print_json(&templates).map(|()| 0);
                }
                list(&templates, quiet).map(|()| 0)
            }
            Self::Inspect { templates } => {
                each(&templates, async |name: &str| {
                    let template: Row = client.json(client.get(&["templates", name])?).await?;
                    print_json(&template)
                })
                .await
            }
            Self::Activate { templates } => {
                each(&templates, async |name: &str| {
                    let template: Row = client.json(client.post(&["templates", name, "activate"])?).await?;
                    let template = settled(client, template).await?;
                    Ok(writeln!(io::stdout(), "{}", template.name)?)
                })
                .await
            }
            Self::Deactivate { templates } => {
                each(&templates, async |name: &str| {
                    let request = client.post(&["templates", name, "deactivate"])?;
                    let template: Row = client.json(request).await?;
                    Ok(writeln!(io::stdout(), "{}", template.name)?)
                })
                .await
            }
            Self::Rm { templates } => {
                each(&templates, async |name: &str| {
                    client.empty(client.delete(&["templates", name])?).await?;
                    Ok(writeln!(io::stdout(), "{name}")?)
                })
                .await
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client, json: bool) -> Result<()> {
        let template: Row = client.json(client.post(&["templates"])?.json(&self.body()?)).await?;
        let template = if self.detach { template } else { settled(client, template).await? };
        if json {
            return print_json(&template);
        }
        writeln!(io::stdout(), "{}", template.name)?;
        Ok(())
    }

    fn body(&self) -> Result<Value> {
        let resources: Map<String, Value> = [
            ("memory_bytes", self.memory.map(Value::from)),
            ("cpu_millis", self.cpus.map(Value::from)),
            ("pids", self.pids.map(Value::from)),
            ("disk_bytes", self.disk.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
        let env = self.variables.collect()?;
        let fields = [
            ("name", Some(json!(self.name))),
            ("image", self.image.as_ref().map(|image| json!(image))),
            ("sandbox", self.sandbox.as_ref().map(|sandbox| json!(sandbox))),
            ("cwd", self.cwd.as_ref().map(|cwd| json!(cwd))),
            ("user", self.user.as_ref().map(|user| json!(user))),
            ("env", (!env.is_empty()).then(|| json!(env))),
            ("resources", (!resources.is_empty()).then(|| json!(resources))),
            ("start_command", (!self.command.is_empty()).then(|| json!(self.command))),
        ];
        let body: Map<String, Value> =
            fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        Ok(Value::Object(body))
    }
}

/// The template once nothing works on it any more. The server bounds how long that takes.
async fn settled(client: &Client, mut template: Row) -> Result<Row> {
    let mut told = String::new();
    loop {
        match template.state.as_str() {
            "pulling" | "committing" | "building" => {
                if told != template.state {
                    say(&format!("{}: {}", template.name, template.state));
                    told.clone_from(&template.state);
                }
            }
            "error" => {
                let why = template.reason.unwrap_or_default();
                return Err(Failure::new(format!("template {} cannot be made: {why}", template.name))
                    .hint(format!(
                        "`lazaret template activate {0}` tries again, `lazaret template rm {0}` removes it",
                        template.name
                    ))
                    .into());
            }
            _ => return Ok(template),
        }
        tokio::time::sleep(LOOK).await;
        template = client.json(client.get(&["templates", &template.id])?).await?;
    }
}

fn list(templates: &[Row], quiet: bool) -> Result<()> {
    if quiet {
        for template in templates {
            writeln!(io::stdout(), "{}", template.name)?;
        }
        return Ok(());
    }
    let now = Timestamp::now();
    let rows = templates.iter().map(|template| {
        let from = match (&template.image, &template.sandbox_id) {
            (Some(image), _) => image.clone(),
            (None, Some(_)) => "a sandbox".to_owned(),
            (None, None) => "a build".to_owned(),
        };
        vec![
            template.name.clone(),
            template.state.clone(),
            from,
            template.bytes.map_or_else(|| "-".to_owned(), size),
            age(&template.created_at, now),
            template.last_used_at.as_deref().map_or_else(|| "never".to_owned(), |at| age(at, now)),
        ]
    });
    print_table(&["NAME", "STATE", "FROM", "SIZE", "AGE", "USED"], rows.collect())?;
    say_if_empty(templates, "no templates; make one with `lazaret template create`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    #[test]
    fn options_become_the_fields_of_the_request() {
        let args = "web --image alpine -e X=1 -w /srv -u app -m 1g --cpus 0.5 -- serve -v";
        let want = json!({
            "name": "web", "image": "alpine", "env": {"X": "1"}, "cwd": "/srv", "user": "app",
            "resources": {"memory_bytes": 1_u64 << 30, "cpu_millis": 500}, "start_command": ["serve", "-v"],
        });
        let line = Line::try_parse_from(["x"].into_iter().chain(args.split_whitespace())).unwrap();
        assert_eq!(line.create.body().unwrap(), want);
        let line = Line::try_parse_from(["x", "mine", "--sandbox", "box"]).unwrap();
        assert_eq!(line.create.body().unwrap(), json!({ "name": "mine", "sandbox": "box" }));
    }

    #[test]
    fn a_template_is_made_of_exactly_one_thing() {
        for args in [&["x", "web"][..], &["x", "web", "--image", "a", "--sandbox", "b"]] {
            Line::try_parse_from(args).unwrap_err();
        }
    }
}
