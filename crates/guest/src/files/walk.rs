//! The entries of a tree: `Walk`.

use lazaret_protocol::{Entry, FileKind, Walk};
use rustix::fs::OFlags;

use super::acting::as_user;
use super::batch::Batch;
use super::descent::Descent;
use super::errors::{bad_path, failure};
use super::glob::Glob;
use super::place::Base;
use crate::connection::Connection;
use crate::request::Stop;

/// Answers the request.
pub(crate) fn run(connection: &mut Connection, request: &Walk) -> Result<(), Stop> {
    as_user(request.target.user.as_deref(), || walk(connection, request))
}

fn walk(connection: &mut Connection, request: &Walk) -> Result<(), Stop> {
    let path = &request.target.path;
    let selection = request.selection.as_ref();
    let glob = selection.and_then(|selection| selection.name.as_deref()).map(Glob::parse).transpose()?;
    let base = Base::of(&request.target)?;
    let follow = selection.is_some_and(|selection| selection.follow);
    if follow && base.is_confined() {
        return Err(bad_path("beneath a root no link is followed", path).into());
    }
    let root = base.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let depth = selection.and_then(|selection| selection.depth);
    let mut descent = Descent::new(root, depth).map_err(|errno| failure(errno, path))?;
    let mut batch = Batch::new(connection, request.limit);
    while let Some(step) = descent.next() {
        let is_wanted = match selection {
            None => step.metadata.kind == FileKind::File,
            Some(_) => glob.as_ref().is_none_or(|glob| glob.matches(step.name())),
        };
        if !is_wanted {
            continue;
        }
        let metadata = if follow && step.metadata.kind == FileKind::Symlink {
            let Ok(metadata) = descent.followed(&step) else { continue };
            metadata
        } else {
            step.metadata
        };
        if !batch.push(Entry { path: step.path.into(), metadata })? {
            descent.cut();
            break;
        }
    }
    Ok(batch.finish(descent.is_cut())?)
}
