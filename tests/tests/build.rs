//! Images built from Dockerfiles, on the command line and through the API: the same files as buildah makes, a cache that
//! holds, refusals by line, and nothing left of a build that is given up.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lazaret_tests::internet::{ALLOWED, Internet, OTHER};
use lazaret_tests::registry::{Registry, busybox_layer, debian_layer, write_docker_archive};
use lazaret_tests::{Answer, Server, binary, wait};
use serde_json::json;
use tar::EntryType;
use ureq::SendBody;
use ureq::http::Method;

/// How long it is waited for a build to get somewhere, or to be gone.
const SOON: Duration = Duration::from_secs(60);

/// A registry with `base:1` in it: BusyBox, some directories and two users.
fn registry() -> Result<Registry> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("base.tar");
    write_docker_archive(&archive, &[busybox_layer(directory.path())?])?;
    let registry = Registry::start()?;
    registry.push(&archive, "base:1")?;
    Ok(registry)
}

fn server(registry: &Registry) -> Result<Server> {
    let mut settings = String::new();
    writeln!(settings, "[images]\nplain_http = [\"{}\"]", registry.host())?;
    Server::start_configured(&binary(), &[], &settings)
}

/// Builds a directory with the command line.
fn build(server: &Server, directory: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(server.command().args(["image", "build"]).args(arguments).arg(directory).output()?)
}

/// What the command said on both streams; a failure of it is one of the test.
fn built(output: &Output) -> Result<(String, String)> {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {talk}", output.status);
    Ok((String::from_utf8(output.stdout.clone())?.trim().to_owned(), talk))
}

fn refused(output: &Output) -> Result<String> {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it was built: {talk}");
    Ok(talk)
}

fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().context("a file in a directory")?)?;
    fs::write(path, text)?;
    Ok(())
}

/// Everything in a tree but what a runtime puts there: kind, mode, owner, and contents or target.
fn listing(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = String::from_utf8_lossy(path.strip_prefix(root)?.as_os_str().as_bytes()).into_owned();
            if ["dev", "proc", "sys", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf"]
                .contains(&name.as_str())
            {
                continue;
            }
            let metadata = fs::symlink_metadata(&path)?;
            let what = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path)?.display())
            } else if metadata.is_dir() {
                pending.push(path.clone());
                "directory".to_owned()
            } else {
                fs::read(&path)?.escape_ascii().to_string().chars().take(200).collect()
            };
            // A symlink has no mode of its own.
            let mode = if metadata.is_symlink() { 0 } else { metadata.permissions().mode() & 0o7777 };
            let owner = (metadata.uid(), metadata.gid());
            let size = if metadata.is_file() { metadata.len() } else { 0 };
            found.insert(name, format!("{mode:o} {owner:?} {size} {what}"));
        }
    }
    Ok(found)
}

/// The tree of an image in the server's store.
fn tree_of(server: &Server, digest: &str) -> Result<PathBuf> {
    let images = server.data_dir().join("images");
    let hex = digest.strip_prefix("sha256:").context("a digest")?;
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(images.join("records").join(format!("{hex}.json")))?)?;
    let tree = record["tree"].as_str().and_then(|tree| tree.strip_prefix("sha256:")).context("a tree")?;
    Ok(images.join("rootfs").join(tree))
}

