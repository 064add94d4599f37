//! From the sources of a `COPY` to what they are in a tree, and everything below it.

use lazaret_core::{PathPattern, has_wildcards};
use rustix::fs::{FileType, Stat};

use super::copy::CopyError;
use super::lookup::View;
use crate::unpack::path::EntryPath;

/// Something that a source stands for.
#[derive(Debug)]
pub(super) struct Selected {
    /// Where it is, without a symlink on the way.
    pub(super) path: EntryPath,
    /// What it is; never a symlink.
    pub(super) stat: Stat,
    /// What it is called in a directory that it is copied into; empty for the root.
    pub(super) name: Vec<u8>,
}

impl Selected {
    pub(super) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

/// Everything that a source stands for, in the order of its names; never nothing.
pub(super) fn select(view: &View, source: &str) -> Result<Vec<Selected>, CopyError> {
    let missing = || CopyError::Missing(source.to_owned());
    let lookup = |error| CopyError::Source { source_path: source.to_owned(), problem: error };
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    for component in source.split('/').filter(|component| !component.is_empty()) {
        if !has_wildcards(component) {
            for path in &mut paths {
                push(path, component.as_bytes());
            }
            continue;
        }
        let pattern = PathPattern::flat(component)
            .map_err(|reason| CopyError::Pattern { source_path: source.to_owned(), reason })?;
        let mut matching = Vec::new();
        for path in &paths {
            let place = view.resolve(path).map_err(lookup)?;
            if !place.is_directory() {
                continue;
            }
            for name in view.names(&place.path).map_err(lookup)? {
                if pattern.matches(&[&*String::from_utf8_lossy(&name)]) {
                    let mut path = path.clone();
                    push(&mut path, &name);
                    matching.push(path);
                }
            }
        }
        paths = matching;
    }
    let mut selected = Vec::with_capacity(paths.len());
    for path in paths {
        let place = view.resolve(&path).map_err(lookup)?;
        let Some(stat) = place.stat else { continue };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        selected.push(Selected { path: place.path, stat, name });
    }
    if selected.is_empty() { Err(missing()) } else { Ok(selected) }
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Names and what they are, in a directory, in order.
pub(super) fn children(
    view: &View,
    directory: &EntryPath,
) -> Result<Vec<(Vec<u8>, EntryPath, Stat)>, CopyError> {
    let lookup = |problem| CopyError::Source { source_path: directory.to_string(), problem };
    let mut children = Vec::new();
    for name in view.names(directory).map_err(lookup)? {
        let path = directory.child(&name).map_err(|error| lookup(error.into()))?;
        if let Some(stat) = view.stat(&path).map_err(lookup)? {
            children.push((name, path, stat));
        }
    }
    Ok(children)
}
