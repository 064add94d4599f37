//! `POST` and `DELETE` of `.../files/{path}`.

use serde_json::json;

use crate::support::Server;
use crate::{at, core_id, sandbox};

#[tokio::test]
async fn directories_are_made_moved_changed_and_removed() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let act = async |path: &str, body: serde_json::Value| {
        server.post(&at(&id, path)).json(&body).send().await.expect(204);
    };
    let stat =
        async |path: &str| server.get(&at(&id, &format!("/files/{path}?stat=true"))).send().await.expect(200);
    act("/files/tmp/a/b", json!({"op": "mkdir", "mode": "0700"})).await;
    assert_eq!(stat("tmp/a/b").await["mode"], "0700");
    act("/files/tmp/a/b", json!({"op": "rename", "to": "/tmp/c"})).await;
    act("/files/tmp/c", json!({"op": "chmod", "mode": "1777"})).await;
    act("/files/tmp/c", json!({"op": "chown", "uid": 7, "gid": 8})).await;
    let changed = stat("tmp/c").await;
    assert_eq!((&changed["mode"], &changed["uid"], &changed["gid"]), (&json!("1777"), &json!(7), &json!(8)));
    server.delete(&at(&id, "/files/tmp/c")).send().await.expect(204);
    assert!(!server.guest.has(core_id(&id), "/tmp/c"));
}

#[tokio::test]
async fn a_full_directory_goes_only_when_that_is_asked() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = server.delete(&at(&id, "/files/etc")).send().await;
    assert_eq!(answer.native_error(), "422 file_failed -: /etc: directory not empty");
    assert_eq!(answer.json()["error"]["problem"], "directory_not_empty");
    server.delete(&at(&id, "/files/etc?recursive=true")).send().await.expect(204);
    assert!(!server.guest.has(core_id(&id), "/etc/hostname"));
}

#[tokio::test]
async fn a_bad_operation_is_refused_naming_the_field() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for (body, want) in [
        (json!({}), "400 missing_field op: op: is missing"),
        (
            json!({"op": "burn"}),
            "400 invalid op: op: unknown variant `burn`, expected one of `mkdir`, `rename`, `chmod`, `chown`",
        ),
        (json!({"op": "rename"}), "400 missing_field to: to: is missing"),
        (json!({"op": "rename", "to": "x"}), "400 invalid to: to: is not absolute"),
        (json!({"op": "chmod"}), "400 missing_field mode: mode: is missing"),
        (json!({"op": "chmod", "mode": "rwx"}), "400 invalid mode: mode: must be octal digits up to 7777"),
        (json!({"op": "chown", "uid": 1}), "400 missing_field gid: gid: is missing"),
        (
            json!({"op": "chown", "uid": -1, "gid": 1}),
            "400 invalid uid: uid: invalid value: integer `-1`, expected u32",
        ),
        (json!({"op": "mkdir", "to": "/x"}), "400 invalid to: to: does not belong to this op"),
    ] {
        let answer = server.post(&at(&id, "/files/tmp/x")).json(&body).send().await;
        assert_eq!(answer.native_error(), want, "{body}");
    }
}
