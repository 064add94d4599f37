//! A file tree in memory, as one sandbox sees it.

use std::collections::BTreeMap;

use lazaret_core::{
    Error, Existing, FileEntry, FileKind, FilePath, FileProblem, FileScope, LineMatch, Links, Result,
    Timestamp, TreeQuery,
};

/// What a path holds.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory,
    File(bytes::Bytes),
    Link(Vec<u8>),
}

/// A node with its metadata.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) node: Node,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified_at: Timestamp,
}

/// Every path of a sandbox, with its node.
#[derive(Debug)]
pub(super) struct Tree(BTreeMap<Vec<u8>, Inode>);

/// Links followed before they count as a loop.
const LINKS_MAX: usize = 8;

impl Tree {
    pub(super) fn new(now: Timestamp) -> Self {
        let mut tree = Self(BTreeMap::new());
        for path in ["/", "/tmp", "/etc", "/mnt"] {
            tree.put(path.as_bytes().to_vec(), Node::Directory, 0o755, now);
        }
        tree.put(b"/etc/hostname".to_vec(), Node::File("box\n".into()), 0o644, now);
        tree
    }

    pub(super) fn put(&mut self, path: Vec<u8>, node: Node, mode: u32, now: Timestamp) {
        self.0.insert(path, Inode { node, mode, uid: 0, gid: 0, modified_at: now });
    }