/// What buildah makes of the same directory, in a store of its own.
fn by_buildah(work: &Path, directory: &Path, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
    let buildah = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("buildah")
            .arg("--root")
            .arg(work.join("root"))
            .arg("--runroot")
            .arg(work.join("run"))
            .args(["--storage-driver", "vfs"])
            .args(arguments)
            .env("TMPDIR", work)
            .output()
            .context("run buildah")?;
        ensure!(
            output.status.success(),
            "buildah {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    fs::create_dir_all(work)?;
    let policy = work.join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
    let policy = policy.to_str().context("a path")?;
    let mut build = vec!["bud", "--isolation", "chroot", "--tls-verify=false", "--signature-policy", policy];
    build.extend(["--layers=false", "-t", "made"]);
    build.extend(arguments);
    build.push(directory.to_str().context("a path")?);
    buildah(&build)?;
    let container = buildah(&["from", "--signature-policy", policy, "--pull-never", "made"])?;
    let root = buildah(&["mount", &container])?;
    let listing = listing(Path::new(&root));
    buildah(&["rm", "--all"])?;
    buildah(&["rmi", "--all", "--force"])?;
    listing
}

/// A context with something of everything that both builders know: Debian's buildah has no heredocs.
fn context(directory: &Path, base: &str) -> Result<()> {
    let dockerfile = format!(
        r#"# syntax=docker/dockerfile:1
ARG base={base}
FROM $base AS build
ARG word=hello
ENV OUT=/out TEXT="two  words" \
    # a comment in between
    MORE=$word
WORKDIR /src/sub
COPY . ..
RUN busybox mkdir -p $OUT/bin && busybox cp ../one.txt "$OUT/$MORE.txt" \
    && echo "$TEXT in $(pwd) as $(busybox id -u)" > $OUT/said
RUN for number in 1 2 3; do echo "$number" >> $OUT/numbers; done; \
    busybox ln -s numbers $OUT/link; busybox ln $OUT/numbers $OUT/hard; busybox rm -r ../gone
RUN ["/bin/busybox", "touch", "/out/exec form"]

FROM $base AS unused
RUN exit 1

FROM $base
COPY --from=build /out /opt/out/
COPY --chown=app:staff --chmod=0750 tree/*.sh tool? /usr/local/bin/
COPY one.txt new/name.txt
COPY tree /opt/out/
ADD bundle.tar /unpacked
ADD bundle.tar.gz one.txt /unpacked/again/
WORKDIR /home/app
USER app
RUN test "$(busybox id -u):$(busybox id -g)" = 1000:1000 && ! echo x > file
USER root
RUN busybox rm /bin/tty && busybox rm -r /var/old && busybox mkdir /var/old
LABEL a=b
CMD ["sh"]
"#
    );
    write(directory, "Dockerfile", &dockerfile)?;
    write(directory, ".dockerignore", "*.log\nsecret\n!keep.log\n")?;
    write(directory, "one.txt", "one\n")?;
    write(directory, "keep.log", "kept\n")?;
    write(directory, "drop.log", "dropped\n")?;
    write(directory, "secret/key", "secret\n")?;
    write(directory, "gone/file", "gone\n")?;
    write(directory, "tool1", "tool\n")?;
    write(directory, "tree/a.sh", "#!/bin/sh\n")?;
    write(directory, "tree/deep/b.txt", "b\n")?;
    write(directory, "bundle/inner/file", "packed\n")?;
    symlink("../one.txt", directory.join("tree/link"))?;
    fs::set_permissions(directory.join("tree/deep"), fs::Permissions::from_mode(0o711))?;
    for (flags, name) in [("-cf", "bundle.tar"), ("-czf", "bundle.tar.gz")] {
        let packed = Command::new("tar")
            .args([flags, name, "--owner=1000", "--group=33", "--mode=u+rw,go-w", "-C", "bundle", "inner"])
            .current_dir(directory)
            .status()?;
        ensure!(packed.success(), "tar: {packed}");
    }
    fs::remove_dir_all(directory.join("bundle"))?;
    Ok(())
}

#[test]
fn a_multi_stage_dockerfile_becomes_the_same_files_as_with_buildah_and_is_cached_by_step() -> Result<()> {
    let registry = registry()?;
    let server = server(&registry)?;
    let work = tempfile::tempdir()?;
    let directory = work.path().join("context");
    context(&directory, &format!("{}/base:1", registry.host()))?;

    let arguments = ["--build-arg", "word=bye"];
    let output = build(&server, &directory, &[&arguments[..], &["-t", "made:1"]].concat())?;
    let (name, talk) = built(&output)?;
    assert_eq!(name, "made:1");
    assert!(!talk.contains("(cached)") && !talk.contains("RUN exit 1"), "{talk}");
    let images = server.client().get("/lazaret/v1/images")?.expect(200);
    let images = images["images"].as_array().context("images")?;
    let made = images.iter().find(|image| image["names"][0] == "made:1").context("the image is listed")?;
    // Steps on the way are not images of anybody's.
    assert_eq!(images.iter().filter(|image| image["names"] == json!([])).count(), 0, "{images:?}");
    assert_eq!(
        (&made["config"]["working_dir"], &made["config"]["command"]),
        (&json!("/home/app"), &json!(["sh"]))
    );
    assert_eq!(made["config"]["labels"]["a"], "b");

    let digest = made["digest"].as_str().context("a digest")?.to_owned();
    let ours = listing(&tree_of(&server, &digest)?)?;
    let theirs = by_buildah(&work.path().join("buildah"), &directory, &arguments)?;
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<String> = names
        .into_iter()
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| format!("{name}: {:?}, with buildah {:?}", ours.get(name), theirs.get(name)))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    for name in ["opt/out/bye.txt", "opt/out/said", "usr/local/bin/a.sh", "unpacked/inner/file"] {
        assert!(ours.contains_key(name), "no {name} in {:?}", ours.keys());
    }
    let ran =
        server.command().args(["run", "--rm", "--image", "made:1", "--", "cat", "/opt/out/said"]).output()?;
    assert_eq!(built(&ran)?.0, "two  words in /src/sub as 0");

    // The same again is all there, and the same image.
    let (_, again) = built(&build(&server, &directory, &[&arguments[..], &["-t", "made:2"]].concat())?)?;
    assert!(!again.lines().any(|line| line.contains("] RUN") && !line.contains("(cached)")), "{again}");
    let images = server.client().get("/lazaret/v1/images")?.expect(200);
    let same = images["images"].as_array().context("images")?.iter().find(|image| image["digest"] == *digest);
    assert_eq!(same.context("the same image")?["names"], json!(["made:1", "made:2"]));

    // Another argument does what comes after its use anew, and nothing before it.
    let (_, other) =
        built(&build(&server, &directory, &["--build-arg", "word=other", "--target", "build"])?)?;
    let step = |text: &str| other.lines().find(|line| line.contains(text)).unwrap_or_default().to_owned();
    assert!(step("COPY . ..").contains("(cached)"), "{other}");
    assert!(!step("RUN busybox mkdir").contains("(cached)"), "{other}");
    // So does another file, and --no-cache everything.
    write(&directory, "one.txt", "changed\n")?;
    let (_, changed) = built(&build(&server, &directory, &arguments)?)?;
    assert!(
        changed.lines().any(|line| line.contains("COPY . ..") && !line.contains("(cached)")),
        "{changed}"
    );
    let (_, anew) = built(&build(&server, &directory, &["--no-cache"])?)?;
    assert!(!anew.contains("(cached)"), "{anew}");
    Ok(())
}

#[test]
fn heredocs_are_scripts_files_and_programs_of_their_own_interpreter() -> Result<()> {
    let registry = registry()?;
    let server = server(&registry)?;
    let work = tempfile::tempdir()?;
    let dockerfile = format!(
        r#"FROM {}/base:1
ENV a=1
RUN <<END
echo "$a" > /one
echo "it's" >> /one
END
RUN cat <<'X' > /two && cat <<Y >> /two
$a
X
$a
Y
RUN <<END
#!/bin/busybox ash
echo "$0 $a" | busybox sed s/.*lazaret-run/ash/ > /three
END
COPY <<four.txt <<"five.txt" /texts/
$a ${{b:-unset}} \$a \n
four.txt
$a
five.txt
"#,
        registry.host()
    );
    write(work.path(), "Dockerfile", &dockerfile)?;
    built(&build(&server, work.path(), &["-t", "made:1"])?)?;
    let shown = ["cat", "/one", "/two", "/three", "/texts/four.txt", "/texts/five.txt"];
    let ran = server.command().args(["run", "--rm", "--image", "made:1", "--"]).args(shown).output()?;
    assert_eq!(built(&ran)?.0, "1\nit's\n$a\n1\nash 1\n1 unset $a \\n\n$a");
    Ok(())
}

#[test]
fn what_cannot_be_built_is_refused_by_its_line_and_what_fails_leaves_no_image() -> Result<()> {
    let registry = registry()?;
    let server = server(&registry)?;
    let work = tempfile::tempdir()?;
    let base = format!("{}/base:1", registry.host());
    write(work.path(), "file", "x\n")?;
    for (body, want) in [
        ("RUN echo ran\nRUN --mount=type=cache,target=/x true", "line 3: RUN --mount is outside the subset"),
        (
            "RUN echo ran\nADD http://example.com/x /",
            "line 3: ADD of http://example.com/x is outside the subset",
        ),
        ("RUN echo ran\n\nONBUILD RUN true", "line 4: ONBUILD is outside the subset"),
        ("RUN echo before && exit 7", "line 2: RUN ended with exit code 7"),
        ("RUN busybox kill -9 $$", "line 2: RUN was ended by signal 9"),
        ("RUN [\"/no/such\"]", "line 2: /no/such"),
        ("COPY ../file /", "line 2: ../file leaves the context"),
        ("COPY nothing /", "line 2: nothing: there is no such file to copy"),
        ("COPY file /bin/sh/x", "line 2: "),
        ("COPY --chown=nobody file /", "line 2: --chown: no user nobody in the image"),
        ("USER nobody\nRUN true", "line 3: nobody"),
    ] {
        write(work.path(), "Dockerfile", &format!("FROM {base}\n{body}\n"))?;
        let talk = refused(&build(&server, work.path(), &["-t", "never:1"])?)?;
        assert!(talk.contains(want), "{body}: {talk}");
        assert!(!talk.contains("\nran\n"), "{body} ran before it was refused: {talk}");
    }
    write(work.path(), "Dockerfile", &format!("FROM {base}\nRUN busybox sleep 1000\n"))?;
    let talk = refused(&build(&server, work.path(), &["--timeout", "2s"])?)?;
    assert!(talk.contains("the build took longer than 2000 ms"), "{talk}");
    write(work.path(), "Dockerfile", &format!("FROM {base}\nRUN busybox yes | busybox head -c 20000000\n"))?;
    let (_, talk) = built(&build(&server, work.path(), &[])?)?;
    assert!(talk.contains("warning: the step wrote more than 16777216 bytes; the rest was dropped"));
    write(work.path(), "Dockerfile", "FROM host\nRUN true")?;
    let talk = refused(&build(&server, work.path(), &[])?)?;
    assert!(talk.contains("line 1: the image host is this machine's own /usr"), "{talk}");
    let images = server.client().get("/lazaret/v1/images")?.expect(200);
    assert!(!images.to_string().contains("never:1"), "{images}");

    // Arguments are in no history and no log, and there is no network unless the request says so.
    let text = format!(
        "FROM {base}\nARG token\nRUN test ${{#token}} = 6 && test $(busybox ls /sys/class/net) = lo\n"
    );
    write(work.path(), "Dockerfile", &text)?;
    built(&build(&server, work.path(), &["-t", "quiet:1", "--build-arg", "token=s3cret"])?)?;
    for blob in fs::read_dir(server.data_dir().join("images/blobs"))? {
        let text = String::from_utf8_lossy(&fs::read(blob?.path())?).into_owned();
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(!server.log().contains("s3cret"), "a secret is in the log");
    Ok(())
}

#[test]
fn a_build_that_is_given_up_or_whose_server_dies_leaves_nothing() -> Result<()> {
    let registry = registry()?;
    let mut server = server(&registry)?;
    let work = tempfile::tempdir()?;
    let text = format!("FROM {}/base:1\nRUN echo going && busybox sleep 1000\n", registry.host());
    write(work.path(), "Dockerfile", &text)?;
    let start = |server: &Server| {
        let mut command = server.command();
        command.args(["image", "build", "-t", "never:1"]).arg(work.path());
        command.stderr(Stdio::null()).stdout(Stdio::null()).spawn()
    };
    let sandboxes = server.data_dir().join("sandboxes");
    let workspaces = server.data_dir().join("images/work");
    let count = |directory: &Path| fs::read_dir(directory).map_or(0, Iterator::count);

    let mut child = start(&server)?;
    wait::until("the step runs", SOON, || (count(&sandboxes) == 1).then_some(()));
    child.kill()?;
    child.wait()?;
    wait::until("the step's sandbox is gone", SOON, || (count(&sandboxes) == 0).then_some(()));
    wait::until("the context is gone", SOON, || (count(&workspaces) == 0).then_some(()));

    let mut child = start(&server)?;
    wait::until("the step runs again", SOON, || (count(&sandboxes) == 1).then_some(()));
    server.kill();
    child.wait()?;
    server.start_again();
    wait::until("the next server has removed it", SOON, || (count(&sandboxes) == 0).then_some(()));
    // The next server may be making its own image there.
    wait::until("nothing is left of the context", SOON, || (count(&workspaces) == 0).then_some(()));
    let images = server.client().get("/lazaret/v1/images")?.expect(200);
    assert!(!images.to_string().contains("never:1"), "{images}");
    Ok(())
}

/// An entry of an archive: its name, its kind, and its contents or the target of a link.
type Entry<'a> = (&'a str, EntryType, &'a str);

/// A context that copies `in`, with these entries as they are: names are not checked on the way.
fn archive(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let dockerfile: Entry<'_> = ("Dockerfile", EntryType::Regular, "FROM scratch\nCOPY in /out\n");
    for (name, kind, content) in std::iter::once(&dockerfile).chain(entries) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let content = if kind.is_file() { content.as_bytes() } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content)?;
    }
    Ok(builder.into_inner()?)
}

/// Sends a tar as a context.
fn send(server: &Server, tar: &[u8]) -> Result<Answer> {
    let body = SendBody::from_owned_reader(Cursor::new(tar.to_vec()));
    let headers = [("content-type", "application/x-tar")];
    server.client().send(Method::POST, "/lazaret/v1/images/build", &headers, body)
}

#[test]
fn a_hostile_context_is_refused_and_reaches_nothing_outside_of_it() -> Result<()> {
    use EntryType::{Block, Char, Fifo, Link, Regular, Symlink};
    let server = Server::start();
    let outside = tempfile::tempdir()?;
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched")?;
    let victim_path = victim.to_str().context("a path")?;
    for (entries, want) in [
        (vec![("../in", Regular, "x")], "the name goes up"),
        (vec![("in", Char, "")], "only files, directories and links"),
        (vec![("in", Block, "")], "only files, directories and links"),
        (vec![("in", Fifo, "")], "only files, directories and links"),
        (vec![("in", Link, victim_path)], "the target of the hard link is not in the image"),
        (vec![("dir", Symlink, "/tmp"), ("dir/in", Regular, "x")], "through a symlink"),
        (vec![("in/.wh.x", Regular, "x")], ".wh."),
        // Followed inside the context, where there is no such file.
        (vec![("in", Symlink, victim_path)], "in: there is no such file to copy"),
        (vec![("in", Symlink, "../../../../etc/passwd")], "in: there is no such file to copy"),
        (vec![("in", Symlink, "in")], "more than 40 symlinks"),
    ] {
        let answer = send(&server, &archive(&entries)?)?;
        assert_eq!(answer.status, 400, "{entries:?}: {answer}");
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(want), "{entries:?}: {message}");
    }
    assert_eq!(fs::read_to_string(&victim)?, "untouched");
    let whole = archive(&[("in", Regular, "x")])?;
    let cut = send(&server, &whole[..whole.len() - 1024])?;
    assert_eq!(cut.status, 400, "{cut}");
    let answer = send(&server, &whole)?;
    assert_eq!(answer.status, 201, "{answer}");
    let workspaces = server.data_dir().join("images/work");
    wait::until("no context stays", SOON, || (fs::read_dir(&workspaces).ok()?.count() == 0).then_some(()));
    Ok(())
}

#[test]
fn a_step_reaches_what_the_build_is_allowed_and_nothing_else() -> Result<()> {
    // Made first, because Debian's mirror is not of that Internet.
    let layer = debian_layer()?;
    let internet = Internet::enter()?;
    let server = Server::start_configured(&binary(), &[], &internet.settings())?;
    server.native().import_rootfs("base", fs::File::open(layer)?)?;
    let directory = tempfile::tempdir()?;
    let fetch = "import socket, sys\n\
                 name = sys.argv[1]\n\
                 there = socket.create_connection((name, 80), timeout=20)\n\
                 there.sendall(f'GET / HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n'.encode())\n\
                 print(there.makefile().read())\n";
    write(directory.path(), "fetch.py", fetch)?;
    let dockerfile =
        |name: &str| format!("FROM base\nCOPY fetch.py /\nRUN python3 /fetch.py {name} > /srv/fetched\n");
    write(directory.path(), "Dockerfile", &dockerfile("allowed.example"))?;
    let talk = refused(&build(&server, directory.path(), &["-t", "made"])?)?;
    assert!(talk.contains("line 3"), "{talk}");
    assert_eq!(internet.visits(ALLOWED), [], "without a network");

    let allow = ["--allow", "allowed.example"];
    let (digest, _) = built(&build(&server, directory.path(), &allow)?)?;
    let fetched = fs::read_to_string(tree_of(&server, &digest)?.join("srv/fetched"))?;
    assert!(fetched.contains("200 OK"), "{fetched}");
    assert!(internet.visits(ALLOWED).iter().any(|visit| visit.said.contains("GET /")));

    write(directory.path(), "Dockerfile", &dockerfile("other.example"))?;
    refused(&build(&server, directory.path(), &allow)?)?;
    assert_eq!(internet.visits(OTHER), []);
    Ok(())
}
