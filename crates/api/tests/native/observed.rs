//! What operators see of requests: enough to find one, and nothing that is a client's secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::at;
use crate::support::{ADMIN_KEY, Server};

/// A log kept in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything that is logged on this thread goes here until the guard is dropped.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_names_the_request_and_the_sandbox_and_none_of_the_clients_secrets() {
    let server = Server::start().await;
    let log = Log::default();
    let _listening = log.listen();
    let body = json!({"env": {"TOKEN": "env-secret"}, "labels": {"a": "label-secret"}});
    let made = server.post("/lazaret/v1/sandboxes").json(&body).send().await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    server.get("/lazaret/v1/sandboxes?name=query-secret").send().await.expect(200);
    let exec = json!({"command": ["echo", "output-secret"], "env": {"B": "exec-secret"}});
    let ran = server.post(&at(&id, "/exec")).json(&exec).send().await;
    server.put(&at(&id, "/files/tmp/name-secret")).body("file-secret").send().await.expect(200);
    server.get("/lazaret/v1/server").key("wrong-key-secret").peer("192.0.2.1:9").send().await.expect(401);

    let text = log.text();
    for secret in ["env-", "label-", "query-", "output-", "exec-", "name-", "file-", "wrong-key-"] {
        assert!(!text.contains(&format!("{secret}secret")), "{secret} in {text}");
    }
    assert!(!text.contains(ADMIN_KEY), "{text}");
    let served: Vec<_> = text.lines().filter(|line| line.contains("served")).collect();
    assert_eq!(served.len(), 5, "{text}");
    let exec = served.iter().find(|line| line.contains("{id}/exec")).expect("the exec is logged");
    for part in [ran.header("x-request-id"), &crate::core_id(&id).to_string(), "status=200", "account.id="] {
        assert!(exec.contains(part), "{part} in {exec}");
    }
    let refused =
        text.lines().find(|line| line.contains("the API key is not valid")).expect("the refusal is logged");
    assert!(refused.contains("INFO") && refused.contains("192.0.2.1:9"), "{refused}");
}

#[tokio::test]
async fn a_failure_of_ours_is_logged_once_with_all_that_led_to_it() {
    let server = Server::start().await;
    let log = Log::default();
    let _listening = log.listen();
    server.runtime.fail_next_start(lazaret_core::Error::internal("the loop device is gone"));
    let answer = server.post("/lazaret/v1/sandboxes").send().await;
    let text = log.text();
    let told: Vec<_> = text.lines().filter(|line| line.contains("the loop device is gone")).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert!(told[0].contains("ERROR") && told[0].contains(answer.header("x-request-id")), "{}", told[0]);
}

#[tokio::test]
async fn metrics_count_requests_by_labels_that_no_client_can_make_up() {
    let server = Server::start().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let id = crate::sandbox(&server).await;
    for path in [at(&id, ""), at("nothing", ""), "/made/up".to_owned()] {
        server.get(&path).send().await;
    }
    server.call("BREW".parse().unwrap(), "/healthz").send().await.expect(405);
    let text = handle.render();
    let mut counted: Vec<_> = text.lines().filter(|line| line.starts_with("http_requests_total{")).collect();
    counted.sort_unstable();
    insta::assert_snapshot!(counted.join("\n"));
    assert!(text.contains("http_request_duration_seconds"), "{text}");
}
