//! How people name a sandbox: by its name, by its id in any form, or by the first digits of its id.
//!
//! The server knows names and whole ids. The first digits, which `ps` shows, are looked up here.

use anyhow::Result;

use crate::client::Client;
use crate::failure::Failure;
use crate::server_error::ServerError;
use crate::wire::{Sandbox, SandboxPage};

/// Sandboxes asked for at a time: the server's most.
const PAGE: &str = "1000";
/// Fewest digits that are taken for the beginning of an id.
const PREFIX_MIN_DIGITS: usize = 4;
/// Digits of a whole id.
const ID_DIGITS: usize = 32;

/// Whatever stands for `reference` in a path of the API: itself, unless it is the beginning of an id.
///
/// # Errors
/// A [`Failure`] if it is empty or the beginning of several ids.
pub(crate) async fn resolve(client: &Client, reference: &str) -> Result<String> {
    if reference.is_empty() {
        return Err(Failure::new("a sandbox is named by an empty text").into());
    }
    let Some(prefix) = id_prefix(reference) else {
        return Ok(reference.to_owned());
    };
    // It may be a name: names win, because they were chosen.
    match client.json::<Sandbox>(client.get(&["sandboxes", reference])?).await {
        Ok(sandbox) => return Ok(sandbox.id),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error),
    }
    let mut found = Vec::new();
    for sandbox in list(client, &[]).await? {
        if sandbox.id.replace('-', "").starts_with(&prefix) {
            found.push(sandbox.id);
        }
    }
    match found.as_slice() {
        [] => Ok(reference.to_owned()),
        [only] => Ok(only.clone()),
        several => {
            Err(Failure::new(format!("{} sandboxes have ids that begin with '{reference}'", several.len()))
                .hint("give more digits of the id, or the name; `lazaret ps -a --full` shows both")
                .into())
        }
    }
}

/// The sandbox that `reference` names.
pub(crate) async fn find(client: &Client, reference: &str) -> Result<Sandbox> {
    let id = resolve(client, reference).await?;
    client.json(client.get(&["sandboxes", &id])?).await
}

/// All sandboxes that match `query`, newest first.
pub(crate) async fn list(client: &Client, query: &[(&str, String)]) -> Result<Vec<Sandbox>> {
    let mut all: Vec<Sandbox> = Vec::new();
    loop {
        let mut request =
            client.get(&["sandboxes"])?.query(query).query(&[("limit", PAGE), ("order", "desc")]);
        if let Some(last) = all.last() {
            request = request.query(&[("after", &last.id)]);
        }
        let page: SandboxPage = client.json(request).await?;
        let done = !page.has_more || page.sandboxes.is_empty();
        all.extend(page.sandboxes);
        if done {
            return Ok(all);
        }
    }
}

/// Whether the server said that there is no such thing.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ServerError>().is_some_and(|error| error.status == 404)
}

/// The hexadecimal digits of `reference` if they look like the beginning of an id.
fn id_prefix(reference: &str) -> Option<String> {
    let digits = reference.replace('-', "").to_ascii_lowercase();
    let plausible = (PREFIX_MIN_DIGITS..ID_DIGITS).contains(&digits.len());
    (plausible && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_told_from_names_and_whole_ids() {
        for (reference, want) in [
            ("68a00001", Some("68a00001")),
            ("68A00001-0a0b", Some("68a000010a0b")),
            ("68a", None),
            ("web", None),
            ("cntr_68a00001", None),
            ("68a00001-0a0b-8c0d-8e0f-101112131415", None),
        ] {
            assert_eq!(id_prefix(reference).as_deref(), want, "{reference}");
        }
    }
}
