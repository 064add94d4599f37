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
async fn a_move_that_must_not_replace_leaves_both() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a", "a");
    server.guest.plant(core_id(&id), "/tmp/b", "b");
    let body = json!({"op": "rename", "to": "/tmp/b", "replace": false});
    let answer = server.post(&at(&id, "/files/tmp/a")).json(&body).send().await;
    assert_eq!(answer.native_error(), "422 file_failed -: /tmp/a: already exists");
    assert_eq!(server.get(&at(&id, "/files/tmp/b")).send().await.body, "b");
    let body = json!({"op": "rename", "to": "/tmp/b", "replace": true});
    server.post(&at(&id, "/files/tmp/a")).json(&body).send().await.expect(204);
    assert_eq!(server.get(&at(&id, "/files/tmp/b")).send().await.body, "a");
}

#[tokio::test]
async fn owner_and_group_change_apart_and_by_name() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a", "a");
    for (body, want) in [
        (json!({"op": "chown", "uid": 5, "gid": 6}), (5, 6)),
        (json!({"op": "chown", "group": "7"}), (5, 7)),
        (json!({"op": "chown", "owner": "root"}), (0, 7)),
    ] {
        server.post(&at(&id, "/files/tmp/a")).json(&body).send().await.expect(204);
        let entry = server.get(&at(&id, "/files/tmp/a?stat=true")).send().await.expect(200);
        assert_eq!((&entry["uid"], &entry["gid"]), (&json!(want.0), &json!(want.1)), "{body}");
    }
    let unknown = json!({"op": "chown", "owner": "eve"});
    let answer = server.post(&at(&id, "/files/tmp/a")).json(&unknown).send().await;
    assert_eq!(answer.native_error(), "400 invalid user: user: no such user or group in the image");
}

#[tokio::test]
async fn a_text_is_replaced_everywhere_in_a_file() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.guest.plant(core_id(&id), "/tmp/a", "old old new");
    let body = json!({"op": "replace", "text": "old", "with": "new"});
    let answer = server.post(&at(&id, "/files/tmp/a")).json(&body).send().await.expect(200);
    assert_eq!(answer, json!({"count": 2}));
    assert_eq!(server.get(&at(&id, "/files/tmp/a")).send().await.body, "new new new");
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
            "400 invalid op: op: unknown variant `burn`, expected one of `mkdir`, `rename`, `chmod`, `chown`, `replace`",
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
        (json!({"op": "chown", "owner": "0", "uid": 1}), "400 invalid uid: uid: does not belong to this op"),
        (json!({"op": "chown", "owner": "a:b"}), "400 invalid owner: owner: is not a name or an id"),
        (json!({"op": "replace", "text": "a"}), "400 missing_field with: with: is missing"),
        (json!({"op": "replace", "text": "", "with": "b"}), "400 invalid pattern: pattern: is empty"),
        (json!({"op": "mkdir", "to": "/x"}), "400 invalid to: to: does not belong to this op"),
    ] {
        let answer = server.post(&at(&id, "/files/tmp/x")).json(&body).send().await;
        assert_eq!(answer.native_error(), want, "{body}");
    }
}
