//! What a sandbox is made of when its maker names nothing: each dialect's own default, an image or a template.

#![forbid(unsafe_code)]

use std::fs::File;

use anyhow::{Result, ensure};
use lazaret_tests::registry::busybox_layer;
use lazaret_tests::{Native, Server, binary};
use serde_json::{Value, json};

const SETTINGS: &str = r#"
[openai]
default_image = "box"
[daytona]
default_image = "recipe"
[actions]
default_image = "recipe"
"#;

const MIB: u64 = 1 << 20;

/// The sandbox that a dialect has made, as the native API shows it.
fn made(native: &Native, path: &str, body: &Value, id: &str) -> Result<Value> {
    let answer = native.client().post(path, body)?;
    ensure!(answer.status < 300, "{path}: {answer}");
    let made = answer.json().pointer(id).and_then(Value::as_str).map(str::to_owned);
    let shown = native.client().get(&format!("/lazaret/v1/sandboxes/{}", made.unwrap_or_default()))?;
    ensure!(shown.status == 200, "{path}: {shown}");
    Ok(shown.json())
}

#[test]
fn every_dialect_has_a_default_image_of_its_own() -> Result<()> {
    let server = Server::start_configured(&binary(), &[], SETTINGS)?;
    let native = server.native();
    let folder = tempfile::tempdir()?;
    native.import_rootfs("box", File::open(busybox_layer(folder.path())?)?)?;
    let recipe = json!({ "name": "recipe", "image": "box", "resources": { "memory_bytes": 100 * MIB } });
    let answer = native.client().post("/lazaret/v1/templates", &recipe)?;
    ensure!(answer.status == 201, "{answer}");

    let openai = made(&native, "/v1/containers", &json!({ "name": "o" }), "/id")?;
    assert_eq!((&openai["image"], &openai["template"]), (&json!("box"), &Value::Null), "{openai}");
    let own = made(&native, "/lazaret/v1/sandboxes", &json!({}), "/id")?;
    assert_eq!((&own["image"], &own["template"]), (&json!("host"), &Value::Null), "{own}");
    for (path, id) in [("/api/sandbox", "/id"), ("/actions/create_sandbox", "/sandbox/id")] {
        let sandbox = made(&native, path, &json!({}), id)?;
        assert_eq!((&sandbox["image"], &sandbox["template"]), (&json!("box"), &json!("recipe")), "{path}");
        assert_eq!(sandbox["resources"]["memory_bytes"], json!(100 * MIB), "{path}: the template's bounds");
    }
    for (path, id) in [("/api/sandbox", "/id"), ("/actions/create_sandbox", "/sandbox/id")] {
        let sandbox = made(&native, path, &json!({ "snapshot": "host" }), id)?;
        assert_eq!((&sandbox["image"], &sandbox["template"]), (&json!("host"), &Value::Null), "{path}");
    }
    Ok(())
}
