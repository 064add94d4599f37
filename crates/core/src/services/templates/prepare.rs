//! The task that gets a template its image, and what the next server does about one that was interrupted.

use std::sync::Arc;

use super::{change, forget};
use crate::ports::Keep;
use crate::services::commit::{NewImage, commit};
use crate::services::context::Context;
use crate::services::image_collection::{HeldImage, hold, obtain_held};
use crate::{
    Error, Image, ImageConfig, Kind, Result, SandboxId, Template, TemplateId, TemplateSource, TemplateState,
    Viewer,
};

/// Gets the image of a template in the background, and makes the template active or tells why not.
pub(super) fn begin(context: &Arc<Context>, template: &Template) {
    let (id, source) = (template.id, template.source.clone());
    let shared = Arc::clone(context);
    let (account, name) = (template.account, template.name.clone());
    context.templates.begin(id, async move {
        let image = match &source {
            TemplateSource::Image(name) => obtain_held(&shared, account, name).await,
            TemplateSource::Sandbox(sandbox) => committed(&shared, *sandbox, &name).await,
            TemplateSource::Build => Err(interrupted()),
        };
        settle(&shared, id, image).await;
    });
}

/// As [`begin`], with an image that is what `work` gives.
pub(super) fn begin_with(
    context: &Arc<Context>,
    id: TemplateId,
    work: impl Future<Output = Result<Image>> + Send + 'static,
) {
    let shared = Arc::clone(context);
    context.templates.begin(id, async move {
        let image = match work.await {
            Ok(image) => hold(&shared, &image.digest)
                .await
                .and_then(|held| held.ok_or_else(|| Error::not_found(Kind::Image, image.digest))),
            Err(error) => Err(error),
        };
        settle(&shared, id, image).await;
    });
}

/// Why a build has no image: it was under way when the server ended.
fn interrupted() -> Error {
    Error::Unavailable { retry_after: None, source: "the server ended while the template was built".into() }
}

async fn committed(context: &Arc<Context>, sandbox: SandboxId, name: &str) -> Result<HeldImage> {
    let entry = context.table.find(sandbox).ok_or_else(|| Error::not_found(Kind::Sandbox, sandbox))?;
    let new = NewImage {
        config: None::<ImageConfig>,
        name: None,
        made_by: format!("lazaret template {name}"),
        // It goes with the template, and if that is missed, once nobody has used it for long.
        keep: Keep::WhileUsed,
    };
    commit(context, &entry.snapshot(), new).await
}

/// Writes down what came of it. The image is held until the template is known to need it.
async fn settle(context: &Arc<Context>, id: TemplateId, image: Result<HeldImage>) {
    let (state, reason, image) = match image {
        Ok(held) => (TemplateState::Active, None, Some(held)),
        Err(error) => {
            tracing::warn!(template.id = %id, error = &error as &dyn std::error::Error,
                "a template has no image");
            let reason = match &error {
                Error::Unavailable { source, .. } => source.to_string(),
                error => error.to_string(),
            };
            (TemplateState::Error, Some(reason), None)
        }
    };
    let changed = change(context, id, |template| {
        template.state = state;
        template.reason = reason;
        if let Some(held) = &image {
            template.image = Some(held.image.digest);
            template.bytes = Some(held.image.bytes);
        }
    });
    if let Err(error) = changed.await {
        // The next server finds it in its earlier state and prepares it once more.
        tracing::error!(template.id = %id, error = &error as &dyn std::error::Error,
            "what became of a template could not be recorded");
    }
}

/// Takes the templates of the last server over: what was interrupted begins again or is told of.
pub(in crate::services) async fn adopt(context: &Arc<Context>) -> Result<()> {
    for template in context.ports.store.list_templates().await? {
        let (id, state) = (template.id, template.state);
        let image_is_here = match &template.image {
            Some(image) => context.ports.images.find(&image.to_string(), Viewer::Server).await?.is_some(),
            None => false,
        };
        context.templates.put(template.clone());
        match state {
            TemplateState::Removing => forget(context, &template).await?,
            state if state.is_being_made() => begin(context, &template),
            TemplateState::Active if !image_is_here && template.source.is_replaceable() => {
                let pulling = change(context, id, |template| template.state = TemplateState::Pulling).await?;
                begin(context, &pulling);
            }
            TemplateState::Active if !image_is_here => {
                change(context, id, |template| {
                    template.state = TemplateState::Error;
                    template.reason = Some("its image is not in the store any more".to_owned());
                })
                .await?;
            }
            _ => {}
        }
    }
    Ok(())
}
