//! Which stages a build needs, and what each begins with.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile::{Instruction, expand};
use crate::{Dockerfile, DockerfileError, limits};

/// Arguments that may be given without being declared, and that no result depends on: where a proxy is.
pub(super) const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The name of the base that is nothing.
const SCRATCH: &str = "scratch";

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage of the file, by its number from 0.
    Stage(usize),
    /// An image.
    Image(String),
}

/// A stage that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStage {
    /// Its number in the file, from 0.
    pub index: usize,
    /// What it begins with.
    pub base: Base,
}

/// What has to be done, as far as the file alone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order; the last is the wanted one.
    pub stages: Vec<PlannedStage>,
    /// Arguments before the first `FROM`, and the platform's, with their values.
    pub globals: BTreeMap<String, String>,
    /// Arguments that were given and that no `ARG` declares.
    pub unused: Vec<String>,
}

impl Plan {
    /// What a file means with these arguments. `target` is a stage's name or number.
    ///
    /// # Errors
    /// [`DockerfileError`] for a base, platform or target that cannot be.
    pub fn make(
        file: &Dockerfile,
        arguments: &BTreeMap<String, String>,
        target: Option<&str>,
    ) -> Result<Self, DockerfileError> {
        let globals = globals(file, arguments)?;
        let target = match target {
            None => file.stages.len() - 1,
            Some(name) => file.stage_before(file.stages.len(), name).ok_or_else(|| {
                DockerfileError::new(1, format!("there is no stage {}", name.escape_debug()))
            })?,
        };
        let bases: Vec<Base> =
            (0..=target).map(|index| base(file, index, &globals)).collect::<Result<_, _>>()?;
        let mut needed = BTreeSet::from([target]);
        // A stage needs earlier ones only.
        for index in (0..=target).rev().filter(|index| *index <= target) {
            if needed.contains(&index) {
                needed.extend(uses(file, index, &bases[index]));
            }
        }
        let stages = needed.into_iter().map(|index| PlannedStage { index, base: bases[index].clone() });
        Ok(Self { stages: stages.collect(), globals, unused: unused(file, arguments) })
    }

    /// Steps of all stages that are needed.
    pub fn step_count(&self, file: &Dockerfile) -> usize {
        self.stages.iter().map(|stage| 1 + file.stages[stage.index].steps.len()).sum()
    }
}

/// The platform that is built for, which is this machine's, in the words of `ARG`.
fn platform() -> [(&'static str, String); 8] {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let whole = format!("linux/{architecture}");
    [
        ("TARGETPLATFORM", whole.clone()),
        ("TARGETOS", "linux".to_owned()),
        ("TARGETARCH", architecture.to_owned()),
        ("TARGETVARIANT", String::new()),
        ("BUILDPLATFORM", whole),
        ("BUILDOS", "linux".to_owned()),
        ("BUILDARCH", architecture.to_owned()),
        ("BUILDVARIANT", String::new()),
    ]
}

fn globals(
    file: &Dockerfile,
    arguments: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, DockerfileError> {
    let mut globals: BTreeMap<String, String> =
        platform().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for argument in &file.arguments {
        let value = match (arguments.get(&argument.name), &argument.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(
                expand(default, &globals, file.escape)
                    .map_err(|reason| DockerfileError::new(argument.line, reason))?,
            ),
            (None, None) => None,
        };
        globals.extend(value.map(|value| (argument.name.clone(), value)));
    }
    Ok(globals)
}

fn base(
    file: &Dockerfile,
    index: usize,
    globals: &BTreeMap<String, String>,
) -> Result<Base, DockerfileError> {
    let stage = &file.stages[index];
    let refused = |reason: String| DockerfileError::new(stage.line, reason);
    let expanded = |word: &str| expand(word, globals, file.escape).map_err(refused);
    if let Some(platform) = &stage.platform {
        let wanted = expanded(platform)?;
        let here = &globals["BUILDPLATFORM"];
        let variant = format!("{here}/v8");
        if wanted != *here && !(here == "linux/arm64" && wanted == variant) {
            return Err(refused(format!("--platform={}: this machine builds {here}", wanted.escape_debug())));
        }
    }
    let name = expanded(&stage.base)?;
    if name.is_empty() {
        return Err(refused("the name of the base is empty".to_owned()));
    }
    if name == SCRATCH {
        return Ok(Base::Scratch);
    }
    let lower = name.to_ascii_lowercase();
    let earlier =
        file.stages[..index].iter().rposition(|stage| stage.name.as_deref() == Some(lower.as_str()));
    Ok(earlier.map_or(Base::Image(name), Base::Stage))
}

/// The stages that a stage needs.
fn uses(file: &Dockerfile, index: usize, base: &Base) -> BTreeSet<usize> {
    let mut uses = BTreeSet::new();
    if let Base::Stage(earlier) = base {
        uses.insert(*earlier);
    }
    for step in &file.stages[index].steps {
        if let Instruction::Copy(copy) = &step.instruction
            && let Some(from) = &copy.from
        {
            uses.extend(file.stage_before(index, from));
        }
    }
    uses
}

fn unused(file: &Dockerfile, arguments: &BTreeMap<String, String>) -> Vec<String> {
    let mut declared: BTreeSet<&str> = file.arguments.iter().map(|argument| argument.name.as_str()).collect();
    for step in file.stages.iter().flat_map(|stage| &stage.steps) {
        if let Instruction::Arg(names) = &step.instruction {
            declared.extend(names.iter().map(|(name, _)| name.as_str()));
        }
    }
    let used = |name: &str| declared.contains(name) || PROXIES.contains(&name);
    arguments.keys().filter(|name| !used(name)).take(limits::BUILD_ARGUMENTS_MAX).cloned().collect()
}
