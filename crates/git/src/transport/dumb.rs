//! Reading from a server that is only files: a repository behind `python3 -m http.server`, say, after
//! `git update-server-info`.
//!
//! ```text
//!   info/refs, HEAD ─▶ references ─▶ walk: commit ─▶ parents, tree ─▶ trees, blobs
//!                                      │  each: objects/ab/cdef…, else every pack of objects/info/packs
//!                                      └─▶ hash checked, then into the repository
//! ```

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read, Write as _};

use flate2::read::ZlibDecoder;
use git2::{ObjectType, Odb, Oid, Repository};
use lazaret_protocol::git::Problem;

use super::Advertised;
use super::http::{Client, unlimited};
use crate::cancel;
use crate::failure::{Failure, Outcome};

/// Largest list of references or packs, in bytes.
const LIST_MAX: u64 = 32 * 1024 * 1024;

/// Longest header of a loose object, in bytes: a type and a length.
const HEADER_MAX: u64 = 32;

/// The references of the repository at `url`.
///
/// # Errors
/// [`Problem::RepoNotFound`] if what is there is no list of references.
pub(super) fn advertised(client: &Client, url: &str) -> Outcome<Advertised> {
    let none = || Failure::new(Problem::RepoNotFound, format!("{url}: there is no git repository"));
    let list = text(client, url, "info/refs")?.ok_or_else(none)?;
    let mut references = Vec::new();
    for line in list.lines() {
        let (hash, name) = line.split_once('\t').ok_or_else(none)?;
        let oid = Oid::from_str(hash).map_err(|_| none())?;
        // What a tag points at is found through the tag.
        if !name.ends_with("^{}") {
            references.push((name.to_owned(), oid));
        }
    }
    let head = text(client, url, "HEAD")?;
    let head = head.as_deref().and_then(|text| text.trim_end().strip_prefix("ref: ")).map(str::to_owned);
    Ok(Advertised { references, head })
}

/// Fetches what `refspecs` name, and moves their references.
///
/// # Errors
/// Why it was not fetched.
pub(super) fn fetch(client: &Client, repo: &Repository, url: &str, refspecs: &[String]) -> Outcome<()> {
    let advertised = advertised(client, url)?;
    let mut walk = Walk::new(client, repo, url)?;
    for refspec in refspecs {
        let mut found = false;
        for (oid, target) in matching(refspec, &advertised) {
            found = true;
            walk.bring(oid)?;
            if let Some(target) = target {
                repo.reference(&target, oid, true, "fetch")?;
            }
        }
        if !found && !refspec.contains('*') {
            let sentence = format!("the remote has no {}", source(refspec));
            return Err(Failure::new(Problem::BranchNotFound, sentence));
        }
    }
    Ok(())
}

fn source(refspec: &str) -> &str {
    let refspec = refspec.trim_start_matches('+');
    refspec.split_once(':').map_or(refspec, |(source, _)| source)
}

/// What a refspec names at the remote, and the reference that is to point at it.
fn matching(refspec: &str, advertised: &Advertised) -> Vec<(Oid, Option<String>)> {
    let source = source(refspec);
    if let Ok(oid) = Oid::from_str(source) {
        return vec![(oid, None)];
    }
    let target = refspec.split_once(':').map(|(_, target)| target);
    let mut matching = Vec::new();
    for (name, oid) in &advertised.references {
        match (source.strip_suffix('*'), target.map(|target| target.trim_end_matches('*'))) {
            (Some(prefix), target) => {
                if let Some(rest) = name.strip_prefix(prefix) {
                    matching.push((*oid, target.map(|target| format!("{target}{rest}"))));
                }
            }
            (None, target) => {
                if name == source {
                    matching.push((*oid, target.map(str::to_owned)));
                }
            }
        }
    }
    matching
}

/// Bringing objects over, each once.
struct Walk<'a> {
    client: &'a Client,
    repo: &'a Repository,
    odb: Odb<'a>,
    base: String,
    /// Objects that are here with all they lead to, or will be at the end of the walk.
    seen: HashSet<Oid>,
    packs_are_here: bool,
}