    pub(super) fn inode(&mut self, path: &FilePath) -> Result<&mut Inode> {
        self.0.get_mut(key(path)).ok_or_else(|| failed(path, FileProblem::NotFound))
    }

    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.0.contains_key(path)
    }

    /// Checks that `path` lies where `scope` confines it.
    pub(super) fn check(scope: &FileScope, path: &FilePath) -> Result<()> {
        match &scope.beneath {
            Some(root)
                if !path.as_bytes().starts_with(root.as_bytes())
                    || path.as_bytes().windows(4).any(|part| part == b"/../") =>
            {
                Err(failed(path, FileProblem::OutsideRoot))
            }
            _ => Ok(()),
        }
    }

    /// The content of a regular file, following links unless the scope confines.
    pub(super) fn content(&self, scope: &FileScope, path: &FilePath) -> Result<(FileEntry, bytes::Bytes)> {
        let mut at = key(path).to_vec();
        for _ in 0..LINKS_MAX {
            let inode = self.0.get(&at).ok_or_else(|| failed(path, FileProblem::NotFound))?;
            match &inode.node {
                Node::Directory => return Err(failed(path, FileProblem::IsADirectory)),
                Node::File(bytes) => return Ok((entry(&at, inode), bytes.clone())),
                Node::Link(_) if scope.beneath.is_some() => {
                    return Err(failed(path, FileProblem::LinkNotFollowed));
                }
                Node::Link(target) => at.clone_from(target),
            }
        }
        Err(failed(path, FileProblem::LinkNotFollowed))
    }

    pub(super) fn entry(&self, path: &FilePath) -> Result<FileEntry> {
        let inode = self.0.get(key(path)).ok_or_else(|| failed(path, FileProblem::NotFound))?;
        Ok(entry(key(path), inode))
    }

    /// The entries directly in a directory, or all regular files beneath it.
    pub(super) fn beneath(&self, path: &FilePath, deep: bool) -> Result<Vec<FileEntry>> {
        match self.0.get(key(path)).map(|inode| &inode.node) {
            None => return Err(failed(path, FileProblem::NotFound)),
            Some(Node::Directory) => {}
            Some(_) => return Err(failed(path, FileProblem::NotADirectory)),
        }
        let root = key(path);
        let inside = |candidate: &[u8]| match candidate.strip_prefix(root) {
            Some(rest) if root == b"/" => !rest.is_empty() && (deep || !rest.contains(&b'/')),
            Some(rest) => rest.len() > 1 && rest[0] == b'/' && (deep || !rest[1..].contains(&b'/')),
            None => false,
        };
        let found = self.0.iter().filter(|(path, _)| inside(path));
        let wanted = found.filter(|(_, inode)| !deep || matches!(inode.node, Node::File(_)));
        Ok(wanted.map(|(path, inode)| entry(path, inode)).collect())
    }

    /// What a path is, with a link at its end followed if that is asked.
    pub(super) fn looked_at(&self, path: &FilePath, links: Links) -> Result<FileEntry> {
        let mut at = key(path).to_vec();
        for _ in 0..LINKS_MAX {
            let inode = self.0.get(&at).ok_or_else(|| failed(path, FileProblem::NotFound))?;
            match (&inode.node, links) {
                (Node::Link(target), Links::Followed) => at.clone_from(target),
                _ => return Ok(FileEntry { path: path.clone(), ..entry(&at, inode) }),
            }
        }
        Err(failed(path, FileProblem::LinkNotFollowed))
    }

    /// What is beneath a directory, as far as it is as `query` says. Globs are `*` and what follows it, or plain names.
    pub(super) fn selected(&self, path: &FilePath, query: &TreeQuery) -> Result<Vec<FileEntry>> {
        self.beneath(path, false)?;
        let root = key(path).strip_suffix(b"/").unwrap_or(key(path));
        let depth = |path: &[u8]| path[root.len()..].iter().filter(|byte| **byte == b'/').count();
        let fits = |name: &[u8]| match query.name.as_deref() {
            None => true,
            Some(glob) => match glob.strip_prefix('*') {
                Some(end) => name.ends_with(end.as_bytes()),
                None => name == glob.as_bytes(),
            },
        };
        let wanted = self.0.keys().filter(|candidate| is_inside(root, candidate)).filter(|candidate| {
            let name = candidate.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            query.depth.is_none_or(|max| depth(candidate) <= max as usize) && fits(name)
        });
        let entries = wanted.map(|path| {
            self.looked_at(&FilePath::new(path.as_slice()).expect("paths of the tree are valid"), query.links)
        });
        Ok(entries.filter_map(Result::ok).collect())
    }

    /// The lines with a text, in a file or beneath a directory.
    pub(super) fn lines_with(
        &self,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
    ) -> Result<Vec<LineMatch>> {
        let files = match self.content(scope, path) {
            Ok(_) => vec![path.clone()],
            Err(Error::File { problem: FileProblem::IsADirectory, .. }) => {
                self.beneath(path, true)?.into_iter().map(|entry| entry.path).collect()
            }
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for file in files {
            let (_, bytes) = self.content(scope, &file)?;
            for (line, content) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
                if content.windows(text.len()).any(|window| window == text) {
                    found.push(LineMatch { path: file.clone(), line, text: content.to_vec() });
                }
            }
        }
        Ok(found)
    }

    /// Replaces a text in a file.
    pub(super) fn replace(
        &mut self,
        scope: &FileScope,
        path: &FilePath,
        text: &[u8],
        with: &[u8],
        now: Timestamp,
    ) -> Result<u64> {
        let (entry, bytes) = self.content(scope, path)?;
        let (old, text, with) =
            (String::from_utf8_lossy(&bytes), String::from_utf8_lossy(text), String::from_utf8_lossy(with));
        let count = old.matches(&*text).count() as u64;
        let new = old.replace(&*text, &with);
        self.put(key(&entry.path).to_vec(), Node::File(new.into()), entry.mode, now);
        Ok(count)
    }

    pub(super) fn make_directory(
        &mut self,
        path: &FilePath,
        mode: u32,
        parents: bool,
        now: Timestamp,
    ) -> Result<()> {
        match self.0.get(key(path)).map(|inode| &inode.node) {
            Some(Node::Directory) if parents => return Ok(()),
            Some(_) => return Err(failed(path, FileProblem::AlreadyExists)),
            None => {}
        }
        self.check_parent(path, parents, now)?;
        self.put(key(path).to_vec(), Node::Directory, mode, now);
        Ok(())
    }

    /// Makes sure that the directory above `path` is there.
    pub(super) fn check_parent(&mut self, path: &FilePath, make: bool, now: Timestamp) -> Result<()> {
        let slashes: Vec<_> = (1..key(path).len()).filter(|at| key(path)[*at] == b'/').collect();
        for at in slashes {
            let above = &key(path)[..at];
            match self.0.get(above).map(|inode| &inode.node) {
                Some(Node::Directory) => {}
                Some(_) => return Err(failed(path, FileProblem::NotADirectory)),
                None if make => self.put(above.to_vec(), Node::Directory, 0o755, now),
                None => return Err(failed(path, FileProblem::NotFound)),
            }
        }
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: &FilePath,
        to: &FilePath,
        existing: Existing,
        now: Timestamp,
    ) -> Result<()> {
        self.check_parent(to, false, now)?;
        if existing == Existing::Kept && self.has(key(from)) && self.has(key(to)) {
            return Err(failed(from, FileProblem::AlreadyExists));
        }
        let is_directory =
            |path| self.0.get(key(path)).is_some_and(|inode| matches!(inode.node, Node::Directory));
        if is_directory(to) && !is_directory(from) {
            return Err(failed(from, FileProblem::IsADirectory));
        }
        let inode = self.0.remove(key(from)).ok_or_else(|| failed(from, FileProblem::NotFound))?;
        self.0.insert(key(to).to_vec(), inode);
        let inside: Vec<Vec<u8>> = self.0.keys().filter(|path| is_inside(key(from), path)).cloned().collect();
        for path in inside {
            let inode = self.0.remove(&path).expect("it was listed");
            self.0.insert([key(to), &path[key(from).len()..]].concat(), inode);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &FilePath, recursive: bool) -> Result<()> {
        let inside = match self.0.get(key(path)).map(|inode| &inode.node) {
            None => return Err(failed(path, FileProblem::NotFound)),
            Some(Node::Directory) => self.beneath(path, false)?.len(),
            Some(_) => 0,
        };
        if inside > 0 && !recursive {
            return Err(failed(path, FileProblem::DirectoryNotEmpty));
        }
        let root = key(path).to_vec();
        self.0.retain(|candidate, _| {
            candidate.strip_prefix(root.as_slice()).is_none_or(|rest| !(rest.is_empty() || rest[0] == b'/'))
        });
        Ok(())
    }
}

/// Whether `path` lies beneath `root`, which has no slash at its end.
fn is_inside(root: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

pub(super) fn failed(path: &FilePath, problem: FileProblem) -> Error {
    Error::File { path: path.to_text(), problem }
}

/// The path without slashes at its end.
fn key(path: &FilePath) -> &[u8] {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(1, |last| last + 1);
    &bytes[..end]
}

fn entry(path: &[u8], inode: &Inode) -> FileEntry {
    let (kind, bytes, link_target) = match &inode.node {
        Node::Directory => (FileKind::Directory, 0, None),
        Node::File(bytes) => (FileKind::File, bytes.len() as u64, None),
        Node::Link(target) => (FileKind::Link, target.len() as u64, Some(target.clone())),
    };
    FileEntry {
        path: FilePath::new(path).expect("paths of the tree are valid"),
        kind,
        bytes,
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        modified_at: inode.modified_at,
        link_target,
    }
}
