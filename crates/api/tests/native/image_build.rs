//! `POST /lazaret/v1/images/build`: what is answered; what is built is for the black-box suite.

use lazaret_core::{BuildSource, BuildSpec, CacheUse, Scope};

use crate::support::Server;

const PATH: &str = "/lazaret/v1/images/build";

#[tokio::test]
async fn a_build_answers_with_its_image_or_tells_of_each_step() {
    let server = Server::start().await;
    let text = "ARG tag\nFROM registry.test/base:$tag\nARG unset\nENV a=$tag b=${unset:-1}\nWORKDIR /srv\nCMD [\"x\"]\n";
    let build = |query: &str| {
        let call = server
            .post(&format!("{PATH}{query}"))
            .header("lazaret-build-args", r#"{"tag": "1", "no": "s3cret"}"#);
        call.body(text)
    };
    let made = build("?name=made:1").send().await.expect(201);
    assert_eq!((&made["names"][0], &made["config"]["env"]["b"]), (&"made:1".into(), &"1".into()));
    assert_eq!(
        (&made["config"]["working_dir"], &made["config"]["command"][0]),
        (&"/srv".into(), &"x".into())
    );

    let stream = build("?no_cache=true").header("accept", "text/event-stream").send().await;
    let told = String::from_utf8(stream.body.to_vec()).unwrap();
    for part in [
        "event: warning\ndata: {\"message\":\"no ARG declares the argument no\"}",
        "event: step\ndata: {\"number\":1,\"total\":5,\"line\":2,\"text\":\"FROM registry.test/base:$tag\",\"cached\":false}",
        "\"text\":\"WORKDIR /srv\"",
        "event: image\ndata: {\"digest\":\"sha256:",
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_built_is_refused_before_the_answer_begins() {
    let server = Server::start().await;
    let events = ("accept", "text/event-stream");
    for (query, body, want) in [
        (
            "",
            "FROM a\nRUN --mount=type=bind true",
            "400 invalid dockerfile: dockerfile: line 2: RUN --mount is outside the subset",
        ),
        (
            "?dockerfile=other",
            "FROM a",
            "400 invalid dockerfile: dockerfile: there is no file other in the context",
        ),
        ("?target=x", "FROM a", "400 invalid dockerfile: dockerfile: line 1: there is no stage x"),
        (
            "?name=No",
            "FROM a",
            "400 invalid name: name: an image name is made of lower-case letters, digits and single separators '.', '_', '-' and '/'",
        ),
        ("?timeout_ms=0", "FROM a", "400 invalid timeout_ms: timeout_ms: must be from 1 to 21600000"),
        (
            "?network=internet&domain=x.test",
            "FROM a",
            "400 invalid network: network: domains and cidrs are for the type allowlist",
        ),
    ] {
        let answer =
            server.post(&format!("{PATH}{query}")).header(events.0, events.1).body(body).send().await;
        assert_eq!(answer.native_error(), want, "{query} {body}");
    }
    let arguments = server.post(PATH).header("lazaret-build-args", "[1]").body("FROM a").send().await;
    let want =
        "400 invalid build_args: build_args: the header lazaret-build-args is not a JSON object of strings";
    assert_eq!(arguments.native_error(), want);
    // A base that cannot be had is known once the answer may have begun.
    let base = server.post(PATH).body("FROM other.test/a").send().await;
    assert_eq!(base.native_error(), "502 upstream_failed -: other.test: cannot be reached");
    let host = server.post(PATH).body("FROM host").send().await;
    assert!(
        host.native_error().starts_with("400 invalid dockerfile: dockerfile: line 1: the image host"),
        "{}",
        host.native_error()
    );
}

#[tokio::test]
async fn building_takes_the_scope_of_images() {
    let server = Server::start().await;
    let key = server.key_with(&Scope::DEFAULT).await;
    let answer = server.post(PATH).key(&key).body("FROM a").send().await;
    assert_eq!(answer.native_error(), "403 forbidden -: the API key lacks the scope images:write");
}

#[tokio::test]
async fn a_dockerfile_alone_can_be_built_from_inside_the_server_and_has_nothing_to_copy_from() {
    let server = Server::start().await;
    let spec = |text: &str| BuildSpec {
        source: BuildSource::Text(text.to_owned()),
        name: Some("text:1".to_owned()),
        target: None,
        arguments: std::collections::BTreeMap::new(),
        cache: CacheUse::Taken,
        network: None,
        resources: None,
        timeout: None,
    };
    let caller = server.admin().await;
    let build = server.services.builds.begin(&caller, spec("FROM registry.test/a\nENV a=b")).await.unwrap();
    assert_eq!(build.wait().await.unwrap().names, ["text:1"]);
    let refused = server.services.builds.begin(&caller, spec("FROM a\n\nCOPY x /")).await.map(drop);
    let want = Err("dockerfile: line 3: there is no context to copy from".to_owned());
    assert_eq!(refused.map_err(|error| error.to_string()), want);
}
