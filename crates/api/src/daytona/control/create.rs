//! What a client asks for when it makes a sandbox, as the core takes it.

use std::collections::BTreeMap;

use lazaret_core::{
    BuildSource, BuildSpec, CacheUse, Caller, EgressPolicy, Error, Image, NameUse, ResourceChanges,
    Resources, SandboxSpec, Template, WantedMount,
};
use serde_json::{Map, Value};

use super::wire::{NewBuild, NewSandbox};
use super::{lease, network};
use crate::daytona::bad_request;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::settings::App;

const GIB: u64 = 1024 * 1024 * 1024;
/// The user that clients name when they mean whoever their image runs things as.
const DEFAULT_USER: &str = "daytona";

/// The wanted sandbox.
pub(super) async fn spec(app: &App, caller: &Caller, new: NewSandbox) -> Result<SandboxSpec, Failure> {
    refuse_what_is_not_built(&new)?;
    let name = new.name.as_deref().map(check_name).transpose()?;
    let network = network::policy(
        new.network_block_all,
        new.network_allow_list.as_deref(),
        new.domain_allow_list.as_deref(),
    )?;
    let lease = lease::policy(&new)?;
    let volumes = new.volumes.unwrap_or_default();
    let mut template = None;
    let image = match (&new.build_info, new.snapshot.as_deref().map(str::trim).unwrap_or_default()) {
        (Some(_), snapshot) if !snapshot.is_empty() => {
            return Err(bad_request("Cannot specify a snapshot when using a build info entry"));
        }
        (Some(build), _) => Some(match Origin::of(build)? {
            Origin::Image(name) => name,
            Origin::Dockerfile(text) => built(app, caller, text, network.clone()).await?.digest.to_string(),
        }),
        (None, "") => match &app.settings.daytona.default_image {
            None => None,
            Some(name) => {
                template = known_template(app, caller, name)?;
                template.is_none().then(|| name.clone())
            }
        },
        (None, snapshot) => match known_template(app, caller, snapshot)? {
            Some(found) => {
                template = Some(found);
                None
            }
            None => Some(known_image(app, caller, snapshot).await?),
        },
    };
    let defaults = match &template {
        Some(template) => template.recipe.resources,
        None => app.core.sandboxes.default_resources(),
    };
    let bounds = bounds(new.cpu, new.memory, new.disk)?;
    Ok(SandboxSpec {
        name,
        name_use: NameUse::Unique,
        image,
        template: template.map(|template| template.name),
        resources: over(bounds, defaults),
        lease,
        network,
        user: new.user.filter(|user| !user.is_empty() && user != DEFAULT_USER),
        env: texts("env", new.env.unwrap_or_default())?,
        labels: texts("labels", new.labels.unwrap_or_default())?,
        public: new.public.unwrap_or_default(),
        volumes: volumes.into_iter().map(WantedMount::try_from).collect::<Result<_, Error>>()?,
        ..SandboxSpec::default()
    })
}

/// Whole cores and GiB as bounds; each must be at least one.
pub(super) fn bounds(
    cpu: Option<i64>,
    memory: Option<i64>,
    disk: Option<i64>,
) -> Result<ResourceChanges, Failure> {
    let positive = |field: &str, count: Option<i64>| match count {
        None => Ok(None),
        Some(count @ 1..) => Ok(Some(count.unsigned_abs())),
        Some(got) => {
            let problem = FieldProblem::BelowMin { got, min: 1 };
            Err(Failure::from(Rejection::Field { part: Part::Body, field: field.to_owned(), problem }))
        }
    };
    Ok(ResourceChanges {
        // What is beyond any number is beyond every limit, and refused as that.
        cpu_millis: positive("cpu", cpu)?
            .map(|cores| u32::try_from(cores.saturating_mul(1000)).unwrap_or(u32::MAX)),
        memory_bytes: positive("memory", memory)?.map(|gib| gib.saturating_mul(GIB)),
        disk_bytes: positive("disk", disk)?.map(|gib| gib.saturating_mul(GIB)),
        pids: None,
    })
}

fn over(wanted: ResourceChanges, defaults: Resources) -> Resources {
    Resources {
        memory_bytes: wanted.memory_bytes.unwrap_or(defaults.memory_bytes),
        cpu_millis: wanted.cpu_millis.unwrap_or(defaults.cpu_millis),
        pids: defaults.pids,
        disk_bytes: wanted.disk_bytes.unwrap_or(defaults.disk_bytes),
    }
}

/// Numbers and booleans become text; whatever else is no text is refused under the name of its field.
pub(super) fn texts(field: &str, map: Map<String, Value>) -> Result<BTreeMap<String, String>, Failure> {
    map.into_iter()
        .map(|(key, value)| {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(is_so) => is_so.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    let problem = FieldProblem::Other("must be a text".to_owned());
                    let field = format!("{field}.{key}");
                    return Err(Rejection::Field { part: Part::Body, field, problem }.into());
                }
            };
            Ok((key, text))
        })
        .collect()
}

