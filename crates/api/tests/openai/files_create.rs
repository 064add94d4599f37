//! `POST /v1/files`.

use serde_json::json;

use crate::form::Form;
use crate::support::Server;
use crate::{failure, schema, text};

#[tokio::test]
async fn a_file_is_kept_whatever_the_order_of_its_parts() {
    let server = Server::start().await;
    for form in [
        Form::new().text("purpose", "user_data").file("file", "dir/in.csv", "a,b\n"),
        Form::new().file("file", "dir/in.csv", "a,b\n").text("purpose", "user_data"),
    ] {
        let mut made = schema::checked(&form.send(server.post("/v1/files")).await, 200, "OpenAIFile");
        let id = text(&made, "id");
        assert!(id.strip_prefix("file-").is_some_and(|rest| rest.len() == 22), "{id}");
        made["id"] = json!("file-...");
        let want = json!({
            "id": "file-...", "object": "file", "bytes": 4, "created_at": 1_755_300_000, "filename": "in.csv",
            "purpose": "user_data", "status": "processed",
        });
        assert_eq!(made, want);
    }
    assert_eq!(server.blob_files(), 1, "the same content is kept once");
}

#[tokio::test]
async fn a_file_expires_when_it_was_told_to_and_a_batch_after_thirty_days() {
    let server = Server::start().await;
    let told = Form::new()
        .text("purpose", "assistants")
        .text("expires_after[anchor]", "created_at")
        .text("expires_after[seconds]", "3600")
        .file("file", "a", "1");
    let batch = Form::new().text("purpose", "batch").file("file", "a", "1");
    for (form, seconds) in [(told, 3600), (batch, 2_592_000)] {
        let made = schema::checked(&form.send(server.post("/v1/files")).await, 200, "OpenAIFile");
        assert_eq!(made["expires_at"].as_i64().unwrap() - made["created_at"].as_i64().unwrap(), seconds);
    }
}

#[tokio::test]
async fn forms_that_say_too_little_or_too_much_are_refused_and_leave_nothing() {
    let server = Server::start().await;
    let call = || server.post("/v1/files");
    let file = || Form::new().file("file", "a", "1");
    let data = || file().text("purpose", "user_data");
    let expiring = |anchor: &str, seconds: &str| {
        data().text("expires_after[anchor]", anchor).text("expires_after[seconds]", seconds)
    };
    let answers = [
        ("no part", Form::new().send(call()).await),
        ("no file", Form::new().text("purpose", "user_data").send(call()).await),
        ("no purpose", file().send(call()).await),
        ("purpose of output", file().text("purpose", "assistants_output").send(call()).await),
        ("two files", data().file("file", "b", "2").send(call()).await),
        ("anchor alone", data().text("expires_after[anchor]", "created_at").send(call()).await),
        ("seconds alone", data().text("expires_after[seconds]", "3600").send(call()).await),
        ("wrong anchor", expiring("last_active_at", "3600").send(call()).await),
        ("59 minutes", expiring("created_at", "3599").send(call()).await),
        ("31 days", expiring("created_at", "2592001").send(call()).await),
        ("soon", expiring("created_at", "soon").send(call()).await),
        ("JSON", call().json(&json!({"purpose": "user_data"})).send().await),
        ("no body", call().send().await),
    ];
    let said: Vec<_> = answers.iter().map(|(what, answer)| format!("{what}: {}", failure(answer))).collect();
    insta::assert_snapshot!(said.join("\n"));
    let list = crate::got(&server, "/v1/files", "ListFilesResponse").await;
    assert_eq!(list["data"], json!([]));
    crate::support::eventually("the content of what was refused is collected", || server.blob_files() == 0)
        .await;
}
