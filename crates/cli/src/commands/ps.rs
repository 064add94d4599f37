//! `lazaret ps`: which sandboxes there are.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{print_json, say_if_empty};
use crate::client::Client;
use crate::new_sandbox::parse_label;
use crate::reference::list;
use crate::text::{age, print_table, short_id};
use crate::wire::Sandbox;

/// States that are shown without --all: what takes memory or needs somebody's attention.
const SHOWN: &str = "creating,running,paused,stopping,error";

/// List sandboxes, newest first
///
/// Without -a: the ones that are running, paused, on their way there, or broken.
#[derive(Debug, Args)]
#[command(visible_alias = "ls")]
#[command(after_help = "Examples:
  lazaret ps -a
  lazaret ps --filter state=stopped --label team=data
  lazaret rm $(lazaret ps -aq --filter state=expired)
  lazaret ps --json | jq -r '.sandboxes[].name'

States: creating, running, paused, stopping, stopped, expired, archiving, archived, error")]
pub struct Ps {
    /// Show stopped, expired and archived ones too
    #[arg(short, long)]
    all: bool,

    /// Print ids only
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Print whole ids
    #[arg(long)]
    full: bool,

    /// Show only some: state=STATE (several with commas between) or name=NAME
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = parse_filter)]
    filters: Vec<Filter>,

    /// Show only those with this label, can be given several times
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    State(String),
    Name(String),
}

impl Ps {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let sandboxes = list(client, &self.query()).await?;
        if json {
            return print_json(&json!({ "sandboxes": sandboxes }));
        }
        if self.quiet {
            for sandbox in &sandboxes {
                writeln!(io::stdout(), "{}", self.id(sandbox))?;
            }
            return Ok(());
        }
        let now = Timestamp::now();
        let rows = sandboxes.iter().map(|sandbox| {
            vec![
                sandbox.name.clone(),
                self.id(sandbox),
                sandbox.image.clone(),
                sandbox.state.clone(),
                age(&sandbox.created_at, now),
                format!("{} ago", age(&sandbox.last_active_at, now)),
            ]
        });
        print_table(&["NAME", "ID", "IMAGE", "STATE", "AGE", "LAST ACTIVE"], rows.collect())?;
        if !self.all && self.filters.is_empty() {
            say_if_empty(&sandboxes, "no sandbox is running; `lazaret ps -a` shows the others");
        }
        Ok(())
    }

    fn id(&self, sandbox: &Sandbox) -> String {
        if self.full { sandbox.id.clone() } else { short_id(&sandbox.id) }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut states: Vec<&str> = Vec::new();
        let mut query = Vec::new();
        for filter in &self.filters {
            match filter {
                Filter::State(state) => states.push(state),
                Filter::Name(name) => query.push(("name", name.clone())),
            }
        }
        if states.is_empty() && !self.all {
            states.push(SHOWN);
        }
        if !states.is_empty() {
            query.push(("state", states.join(",")));
        }
        query.extend(self.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
        query
    }
}

fn parse_filter(text: &str) -> Result<Filter, String> {
    match text.split_once('=') {
        Some(("state", state)) if !state.is_empty() => Ok(Filter::State(state.to_owned())),
        Some(("name", name)) if !name.is_empty() => Ok(Filter::Name(name.to_owned())),
        _ => {
            Err(format!("'{text}' is not a filter; write state=STATE or name=NAME, and labels with --label"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        ps: Ps,
    }

    #[test]
    fn what_is_listed_follows_from_the_options() {
        for (args, want) in [
            (&[][..], vec![("state", SHOWN)]),
            (&["-a"], vec![]),
            (
                &["--filter", "state=paused", "-f", "state=stopped,expired"],
                vec![("state", "paused,stopped,expired")],
            ),
            (
                &["-a", "-f", "name=web", "-l", "a=b", "-l", "c"],
                vec![("name", "web"), ("label", "a=b"), ("label", "c=")],
            ),
        ] {
            let ps = Line::try_parse_from([&["ps"], args].concat()).unwrap().ps;
            let want: Vec<_> = want.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
            assert_eq!(ps.query(), want, "{args:?}");
        }
    }

    #[test]
    fn a_filter_of_another_kind_is_refused() {
        for text in ["state", "state=", "age=3", "running"] {
            let want =
                format!("'{text}' is not a filter; write state=STATE or name=NAME, and labels with --label");
            assert_eq!(parse_filter(text), Err(want));
        }
    }
}
