//! Templates between JSON and the core's nouns.

use lazaret_core::{Caller, TemplateSource};

use super::wire;
use crate::failure::{Failure, FieldProblem, Part, Rejection};
use crate::ids;
use crate::native::target;
use crate::native::time::rfc3339;
use crate::settings::App;

impl From<lazaret_core::Template> for wire::Template {
    fn from(template: lazaret_core::Template) -> Self {
        let (image, sandbox_id) = match &template.source {
            TemplateSource::Image(name) => (Some(name.clone()), None),
            TemplateSource::Sandbox(id) => (None, Some(ids::uuid(id.as_bytes()))),
            TemplateSource::Build => (None, None),
        };
        let lazaret_core::Recipe { resources, env, cwd, user, start_command } = template.recipe;
        Self {
            id: ids::uuid(template.id.as_bytes()),
            name: template.name,
            image,
            sandbox_id,
            image_digest: template.image.map(|image| image.to_string()),
            bytes: template.bytes,
            state: template.state.name(),
            reason: template.reason,
            resources: resources.into(),
            env,
            cwd,
            user,
            start_command,
            created_at: rfc3339(template.created_at),
            updated_at: rfc3339(template.updated_at),
            last_used_at: template.last_used_at.map(rfc3339),
        }
    }
}

/// What the core is asked for.
pub(super) fn new_template(
    app: &App,
    caller: &Caller,
    new: wire::NewTemplate,
) -> Result<lazaret_core::NewTemplate, Failure> {
    let source = match (new.image, new.sandbox) {
        (Some(image), None) => TemplateSource::Image(image),
        (None, Some(sandbox)) => TemplateSource::Sandbox(target::find(app, caller, &sandbox)?),
        (Some(_), Some(_)) => return Err(refused("sandbox", "cannot be given together with image")),
        (None, None) => return Err(refused("image", "is missing; give an image or a sandbox")),
    };
    Ok(lazaret_core::NewTemplate {
        resources: new.resources.unwrap_or_default().into(),
        env: new.env.unwrap_or_default(),
        cwd: new.cwd,
        user: new.user,
        start_command: new.start_command,
        ..lazaret_core::NewTemplate::new(new.name, source)
    })
}

fn refused(field: &str, why: &str) -> Failure {
    let problem = FieldProblem::Other(why.to_owned());
    Rejection::Field { part: Part::Body, field: field.to_owned(), problem }.into()
}
