//! `GET /lazaret/v1/sandboxes/{id}`: every form of an id, and names.

use lazaret_core::SandboxId;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::Server;
use crate::{at, core_id, sandbox, sandbox_with};

/// An id with its tag, made anew from the description in `ids.rs`.
fn tagged(id: SandboxId, domain: &[u8], bytes: usize) -> String {
    let tag = Sha256::new().chain_update(domain).chain_update(id.as_bytes()).finalize();
    format!("{id}{}", hex::encode(&tag[..bytes]))
}

#[tokio::test]
async fn every_dialects_form_of_an_id_and_the_name_find_the_sandbox() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"name": "Report 7/ä"})).await;
    let core = core_id(&id);
    for form in [
        id.clone(),
        id.to_uppercase(),
        core.to_string(),
        format!("cntr_{}", tagged(core, b"lazaret container id v1\0", 8)),
        tagged(core, b"lazaret long id v1\0", 16),
        "Report%207%2F%C3%A4".to_owned(),
    ] {
        let found = server.get(&at(&form, "")).send().await.expect(200);
        assert_eq!(found["id"], id.as_str(), "{form}");
    }
}

#[tokio::test]
async fn what_is_no_id_and_no_name_is_404() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let wrong_tag = format!("cntr_{}{}", core_id(&id), "0".repeat(16));
    for form in ["nothing", "..", "%00", "%ff", "68a00000", wrong_tag.as_str(), &"x".repeat(4096)] {
        let answer = server.get(&at(form, "")).send().await;
        assert_eq!(answer.status, 404, "{form}");
        assert_eq!(answer.json()["error"]["code"], "not_found", "{form}");
    }
    let missing = server.get(&at("68a00000-0000-8000-8000-0000000000ff", "")).send().await;
    let want = "404 not_found -: sandbox 68a00000-0000-8000-8000-0000000000ff not found";
    assert_eq!(missing.native_error(), want);
}

#[tokio::test]
async fn a_name_that_two_sandboxes_have_is_ambiguous_until_one_is_gone() {
    let server = Server::start().await;
    let first = sandbox_with(&server, json!({"name": "twin"})).await;
    let second = sandbox_with(&server, json!({"name": "twin"})).await;
    let answer = server.get(&at("twin", "")).send().await;
    assert_eq!(answer.native_error(), "409 ambiguous_name -: 2 sandboxes are called twin");
    assert_eq!(answer.json()["error"]["hint"], "use the id");
    server.delete(&at(&first, "")).send().await.expect(204);
    assert_eq!(server.get(&at("twin", "")).send().await.expect(200)["id"], second.as_str());
}

#[tokio::test]
async fn looking_does_not_count_as_use() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.clock.advance(std::time::Duration::from_secs(30));
    let found = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!(found["last_active_at"], found["created_at"]);
}