impl<'a> Walk<'a> {
    fn new(client: &'a Client, repo: &'a Repository, url: &str) -> Outcome<Self> {
        let mut seen = HashSet::new();
        // What a reference leads to is complete: references are moved when all is here.
        let mut known = repo.revwalk()?;
        known.push_glob("refs/*")?;
        for oid in known {
            seen.insert(oid?);
        }
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { client, repo, odb: repo.odb()?, base, seen, packs_are_here: false })
    }

    /// Brings an object and all that it leads to.
    fn bring(&mut self, oid: Oid) -> Outcome<()> {
        let mut wanted = vec![oid];
        while let Some(oid) = wanted.pop() {
            cancel::check()?;
            if !self.seen.insert(oid) {
                continue;
            }
            if !self.odb.exists(oid) {
                self.bring_one(oid)?;
            }
            match self.odb.read_header(oid)?.1 {
                ObjectType::Commit => {
                    let commit = self.repo.find_commit(oid)?;
                    wanted.push(commit.tree_id());
                    wanted.extend(commit.parent_ids());
                }
                ObjectType::Tree => {
                    let tree = self.repo.find_tree(oid)?;
                    // A commit in a tree is a submodule: it belongs to another repository.
                    let own = tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit));
                    wanted.extend(own.map(|entry| entry.id()));
                }
                ObjectType::Tag => wanted.push(self.repo.find_tag(oid)?.target_id()),
                ObjectType::Blob | ObjectType::Any => {}
            }
        }
        Ok(())
    }

    fn bring_one(&mut self, oid: Oid) -> Outcome<()> {
        let hash = oid.to_string();
        let (directory, rest) = hash.split_at(2);
        if let Some((_, response)) = self.client.get(&format!("{}/objects/{directory}/{rest}", self.base))? {
            let (kind, content) = inflate(unlimited(response)).ok_or_else(|| self.broken(&hash))?;
            let written = self.odb.write(kind, &content)?;
            return if written == oid { Ok(()) } else { Err(self.broken(&hash)) };
        }
        if !self.packs_are_here {
            self.packs_are_here = true;
            self.bring_packs()?;
        }
        if self.odb.exists(oid) { Ok(()) } else { Err(self.broken(&hash)) }
    }

    fn bring_packs(&self) -> Outcome<()> {
        let list = text(self.client, &self.base, "objects/info/packs")?.unwrap_or_default();
        for name in list.lines().filter_map(|line| line.strip_prefix("P ")) {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
            let url = format!("{}/objects/pack/{name}", self.base);
            let Some((_, response)) = (if is_name { self.client.get(&url)? } else { None }) else {
                return Err(self.broken(name));
            };
            let mut pack = self.odb.packwriter()?;
            let mut body = unlimited(response);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                cancel::check()?;
                let read = body
                    .read(&mut buffer)
                    .map_err(|error| Failure::new(Problem::TransportFailed, format!("{url}: {error}")))?;
                if read == 0 {
                    break;
                }
                pack.write_all(&buffer[..read])?;
            }
            pack.commit()?;
        }
        self.odb.refresh()?;
        Ok(())
    }

    fn broken(&self, what: &str) -> Failure {
        let sentence = format!("{}: {what} is missing or broken at the remote", self.base);
        Failure::new(Problem::TransportFailed, sentence)
    }
}

/// Type and content of a loose object; `None` if it is none.
fn inflate(body: impl Read) -> Option<(ObjectType, Vec<u8>)> {
    let mut object = BufReader::new(ZlibDecoder::new(body));
    let mut header = Vec::new();
    (&mut object).take(HEADER_MAX).read_until(0, &mut header).ok()?;
    let header = std::str::from_utf8(header.strip_suffix(&[0])?).ok()?;
    let (kind, bytes) = header.split_once(' ')?;
    let bytes: u64 = bytes.parse().ok()?;
    let mut content = Vec::new();
    let read = object.take(bytes.checked_add(1)?).read_to_end(&mut content).ok()?;
    (u64::try_from(read) == Ok(bytes)).then_some((ObjectType::from_str(kind)?, content))
}

/// A small file of the remote; `None` if it is not there.
fn text(client: &Client, url: &str, path: &str) -> Outcome<Option<String>> {
    let url = format!("{}/{path}", url.trim_end_matches('/'));
    let Some((_, response)) = client.get(&url)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let read = unlimited(response).take(LIST_MAX).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(Problem::TransportFailed, format!("{url}: {error}")))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    use super::*;

    #[test]
    fn refspecs_name_one_reference_many_or_an_object() {
        let oid = |digit: char| Oid::from_str(&digit.to_string().repeat(40)).expect("a hash");
        let references = vec![("refs/heads/a".to_owned(), oid('1')), ("refs/heads/b/c".to_owned(), oid('2'))];
        let advertised = Advertised { references, head: None };
        let target = |name: &str| Some(name.to_owned());
        for (refspec, want) in [
            ("+refs/heads/a:refs/remotes/o/a", vec![(oid('1'), target("refs/remotes/o/a"))]),
            (
                "+refs/heads/*:refs/remotes/o/*",
                vec![(oid('1'), target("refs/remotes/o/a")), (oid('2'), target("refs/remotes/o/b/c"))],
            ),
            ("refs/heads/b/c", vec![(oid('2'), None)]),
            ("refs/heads/z", vec![]),
            ("3333333333333333333333333333333333333333", vec![(oid('3'), None)]),
        ] {
            assert_eq!(matching(refspec, &advertised), want, "{refspec}");
        }
    }

    #[test]
    fn a_loose_object_is_what_its_header_says_and_nothing_else_is_one() {
        let deflated = |bytes: &[u8]| {
            let mut out = Vec::new();
            ZlibEncoder::new(bytes, Compression::fast()).read_to_end(&mut out).expect("memory");
            out
        };
        assert_eq!(inflate(&*deflated(b"blob 2\0hi")), Some((ObjectType::Blob, b"hi".to_vec())));
        for broken in [
            b"blob 3\0hi".as_slice(),
            b"blob 1\0hi",
            b"thing 2\0hi",
            b"blob hi",
            b"blob 99999999999999999999\0",
        ] {
            assert_eq!(inflate(&*deflated(broken)), None, "{broken:?}");
        }
        assert_eq!(inflate(b"no zlib".as_slice()), None);
    }
}
