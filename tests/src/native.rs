//! The calls of the native API that suites and benchmark make, each insisting on its success.

use std::io::Cursor;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::SendBody;
use ureq::http::Method;

use crate::{Answer, Client};

/// Where the native API is mounted.
const BASE: &str = "/lazaret/v1";

/// The native API for one caller. For an answer that is a refusal, use [`Native::client`].
#[derive(Clone)]
pub struct Native {
    client: Client,
}

impl Native {
    /// The calls of `client`.
    pub fn new(client: Client) -> Native {
        Native { client }
    }

    /// The plain client, whose every status is an answer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates a sandbox and gives its id.
    pub fn create(&self, settings: &Value) -> Result<String> {
        let answer = self.client.post(&format!("{BASE}/sandboxes"), settings)?;
        ensure!(answer.status == 201, "create: {answer}");
        answer.json()["id"].as_str().map(str::to_owned).context("a sandbox has an id")
    }

    /// The sandbox as it is now.
    pub fn get(&self, id: &str) -> Result<Value> {
        let answer = self.client.get(&format!("{BASE}/sandboxes/{id}"))?;
        ensure!(answer.status == 200, "get: {answer}");
        Ok(answer.json())
    }

    /// The sandbox's state, as a word.
    pub fn state(&self, id: &str) -> Result<String> {
        Ok(self.get(id)?["state"].as_str().context("a sandbox has a state")?.to_owned())
    }

    /// The ids of all sandboxes, oldest first.
    pub fn list(&self) -> Result<Vec<String>> {
        let answer = self.client.get(&format!("{BASE}/sandboxes?limit=1000&order=asc"))?;
        ensure!(answer.status == 200, "list: {answer}");
        let body = answer.json();
        let sandboxes = body["sandboxes"].as_array().context("a list of sandboxes")?;
        sandboxes.iter().map(|sandbox| Ok(sandbox["id"].as_str().context("an id")?.to_owned())).collect()
    }

    /// Applies `start`, `stop`, `pause` or `resume`, and gives the sandbox as it is then.
    pub fn apply(&self, id: &str, verb: &str) -> Result<Value> {
        let answer = self.client.post(&format!("{BASE}/sandboxes/{id}/{verb}"), &json!({}))?;
        ensure!(answer.status == 200, "{verb}: {answer}");
        Ok(answer.json())
    }

    /// Changes what the sandbox may reach, and gives the sandbox as it is then.
    pub fn set_network(&self, id: &str, policy: &Value) -> Result<Value> {
        let (path, body) = (format!("{BASE}/sandboxes/{id}/network"), serde_json::to_vec(policy)?);
        let json = [("content-type", "application/json")];
        let answer =
            self.client.send(Method::PUT, &path, &json, SendBody::from_owned_reader(Cursor::new(body)))?;
        ensure!(answer.status == 200, "set the network: {answer}");
        Ok(answer.json())
    }

    /// Deletes the sandbox.
    pub fn delete(&self, id: &str) -> Result<()> {
        let answer = self.client.delete(&format!("{BASE}/sandboxes/{id}"))?;
        ensure!(answer.status == 204, "delete: {answer}");
        Ok(())
    }

    /// Runs `request` (see the API's exec) to its end.
    pub fn exec_with(&self, id: &str, request: &Value) -> Result<Value> {
        let answer = self.try_exec(id, request)?;
        ensure!(answer.status == 200, "exec: {answer}");
        Ok(answer.json())
    }

    /// As [`Native::exec_with`], with a refusal as an answer.
    pub fn try_exec(&self, id: &str, request: &Value) -> Result<Answer> {
        self.client.post(&format!("{BASE}/sandboxes/{id}/exec"), request)
    }

    /// Runs `command` and gives its standard output.
    ///
    /// # Errors
    /// If it ends with anything but exit code 0.
    pub fn exec(&self, id: &str, command: &[&str]) -> Result<String> {
        let done = self.exec_with(id, &json!({ "command": command }))?;
        ensure!(done["exit_code"] == 0, "{command:?}: {done}");
        Ok(done["stdout"].as_str().context("output is text")?.to_owned())
    }

    /// As [`Native::exec`] for a line of shell.
    pub fn shell(&self, id: &str, line: &str) -> Result<String> {
        self.exec(id, &["/bin/sh", "-c", line])
    }

    /// Starts `command` in the background and gives the exec's id.
    pub fn background(&self, id: &str, command: &[&str]) -> Result<String> {
        let answer = self.try_exec(id, &json!({ "command": command, "background": true }))?;
        ensure!(answer.status == 202, "exec in the background: {answer}");
        Ok(answer.json()["exec_id"].as_str().context("a background exec has an id")?.to_owned())
    }

    /// Runs a snippet in `language`.
    pub fn run(&self, id: &str, language: &str, code: &str) -> Result<Value> {
        let body = json!({ "language": language, "code": code });
        let answer = self.client.post(&format!("{BASE}/sandboxes/{id}/run"), &body)?;
        ensure!(answer.status == 200, "run: {answer}");
        Ok(answer.json())
    }

    /// The URL path of the file at the absolute `path` in the sandbox.
    pub fn file_url(id: &str, path: &[u8]) -> String {
        let encoded: String =
            path.strip_prefix(b"/").unwrap_or(path).iter().map(|&byte| encode(byte)).collect();
        format!("{BASE}/sandboxes/{id}/files/{encoded}")
    }

    /// Writes a file, making its folders.
    pub fn write(&self, id: &str, path: &str, content: &[u8]) -> Result<Value> {
        let answer =
            self.client.put(&format!("{}?parents=true", Native::file_url(id, path.as_bytes())), content)?;
        ensure!(answer.status == 200, "write {path}: {answer}");
        Ok(answer.json())
    }

    /// Reads a file.
    pub fn read(&self, id: &str, path: &str) -> Result<Vec<u8>> {
        let answer = self.client.get(&Native::file_url(id, path.as_bytes()))?;
        ensure!(answer.status == 200, "read {path}: {answer}");
        Ok(answer.body)
    }

    /// Imports the archive of a root file system under `name`.
    pub fn import_rootfs(&self, name: &str, archive: impl std::io::Read) -> Result<()> {
        self.import(name, "rootfs-tar", archive)
    }

    /// Imports an archive of `docker save`'s form under `name`.
    pub fn import_docker_archive(&self, name: &str, archive: impl std::io::Read) -> Result<()> {
        self.import(name, "docker-archive", archive)
    }

    fn import(&self, name: &str, source: &str, mut archive: impl std::io::Read) -> Result<()> {
        let path = format!("{BASE}/images/import?name={name}&source={source}");
        let answer = self.client.send(Method::POST, &path, &[], SendBody::from_reader(&mut archive))?;
        ensure!(answer.status == 201, "import {name}: {answer}");
        Ok(())
    }
}

/// One byte of a path as it stands in a URL: letters, digits and `/.-_` as they are, all else as `%XX`.
fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_bytes_in_the_url() {
        assert_eq!(Native::file_url("x", b"/a b/\xff.csv"), "/lazaret/v1/sandboxes/x/files/a%20b/%FF.csv");
    }
}