fn refuse_what_is_not_built(new: &NewSandbox) -> Result<(), Failure> {
    let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let is_list = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let asked = [
        ("gpu", new.gpu.is_some_and(|count| count > 0)),
        ("kvm", new.kvm == Some(true)),
        ("spot", new.spot == Some(true)),
        ("secrets", is_list(&new.secrets)),
        ("linkedSandbox", is_text(&new.linked_sandbox)),
        ("outboundProxyUrl", is_text(&new.outbound_proxy_url)),
        ("otelEndpointOverride", is_text(&new.otel_endpoint_override)),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        Some((field, _)) => {
            let problem = FieldProblem::Unsupported;
            Err(Rejection::Field { part: Part::Body, field: field.to_owned(), problem }.into())
        }
        None => Ok(()),
    }
}

/// A name that could not be taken for markup or a link where it is shown.
pub(super) fn check_name(name: &str) -> Result<String, Failure> {
    let lower = name.to_ascii_lowercase();
    let has_tag = name.find('<').is_some_and(|at| name[at..].contains('>'));
    if has_tag || lower.contains("://") || lower.contains("www.") || name.chars().any(char::is_control) {
        return Err(bad_request("name: must hold no markup, no link and no control character"));
    }
    Ok(name.to_owned())
}

/// What a build begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// One line names an image: there is nothing to build.
    Image(String),
    /// A Dockerfile, which copies nothing from its client.
    Dockerfile(String),
}

impl Origin {
    pub(super) fn of(build: &NewBuild) -> Result<Self, Failure> {
        if build.context_hashes.as_ref().is_some_and(|hashes| !hashes.is_empty()) {
            return Err(bad_request(
                "buildInfo.contextHashes: this server has no store for the files of a client; build the image with \
                 `lazaret image build` and name it",
            ));
        }
        let lines = build.dockerfile_content.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let from = lines.next().and_then(|line| {
            let (word, image) = line.split_once(char::is_whitespace)?;
            word.eq_ignore_ascii_case("from").then(|| image.trim())
        });
        let is_plain = |image: &&str| !image.is_empty() && !image.contains(char::is_whitespace);
        Ok(match (from.filter(is_plain), lines.next()) {
            (Some(image), None) => Self::Image(image.to_owned()),
            _ => Self::Dockerfile(build.dockerfile_content.clone()),
        })
    }
}

/// The image of a Dockerfile, whose commands reach what the sandbox will. A client that hangs up cancels the build.
pub(super) async fn built(
    app: &App,
    caller: &Caller,
    dockerfile: String,
    network: Option<EgressPolicy>,
) -> Result<Image, Error> {
    let spec = BuildSpec {
        source: BuildSource::Text(dockerfile),
        name: None,
        target: None,
        arguments: BTreeMap::new(),
        cache: CacheUse::default(),
        network,
        resources: None,
        timeout: None,
    };
    app.core.builds.begin(caller, spec).await?.wait().await
}

fn known_template(app: &App, caller: &Caller, name: &str) -> Result<Option<Template>, Error> {
    match app.core.templates.get(caller, name) {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A snapshot that is no template is an image that is here, or one that the operator offers.
async fn known_image(app: &App, caller: &Caller, name: &str) -> Result<String, Failure> {
    match app.core.images.get(caller, name).await {
        Ok(_) => return Ok(name.to_owned()),
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if app.core.images.offered(caller).await?.iter().any(|offered| offered.name == name) {
        return Ok(name.to_owned());
    }
    Err(bad_request(&format!(
        "Snapshot {name} not found. `lazaret image ls` shows what there is; a registry's image is named as an image"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_names_an_image_is_that_image_and_the_rest_is_built() {
        let check = |text: &str| {
            let build = NewBuild { dockerfile_content: text.to_owned(), context_hashes: None };
            Origin::of(&build).map_err(|failure| failure.to_string())
        };
        let image = |name: &str| Ok(Origin::Image(name.to_owned()));
        assert_eq!(check("FROM debian:12.9\n"), image("debian:12.9"));
        assert_eq!(check("# made by a client\n\nfrom  alpine\n"), image("alpine"));
        for text in ["", "FROM", "FROM a AS b", "FROM a\nRUN true", "RUN true", "FROMa"] {
            assert_eq!(check(text), Ok(Origin::Dockerfile(text.to_owned())), "{text:?}");
        }
        let hashes = Some(vec!["abc".to_owned()]);
        let with_context = NewBuild { dockerfile_content: "FROM a".to_owned(), context_hashes: hashes };
        assert!(Origin::of(&with_context).is_err_and(|failure| failure.to_string().starts_with("buildInfo")));
    }

    #[test]
    fn names_that_look_like_markup_or_links_are_refused() {
        for name in ["<b>x</b>", "see http://x", "www.example.org", "a\nb"] {
            assert!(
                check_name(name).is_err_and(|failure| failure.to_string().starts_with("name: ")),
                "{name}"
            );
        }
        for name in ["box", "a < b", "é", "1.2"] {
            assert!(check_name(name).is_ok_and(|checked| checked == name), "{name}");
        }
    }
}
