//! Templates of the caller's account: made, found, switched on and off, removed.
//!
//! Records are written to the store first and then to memory, from where everybody reads. What a template is made of is
//! fetched by a task of its own ([`prepare`]).

mod prepare;
mod table;

use std::sync::Arc;

pub(super) use self::prepare::adopt;
pub(super) use self::table::Templates as Table;
use super::context::Context;
use super::image_collection;
use super::sandboxes::find_current;
use crate::template::check_handle;
use crate::{
    Caller, Decision, Error, EventKind, Image, Kind, Limit, NewTemplate, Recipe, Result, Sandbox, Scope,
    Template, TemplateId, TemplateSource, TemplateState, Verb, Viewer, limits,
};

/// Templates.
#[derive(Clone)]
pub struct Templates {
    pub(super) context: Arc<Context>,
}

impl Templates {
    /// Every template of the account, oldest first; [`limits::TEMPLATES_MAX`] at most.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub fn list(&self, caller: &Caller) -> Result<Vec<Template>> {
        caller.need(Scope::SandboxesRead)?;
        Ok(self.context.templates.of(caller.account))
    }

    /// The template with this name or id.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the account has none.
    pub fn get(&self, caller: &Caller, name: &str) -> Result<Template> {
        caller.need(Scope::SandboxesRead)?;
        find(&self.context, caller, name)
    }

    /// Makes a template of an image or of a stopped sandbox. One whose image is here is active when this returns; any other
    /// gets its image in the background, and its state tells how that goes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a field out of its range or the tier's; [`Error::AlreadyExists`] for the name;
    /// [`Error::NotFound`] for the sandbox; [`Error::Refused`] if that is not stopped; [`Error::LimitReached`] for
    /// [`Limit::Templates`].
    pub async fn create(&self, caller: &Caller, new: NewTemplate) -> Result<Template> {
        caller.need(Scope::SandboxesWrite)?;
        let (origin, image) = match &new.source {
            TemplateSource::Image(name) => {
                let viewer = Viewer::Account(caller.account);
                (None, super::images::find(&self.context, name, viewer).await?)
            }
            TemplateSource::Sandbox(id) => {
                let sandbox = find_current(&self.context, caller, *id).await?.snapshot();
                if sandbox.state.judge(Verb::Commit) == Decision::Refuse {
                    let (kind, state, verb) = (Kind::Sandbox, sandbox.state, Verb::Commit);
                    return Err(Error::Refused { kind, state, verb });
                }
                (Some(sandbox), None)
            }
            TemplateSource::Build => {
                return Err(Error::invalid("source", "a build is begun with what builds it"));
            }
        };
        if let (TemplateSource::Image(name), None) = (&new.source, &image) {
            super::images::check_obtainable(&self.context, name)?;
        }
        let state = match &new.source {
            TemplateSource::Sandbox(_) => TemplateState::Committing,
            _ if image.is_some() => TemplateState::Active,
            _ => TemplateState::Pulling,
        };
        let template = self.enter(caller, new, origin.as_ref(), state, image.as_ref()).await?;
        if state != TemplateState::Active {
            prepare::begin(&self.context, &template);
        }
        Ok(template)
    }

    /// Makes a template whose image is what `work` gives, in the background; its source is [`TemplateSource::Build`].
    ///
    /// # Errors
    /// As [`Templates::create`].
    pub async fn create_built(
        &self,
        caller: &Caller,
        new: NewTemplate,
        work: impl Future<Output = Result<Image>> + Send + 'static,
    ) -> Result<Template> {
        caller.need(Scope::SandboxesWrite)?;
        let new = NewTemplate { source: TemplateSource::Build, ..new };
        let template = self.enter(caller, new, None, TemplateState::Building, None).await?;
        prepare::begin_with(&self.context, template.id, work);
        Ok(template)
    }

    /// Checks a new template and writes it down.
    async fn enter(
        &self,
        caller: &Caller,
        new: NewTemplate,
        origin: Option<&Sandbox>,
        state: TemplateState,
        image: Option<&Image>,
    ) -> Result<Template> {
        check_handle(&new.name)?;
        let recipe = recipe(&new, origin, self.context.settings.default_resources);
        recipe.check()?;
        self.context.settings.tier(&caller.tier).allow(&recipe.resources)?;
        let now = self.context.now();
        let template = Template {
            id: TemplateId::from_bytes(self.context.ports.ids.next(now)),
            account: caller.account,
            name: new.name,
            source: new.source,
            recipe,
            image: image.map(|image| image.digest),
            bytes: image.map(|image| image.bytes),
            state,
            reason: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        let _changing = self.context.templates.changing.lock().await;
        if self.context.templates.of(caller.account).len() >= limits::TEMPLATES_MAX {
            return Err(Error::LimitReached(Limit::Templates));
        }
        // The name is judged there, by one index.
        self.context.ports.store.create_template(&template).await?;
        self.context.templates.put(template.clone());
        publish(&self.context, &template).await;
        Ok(template)
    }

    /// Lets sandboxes be made of a template again. One that failed is prepared once more; an image that is not here any more
    /// is pulled, and is then what its name means by now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] for one that is being removed; [`Error::Unsupported`] for a build that
    /// failed.
    pub async fn activate(&self, caller: &Caller, name: &str) -> Result<Template> {
        caller.need(Scope::SandboxesWrite)?;
        let template = find(&self.context, caller, name)?;
        match template.state {
            TemplateState::Active => return Ok(template),
            state if state.is_being_made() => return Ok(template),
            TemplateState::Removing => return Err(busy(&template, "its removal")),
            _ => {}
        }
        let kept = match &template.image {
            Some(image) => image_collection::hold(&self.context, image).await?,
            None => None,
        };
        if kept.is_some() {
            return change(&self.context, template.id, |template| {
                template.state = TemplateState::Active;
                template.reason = None;
            })
            .await;
        }
        let state = match &template.source {
            TemplateSource::Image(_) => TemplateState::Pulling,
            TemplateSource::Sandbox(_) => TemplateState::Committing,
            TemplateSource::Build => {
                let what = "building a template again; make another one".to_owned();
                return Err(Error::Unsupported { what });
            }
        };
        let template = change(&self.context, template.id, |template| {
            template.state = state;
            template.reason = None;
        })
        .await?;
        prepare::begin(&self.context, &template);
        Ok(template)
    }

    /// Keeps sandboxes from being made of a template. Those that there are go on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] for one that is being made or removed.
    pub async fn deactivate(&self, caller: &Caller, name: &str) -> Result<Template> {
        caller.need(Scope::SandboxesWrite)?;
        let template = find(&self.context, caller, name)?;
        match template.state {
            TemplateState::Inactive => Ok(template),
            TemplateState::Active | TemplateState::Error => {
                change(&self.context, template.id, |template| template.state = TemplateState::Inactive).await
            }
            TemplateState::Removing => Err(busy(&template, "its removal")),
            _ => Err(busy(&template, "its preparation")),
        }
    }

    /// Removes a template. An image that was made for it goes as soon as no sandbox needs it; sandboxes of it go on.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let template = find(&self.context, caller, name)?;
        let context = Arc::clone(&self.context);
        // A task of its own: a client that hangs up half-way must not leave half a template.
        let removed = tokio::spawn(async move {
            context.templates.end(template.id).await;
            let template =
                change(&context, template.id, |template| template.state = TemplateState::Removing).await?;
            forget(&context, &template).await
        });
        removed.await.map_err(Error::internal)?
    }

    /// The template that a sandbox is to be made of.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for one that is not active, saying what it is.
    pub fn usable(&self, caller: &Caller, name: &str) -> Result<Template> {
        caller.need(Scope::SandboxesRead)?;
        usable(&self.context, caller, name)
    }
}

