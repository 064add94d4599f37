//! Instructions to stages.

use super::instruction::{self, Instruction, flag_value, flags, shown};
use super::lines::{Line, Lines, split_keyword};
use super::{Argument, Dockerfile, DockerfileError, Stage, Step};
use crate::limits;

pub(super) fn gather(lines: &Lines) -> Result<Dockerfile, DockerfileError> {
    let mut file = Dockerfile { escape: lines.escape, arguments: Vec::new(), stages: Vec::new() };
    if let Some(line) = lines.lines.get(limits::BUILD_STEPS_MAX) {
        let reason = format!("the file has more than {} instructions", limits::BUILD_STEPS_MAX);
        return Err(DockerfileError::new(line.number, reason));
    }
    for line in &lines.lines {
        take(&mut file, line).map_err(|reason| DockerfileError::new(line.number, reason))?;
    }
    if file.stages.is_empty() {
        return Err(DockerfileError::new(1, "there is no FROM"));
    }
    Ok(file)
}

fn take(file: &mut Dockerfile, line: &Line) -> Result<(), String> {
    let (keyword, rest) = split_keyword(&line.text);
    if keyword.eq_ignore_ascii_case("FROM") {
        let stage = from(file, line, rest)?;
        file.stages.push(stage);
        return Ok(());
    }
    let instruction = instruction::parse(line, file.escape)?;
    match (file.stages.last_mut(), instruction) {
        (None, Instruction::Arg(arguments)) => {
            let argument = |(name, default)| Argument { line: line.number, name, default };
            file.arguments.extend(arguments.into_iter().map(argument));
        }
        (None, _) => return Err("only ARG may stand before the first FROM".to_owned()),
        (Some(stage), instruction) => {
            stage.steps.push(Step { line: line.number, text: line.text.clone(), instruction });
        }
    }
    Ok(())
}

/// `FROM [--platform=P] BASE [AS NAME]`.
fn from(file: &Dockerfile, line: &Line, rest: &str) -> Result<Stage, String> {
    let (flags, rest) = flags(rest);
    let mut platform = None;
    for (name, value) in flags {
        match name {
            "platform" => platform = Some(flag_value(name, value)?.to_owned()),
            _ => return Err(format!("FROM --{} is outside the subset", shown(name))),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, as_word, name] if as_word.eq_ignore_ascii_case("AS") => (*base, Some(stage_name(file, name)?)),
        _ => return Err("FROM needs an image, and may have AS and a name".to_owned()),
    };
    Ok(Stage {
        line: line.number,
        text: line.text.clone(),
        base: base.to_owned(),
        platform,
        name,
        steps: Vec::new(),
    })
}

fn stage_name(file: &Dockerfile, name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    let mut bytes = lower.bytes();
    let fits = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !fits {
        return Err(format!("{} cannot name a stage: a letter, then letters, digits, - _ .", shown(name)));
    }
    if file.stages.iter().any(|stage| stage.name.as_deref() == Some(lower.as_str())) {
        return Err(format!("there is a stage {} already", shown(name)));
    }
    Ok(lower)
}
