//! Volumes as whoever operates a server sees them: by the command line and over its deaths.

#![forbid(unsafe_code)]

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lazaret_tests::Server;
use serde_json::json;

/// What a run of the command line prints.
fn lazaret(server: &Server, arguments: &[&str]) -> Result<String> {
    let output = server.command().args(arguments).output().context("start lazaret")?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "lazaret {arguments:?}: {}\n{talk}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The files of all volumes in the data directory.
fn images(server: &Server) -> Result<Vec<String>> {
    let entries = fs::read_dir(server.data_dir().join("volumes"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[test]
fn a_volume_of_the_command_line_is_made_shared_listed_and_removed() -> Result<()> {
    let server = Server::start();
    assert_eq!(lazaret(&server, &["volume", "create", "data", "--size", "64m"])?, "data\n");
    let table = lazaret(&server, &["volume", "ls"])?;
    let row: Vec<&str> = table.lines().nth(1).context("a row")?.split_whitespace().collect();
    assert_eq!((row[0], row[1], row.last()), ("data", "ready", Some(&"never")), "{table}");
    let run = |mount: &str, line: &str| {
        lazaret(&server, &["run", "--rm", "--volume", mount, "--", "sh", "-c", line])
    };
    run("data:/data", "mkdir -p /data/a/b; echo kept > /data/a/b/file")?;
    assert_eq!(run("data:/srv/x:a/b", "ls -A /srv/x; cat /srv/x/file")?, "file\nkept\n");
    ensure!(!lazaret(&server, &["volume", "ls"])?.contains("never"), "its use is noted");

    lazaret(&server, &["create", "--name", "box", "--volume", "data:/data"])?;
    let refused = lazaret(&server, &["volume", "rm", "data"]);
    let refused = refused.map_err(|error| error.to_string()).expect_err("it is in use");
    ensure!(refused.contains("volume data is in use by sandbox box"), "{refused}");
    lazaret(&server, &["rm", "-f", "box"])?;
    assert_eq!(lazaret(&server, &["volume", "rm", "data"])?, "data\n");
    assert_eq!(lazaret(&server, &["volume", "ls", "-q"])?, "");
    assert_eq!(images(&server)?, [""; 0]);
    Ok(())
}

#[test]
fn what_is_in_a_volume_outlives_a_kill_of_the_server_and_what_has_no_record_does_not() -> Result<()> {
    let mut server = Server::start();
    let native = server.native();
    native
        .client()
        .post("/lazaret/v1/volumes", &json!({"name": "data", "size_bytes": 128 << 20}))?
        .expect(201);
    let with_volume = json!({"volumes": [{"volume": "data", "path": "/data"}]});
    let (one, other) = (native.create(&with_volume)?, native.create(&with_volume)?);
    let sum = native.shell(&one, "head -c 64000000 /dev/urandom > /data/big; sha256sum < /data/big")?;
    assert_eq!(images(&server)?.len(), 1);

    server.kill();
    let orphan = server.data_dir().join("volumes").join(format!("{}.ext4", "68a0".repeat(8)));
    fs::write(&orphan, "of a creation that nobody was told of")?;
    server.start_again();

    let native = server.native();
    ensure!(!orphan.exists(), "an image without a record stays");
    assert_eq!(native.shell(&other, "sha256sum < /data/big")?, sum);
    native.shell(&one, "echo on > /data/more")?;
    let third = native.create(&with_volume)?;
    assert_eq!(native.shell(&third, "cat /data/more")?, "on\n");
    assert_eq!(native.client().delete("/lazaret/v1/volumes/data")?.status, 409);
    for id in [&one, &other, &third] {
        native.delete(id)?;
    }
    let last = native.create(&with_volume)?;
    assert_eq!(native.shell(&last, "sha256sum < /data/big")?, sum);
    native.delete(&last)?;
    native.client().delete("/lazaret/v1/volumes/data")?.expect(204);
    assert_eq!(images(&server)?, [""; 0]);
    Ok(())
}

#[test]
fn a_deletion_that_a_server_began_is_finished_by_the_next_one() -> Result<()> {
    let mut server = Server::start();
    let client = server.client();
    for name in ["going", "staying"] {
        client.post("/lazaret/v1/volumes", &json!({"name": name, "size_bytes": 64 << 20}))?.expect(201);
    }
    ensure!(server.stop(), "it ends when it is asked to");
    // As far as a server gets that is killed right behind this step.
    let begin = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                 db.execute(\"UPDATE volumes SET state = 'deleting' WHERE name = 'going'\"); db.commit()";
    let database = server.data_dir().join("lazaret.db");
    let begun =
        Command::new("python3").args(["-c", begin]).arg(database).status().context("start python3")?;
    ensure!(begun.success(), "{begun}");
    server.start_again();
    let client = server.client();
    assert_eq!(client.get("/lazaret/v1/volumes/going")?.status, 404);
    client.get("/lazaret/v1/volumes/staying")?.expect(200);
    assert_eq!(images(&server)?.len(), 1);
    Ok(())
}