/// See [`Templates::usable`].
pub(super) fn usable(context: &Context, caller: &Caller, name: &str) -> Result<Template> {
    let template = find(context, caller, name)?;
    match (template.state, &template.reason) {
        (TemplateState::Active, _) => Ok(template),
        (state, Some(reason)) => Err(Error::invalid("template", format!("is in state {state}: {reason}"))),
        (TemplateState::Inactive, None) => Err(Error::invalid("template", "is inactive; activate it first")),
        (state, None) => Err(Error::invalid("template", format!("is not ready: it is {state}"))),
    }
}

/// Notes that a sandbox was made of a template.
pub(super) async fn note_use(context: &Context, id: TemplateId) {
    let now = context.now();
    let _changing = context.templates.changing.lock().await;
    let Some(mut template) = context.templates.find(id) else { return };
    template.last_used_at = Some(now);
    context.templates.put(template.clone());
    if let Err(error) = context.ports.store.update_template(&template).await {
        tracing::warn!(template.id = %id, error = &error as &dyn std::error::Error,
            "the use of a template could not be noted");
    }
}

fn find(context: &Context, caller: &Caller, name: &str) -> Result<Template> {
    let id: Option<TemplateId> = name.replace('-', "").parse().ok();
    let found = context
        .templates
        .of(caller.account)
        .into_iter()
        .find(|template| Some(template.id) == id || template.name == name);
    found.ok_or_else(|| Error::not_found(Kind::Template, name))
}

fn recipe(new: &NewTemplate, origin: Option<&Sandbox>, defaults: crate::Resources) -> Recipe {
    let mut env = origin.map(|sandbox| sandbox.env.clone()).unwrap_or_default();
    env.extend(new.env.clone());
    let start_command = new.start_command.clone();
    Recipe {
        resources: new.resources.over(origin.map_or(defaults, |sandbox| sandbox.resources)),
        env,
        cwd: new.cwd.clone().or_else(|| origin?.cwd.clone()),
        user: new.user.clone().or_else(|| origin?.user.clone()),
        start_command: start_command.or_else(|| Some(origin?.start_command.clone())).unwrap_or_default(),
    }
}

/// Changes a template: store first, then memory, then whoever watches.
async fn change(context: &Context, id: TemplateId, change: impl FnOnce(&mut Template)) -> Result<Template> {
    let _changing = context.templates.changing.lock().await;
    let mut template = context.templates.find(id).ok_or_else(|| Error::not_found(Kind::Template, id))?;
    change(&mut template);
    template.updated_at = context.now();
    context.ports.store.update_template(&template).await?;
    context.templates.put(template.clone());
    publish(context, &template).await;
    Ok(template)
}

/// Removes a template's record, and the image that was made for it if nobody else needs that.
async fn forget(context: &Context, template: &Template) -> Result<()> {
    {
        let _changing = context.templates.changing.lock().await;
        context.ports.store.delete_template(template.id).await?;
        context.templates.remove(template.id);
    }
    let Some(image) = template.image.filter(|_| !template.source.is_replaceable()) else { return Ok(()) };
    if let Err(error) = image_collection::release(context, &image).await {
        // Collection removes it once it was unused for long.
        tracing::warn!(template.id = %template.id, error = &error as &dyn std::error::Error,
            "the image of a removed template stays for now");
    }
    Ok(())
}

async fn publish(context: &Context, template: &Template) {
    let kind = EventKind::TemplateChanged {
        template: template.id,
        name: template.name.clone(),
        state: template.state,
        reason: template.reason.clone(),
    };
    context.events.publish(context, template.account, None, kind).await;
}

fn busy(template: &Template, by: &str) -> Error {
    Error::InUse { kind: Kind::Template, id: template.name.clone(), by: by.to_owned() }
}
