//! The second dialect on the same paths: what a request says about a provider decides the shape of its answer.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use lazaret_tests::{Answer, Client, Server};
use serde_json::{Value, json};
use ureq::SendBody;
use ureq::http::Method;

/// Posts a multipart form of one file and one further field.
fn upload(client: &Client, path: &str, field: (&str, &str)) -> Result<Answer> {
    let (name, value) = field;
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"file\"\r\n\r\na,b\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--\r\n"
    );
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    client.send(Method::POST, path, &headers, SendBody::from_reader(&mut form.as_bytes()))
}

#[test]
fn a_provider_in_the_request_brings_extra_fields_and_its_absence_brings_none() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let plain = client.post("/v1/containers", &json!({ "name": "c" }))?.expect(200);
    assert_eq!((&plain["object"], plain.get("extra_fields")), (&json!("container"), None), "{plain}");
    let body = json!({ "provider": "openai", "name": "c", "metadata": { "a": "b" } });
    let made = client.post("/v1/containers", &body)?.expect(200);
    assert_eq!(made["metadata"], json!({ "a": "b" }), "{made}");
    assert_eq!(made["extra_fields"]["request_type"], "container_create", "{made}");
    assert_eq!(made["extra_fields"]["provider"], "openai", "{made}");
    assert!(made["extra_fields"]["latency"].is_u64(), "{made}");

    let id = made["id"].as_str().context("an id")?;
    let deleted = client.delete(&format!("/v1/containers/{id}?provider=openai"))?.expect(200);
    assert_eq!((&deleted["object"], &deleted["deleted"]), (&json!("container.deleted"), &json!(true)));
    assert_eq!(deleted["extra_fields"]["request_type"], "container_delete", "{deleted}");
    Ok(())
}

#[test]
fn a_limit_of_zero_means_the_default_to_a_gateway_and_is_refused_to_a_plain_client() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let listed = client.get("/v1/containers?provider=openai&limit=0")?.expect(200);
    assert_eq!((&listed["object"], &listed["data"]), (&json!("list"), &json!([])), "{listed}");
    let refused = client.get("/v1/containers?limit=0")?.expect(400);
    assert_eq!(refused["error"]["param"], "limit", "{refused}");
    Ok(())
}

#[test]
fn a_file_path_is_taken_exactly_and_beneath_the_data_folder() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let made = client.post("/openai/v1/containers", &json!({ "name": "c" }))?.expect(200);
    let files = format!("/openai/v1/containers/{}/files", made["id"].as_str().context("an id")?);
    let first = upload(&client, &files, ("file_path", "/data/up.csv"))?.expect(200);
    assert_eq!((&first["path"], &first["bytes"]), (&json!("/mnt/data/data/up.csv"), &json!(4)), "{first}");
    let again = upload(&client, &files, ("file_path", "/data/up.csv"))?.expect(200);
    assert_eq!(again["id"], first["id"], "an overwritten file keeps its id");
    for path in ["../up.csv", "/mnt/data/../../etc/x", "/data/"] {
        let refused = upload(&client, &files, ("file_path", path))?.expect(400);
        assert_eq!(refused["error"]["param"], "file_path", "{path}: {refused}");
    }
    // Every file of a gateway is called `file`; they must not overwrite each other.
    let two: Vec<Value> = (0..2)
        .map(|_| Ok(upload(&client, &files, ("provider", "openai"))?.expect(200)["path"].clone()))
        .collect::<Result<_>>()?;
    assert_ne!(two[0], two[1]);
    Ok(())
}

#[test]
fn an_unknown_container_is_a_404_in_the_shape_that_each_client_reads() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let plain = client.get("/v1/containers/cntr_none")?.expect(404);
    let want = json!({
        "message": "Container with id 'cntr_none' not found.", "type": "invalid_request_error", "param": null, "code": null,
    });
    assert_eq!(plain, json!({ "error": want }));
    let gateway = client.get("/v1/containers/cntr_none?provider=openai")?.expect(404);
    assert_eq!(
        (&gateway["is_bifrost_error"], &gateway["status_code"]),
        (&json!(false), &json!(404)),
        "{gateway}"
    );
    assert_eq!(gateway["error"]["message"], want["message"], "{gateway}");
    Ok(())
}
