//! Images from a registry: what arrives, what is shared, and what each fault ends in.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use lazaret_core::ports::Images;
use lazaret_core::{
    Error, Image, ImageReference, LayerStep, Limit, PullProgress, Secret, UpstreamProblem, Viewer,
};
use lazaret_images::registry::settings::{Credentials, RegistrySettings};
use lazaret_images::unpack::limits::UnpackLimits;
use tokio::sync::watch;

use crate::image_build::wait_until;
use crate::registry::{Fault, Proxy, Registry};
use crate::support::{
    INDEX_TYPE, Layout, MANIFEST_TYPE, Store, architecture, blob, descriptor, gzip, index, sha256, tar_of,
};

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// How long what happens in the background may take to be done.
const SOON: Duration = Duration::from_secs(20);

fn base() -> Vec<u8> {
    tar_of([("bin/app", &b"#!/bin/sh\n"[..]), ("etc/old", b"old\n")])
}

fn above(contents: &str) -> Vec<u8> {
    tar_of([("etc/.wh.old", &b""[..]), ("etc/new", contents.as_bytes())])
}

/// Settings that let `host` be asked without TLS, and lose no time.
fn quick(host: &str) -> RegistrySettings {
    RegistrySettings {
        plain_http: [host.to_owned()].into(),
        stall_timeout: Duration::from_millis(700),
        attempts: 3,
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(50),
        ..RegistrySettings::default()
    }
}

async fn pull_following(store: &Store, name: &str) -> (lazaret_core::Result<Image>, PullProgress) {
    let progress = watch::Sender::default();
    let reference = ImageReference::parse(name).unwrap();
    let outcome = store.images.pull(&reference, progress.clone()).await;
    (outcome, progress.borrow().clone())
}

async fn pull(store: &Store, name: &str) -> lazaret_core::Result<Image> {
    pull_following(store, name).await.0
}

/// The problem of a failure that a registry is to blame for, or the sentence of another.
fn problem(outcome: lazaret_core::Result<Image>) -> String {
    match outcome {
        Err(Error::Upstream { problem, .. }) => format!("{problem:?}"),
        Err(Error::LimitReached(limit)) => format!("{limit:?}"),
        Err(error) => error.to_string(),
        Ok(image) => panic!("{image:?}"),
    }
}

#[tokio::test]
async fn an_image_arrives_by_tag_by_digest_and_through_an_index() {
    let registry = Registry::start().await;
    let host = registry.host();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let layout = Layout::new(&[&base(), &above("new\n")], ZSTD_LAYER, zstd);
    registry.push("team/app", &layout, &["1.0"]).await;
    let ours = format!(r#","platform":{{"architecture":"{}","os":"linux"}}"#, architecture());
    let other = r#","platform":{"architecture":"s390x","os":"linux"}"#;
    let list = index(&[
        descriptor(MANIFEST_TYPE, layout.manifest.as_bytes(), &ours),
        descriptor(MANIFEST_TYPE, layout.manifest.as_bytes(), other),
    ]);
    registry.push_manifest("team/app", "latest", INDEX_TYPE, &list).await;

    let store = Store::with_registries(quick(&host));
    let digest = sha256(layout.manifest.as_bytes());
    let (made, progress) = pull_following(&store, &format!("{host}/team/app:1.0")).await;
    let made = made.unwrap();
    assert_eq!((made.digest, made.names.clone()), (digest, vec![format!("{host}/team/app:1.0")]));
    assert_eq!(made.config.env[1], ("A".to_owned(), "1".to_owned()));
    let layers: Vec<_> = progress.layers.iter().map(|layer| (layer.step, layer.bytes)).collect();
    let want: Vec<_> =
        [base(), above("new\n")].map(|layer| (LayerStep::Done, zstd(&layer).len() as u64)).into();
    assert_eq!(layers, want);
    assert!(progress.layers.iter().all(|layer| layer.fetched_bytes == layer.bytes));
    let root = store.root(&made).await;
    assert_eq!(std::fs::read_to_string(root.join("etc/new")).unwrap(), "new\n");
    assert!(!root.join("etc/old").exists());

    for name in [format!("{host}/team/app"), format!("{host}/team/app@{digest}")] {
        let again = pull(&store, &name).await.unwrap();
        assert_eq!(again.digest, digest, "{name}");
        assert_eq!(
            store.images.find(&name, Viewer::Server).await.unwrap().map(|image| image.digest),
            Some(digest)
        );
    }
    assert_eq!(store.files("rootfs").len(), 1);
    assert_eq!(store.files("work"), Vec::<String>::new());
}

#[tokio::test]
async fn layers_that_an_image_here_has_are_neither_fetched_nor_stored_again() {
    let registry = Registry::start().await;
    let proxy = Proxy::before(&registry).await;
    let (base, first, second) = (base(), above("one\n"), above("two\n"));
    let parent = Layout::new(&[&base], GZIP_LAYER, gzip);
    registry.push("parent", &parent, &["1"]).await;
    registry.push("child", &Layout::new(&[&base, &first], GZIP_LAYER, gzip), &["1"]).await;
    registry.push("child", &Layout::new(&[&base, &second], GZIP_LAYER, gzip), &["2"]).await;

    let store = Store::with_registries(quick(&proxy.host()));
    let parent = pull(&store, &format!("{}/parent:1", proxy.host())).await.unwrap();
    proxy.reset();
    let (one, progress) = pull_following(&store, &format!("{}/child:1", proxy.host())).await;
    let two = pull(&store, &format!("{}/child:2", proxy.host())).await.unwrap();
    assert_eq!(proxy.count(&sha256(&gzip(&base)).to_string()), 0, "the shared layer is not asked for");
    assert_eq!(proxy.count(&sha256(&gzip(&first)).to_string()), 1);
    let steps: Vec<_> = progress.layers.iter().map(|layer| layer.step).collect();
    assert_eq!(steps, [LayerStep::Shared, LayerStep::Done]);

    let (parent, one, two) =
        (store.root(&parent).await, store.root(&one.unwrap()).await, store.root(&two).await);
    let inode = |root: &std::path::Path| std::fs::metadata(root.join("bin/app")).unwrap().ino();
    assert_eq!((inode(&parent), inode(&one)), (inode(&two), inode(&two)));
    let text = |root: &std::path::Path| std::fs::read_to_string(root.join("etc/new")).ok();
    assert_eq!((text(&one).as_deref(), text(&two).as_deref()), (Some("one\n"), Some("two\n")));
    assert!(parent.join("etc/old").exists(), "what a child hides is still in its parent");
    assert_eq!(text(&parent), None);
}

#[tokio::test]
async fn credentials_go_where_they_are_configured_for_and_nothing_else_is_let_in() {
    let registry = Registry::start_authenticated().await;
    let layout = Layout::new(&[&base()], GZIP_LAYER, gzip);
    registry.push("private/app", &layout, &["1"]).await;
    let name = format!("{}/private/app:1", registry.host());
    let with = |password: &str| {
        let mut settings = quick(&registry.host());
        let password = Secret::new(password);
        let credentials = Credentials { username: "tester".to_owned(), password };
        settings.credentials.insert(registry.host(), credentials);
        Store::with_registries(settings)
    };
    assert_eq!(pull(&with("hush"), &name).await.unwrap().digest, sha256(layout.manifest.as_bytes()));
    assert_eq!(problem(pull(&with("wrong"), &name).await), "Denied");
    assert_eq!(problem(pull(&Store::with_registries(quick(&registry.host())), &name).await), "Denied");
}

#[tokio::test]
async fn a_mirror_answers_for_its_registry_and_the_next_one_when_it_cannot() {
    let registry = Registry::start().await;
    let proxy = Proxy::before(&registry).await;
    let layout = Layout::new(&[&base()], GZIP_LAYER, gzip);
    registry.push("library/debian", &layout, &["bookworm"]).await;
    registry.push("hub/library/debian", &layout, &["bookworm"]).await;
    let mirrors = |mirrors: &[String]| {
        let mut settings = quick("nothing");
        settings.mirrors.insert("docker.io".to_owned(), mirrors.to_vec());
        Store::with_registries(settings)
    };
    let image = pull(&mirrors(&[proxy.host()]), "debian:bookworm").await.unwrap();
    assert_eq!(image.names, ["debian:bookworm"]);
    proxy.reset();
    pull(&mirrors(&[format!("{}/hub", proxy.host())]), "debian:bookworm").await.unwrap();
    assert_eq!(proxy.count("/v2/hub/library/debian/manifests/bookworm"), 1);

    // The first spoils the layer, the second has it.
    proxy.inject("blobs/sha256:", Fault::Garble, usize::MAX);
    let store = mirrors(&[proxy.host(), registry.host()]);
    pull(&store, "docker.io/library/debian:bookworm").await.unwrap();
    proxy.reset();
}

#[tokio::test]
async fn what_goes_wrong_for_a_while_does_not_keep_an_image_from_arriving() {
    let registry = Registry::start().await;
    let proxy = Proxy::before(&registry).await;
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let layer = tar_of([("large", &large[..])]);
    let layout = Layout::new(&[&layer], "application/vnd.oci.image.layer.v1.tar", <[u8]>::to_vec);
    registry.push("app", &layout, &["1"]).await;
    let blob = sha256(&layer).to_string();
    for (what, path, fault, times) in [
        ("throttled", "manifests", Fault::Throttle(0), 2),
        ("failing", "manifests", Fault::Status(503), 2),
        ("failing", &blob, Fault::Status(500), 2),
        ("cut", &blob, Fault::Truncate(100_000), 2),
        ("hanging", &blob, Fault::Stall(200_000), 1),
    ] {
        proxy.reset();
        proxy.inject(path, fault.clone(), times);
        let store = Store::with_registries(quick(&proxy.host()));
        let image = pull(&store, &format!("{}/app:1", proxy.host())).await.unwrap();
        assert_eq!(proxy.count(path), times + 1, "{what}: {fault:?}");
        assert_eq!(std::fs::read(store.root(&image).await.join("large")).unwrap(), large, "{what}");
    }
    // A registry that sends all again when a part is asked for.
    proxy.reset();
    proxy.inject(blob.clone(), Fault::Truncate(100_000), 1);
    proxy.inject(blob.clone(), Fault::WithoutRanges, 1);
    let store = Store::with_registries(quick(&proxy.host()));
    let image = pull(&store, &format!("{}/app:1", proxy.host())).await.unwrap();
    assert_eq!(std::fs::read(store.root(&image).await.join("large")).unwrap(), large);
}

#[tokio::test]
async fn every_lasting_fault_has_its_name_and_leaves_the_store_as_it_was() {
    let registry = Registry::start().await;
    let proxy = Proxy::before(&registry).await;
    let (base, above) = (base(), above("new\n"));
    let layout = Layout::new(&[&base, &above], GZIP_LAYER, gzip);
    registry.push("app", &layout, &["1"]).await;
    let blob = sha256(&gzip(&above)).to_string();
    let config = sha256(&layout.config).to_string();
    let always = usize::MAX;
    let mut settings = quick(&proxy.host());
    settings.plain_http.insert(registry.host());
    let store = Store::with_registries(settings);
    store.import(tar_of([("kept", &b"x"[..])]), Some("kept:1")).await.unwrap();
    let before = store.listing();

    let garbage = |kind| Fault::Instead(kind, b"<html>".to_vec());
    let elsewhere = |to: &str| Fault::Redirect(to.to_owned());
    let endless = Fault::Instead(MANIFEST_TYPE, vec![b' '; 5 << 20]);
    for (path, fault, want) in [
        ("manifests", Fault::Throttle(3600), "Throttled"),
        ("manifests", Fault::Status(500), "Failing"),
        ("manifests", Fault::Status(401), "Denied"),
        ("manifests", Fault::Status(403), "Denied"),
        ("manifests", Fault::Stall(10), "Stalled"),
        ("manifests", Fault::Truncate(10), "Unreachable"),
        ("manifests", endless, "Malformed"),
        ("manifests", garbage("text/html"), "is malformed"),
        ("manifests", garbage(MANIFEST_TYPE), "is malformed"),
        ("manifests", elsewhere("http://127.0.0.1:1/"), "NotAllowed"),
        ("manifests", elsewhere("https://169.254.169.254/latest/meta-data"), "NotAllowed"),
        (&config, Fault::Garble, "Corrupt"),
        (&config, Fault::Status(404), "not found"),
        (&blob, Fault::Garble, "Corrupt"),
        (&blob, Fault::Instead("a/b", vec![0; 1 << 20]), "Corrupt"),
        (&blob, Fault::Truncate(20), "Unreachable"),
        (&blob, Fault::Instead("a/b", vec![0; 3]), "Corrupt"),
        (&blob, Fault::Stall(20), "Stalled"),
        (&blob, Fault::Status(502), "Failing"),
        (&blob, elsewhere("ftp://x/"), "NotAllowed"),
    ] {
        proxy.reset();
        proxy.inject(path, fault.clone(), always);
        let found = problem(pull(&store, &format!("{}/app:1", proxy.host())).await);
        assert!(found.contains(want), "{path} {fault:?}: {found}");
        // A layer that was being unpacked when another failed is at work for a moment longer.
        println!("waiting until nothing is left of {path} {fault:?}");
        wait_until(|| store.listing() == before).await;
    }
    proxy.reset();
    let missing = format!("{}/app:2", proxy.host());
    assert_eq!(problem(pull(&store, &missing).await), format!("image {missing} not found"));
    let host = registry.host();
    drop(registry);
    assert_eq!(problem(pull(&store, &format!("{host}/app:1")).await), "Unreachable");
    assert_eq!(store.listing(), before);
}

#[tokio::test]
async fn a_hostile_image_is_refused_and_leaves_nothing() {
    let registry = Registry::start().await;
    let base = base();
    let push = async |tag: &str, change: &dyn Fn(&mut Layout)| {
        let mut layout = Layout::new(&[&base], GZIP_LAYER, gzip);
        change(&mut layout);
        layout.blobs.push(blob(&layout.config));
        registry.push("app", &layout, &[tag]).await;
    };
    // The registry itself refuses a manifest whose layers it does not have, so each is told of one that it has.
    let layer = descriptor(GZIP_LAYER, &gzip(&base), "");
    let many = |count: usize| vec![layer.clone(); count].join(",");
    push("layers", &|layout| layout.manifest = layout.manifest.replace(&layer, &many(10_000))).await;
    push("count", &|layout| layout.manifest = layout.manifest.replace(&layer, &many(2))).await;
    push("encrypted", &|layout| {
        layout.manifest = layout.manifest.replace("tar+gzip", "tar+gzip+encrypted");
    })
    .await;
    let reconfigured = |layout: &mut Layout, from: &str, to: &str| {
        let old = descriptor("application/vnd.oci.image.config.v1+json", &layout.config, "");
        layout.config = String::from_utf8(layout.config.clone()).unwrap().replace(from, to).into_bytes();
        let new = descriptor("application/vnd.oci.image.config.v1+json", &layout.config, "");
        layout.manifest = layout.manifest.replace(&old, &new);
    };
    let diff_id = sha256(&base).to_string();
    let wrong = sha256(b"another").to_string();
    push("diff-id", &|layout| reconfigured(layout, &diff_id, &wrong)).await;
    push("platform", &|layout| reconfigured(layout, architecture(), "s390x")).await;
    let bomb = gzip(&tar_of([("zeros", &vec![0; 64 << 20][..])]));
    let bomb_tar = tar_of([("zeros", &vec![0; 64 << 20][..])]);
    registry.push("app", &Layout::new(&[&bomb_tar], GZIP_LAYER, |_| bomb.clone()), &["bomb"]).await;
    let climbing = tar_of([("etc/passwd", &b"x"[..])]);
    let climbing: Vec<u8> = {
        // The writer of these tests refuses such a name; the same length lets it be put in afterwards.
        let mut tar = climbing;
        tar[..10].copy_from_slice(b"../../../x");
        let sum: u32 = tar[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar
    };
    registry.push("app", &Layout::new(&[&climbing], GZIP_LAYER, gzip), &["climbing"]).await;

    let limits = UnpackLimits { image_bytes: 16 << 20, ..UnpackLimits::default() };
    let store = Store::with(limits, quick(&registry.host()));
    let before = store.listing();
    for (tag, want) in [
        ("layers", "ImageSize"),
        ("bomb", "ImageSize"),
        ("count", "the manifest lists 2 layers and the configuration describes 1"),
        ("encrypted", "is not supported"),
        ("diff-id", &format!("layer 1 has diff id {diff_id}, not {wrong}")[..]),
        ("platform", "the image is for linux/s390x"),
        ("climbing", "layer 1: entry \"../../../x\""),
    ] {
        let found = problem(pull(&store, &format!("{}/app:{tag}", registry.host())).await);
        assert!(found.contains(want), "{tag}: {found}");
        assert_eq!(store.listing(), before, "{tag}");
    }
}

#[tokio::test]
async fn a_full_disk_ends_a_pull_by_its_name() {
    let registry = Registry::start().await;
    registry.push("app", &Layout::new(&[&base()], GZIP_LAYER, gzip), &["1"]).await;
    let limits = UnpackLimits { disk_reserve_bytes: u64::MAX / 2, ..UnpackLimits::default() };
    let store = Store::with(limits, quick(&registry.host()));
    let before = store.listing();
    let outcome = pull(&store, &format!("{}/app:1", registry.host())).await;
    assert!(matches!(outcome, Err(Error::LimitReached(Limit::HostDisk))), "{outcome:?}");
    assert_eq!(store.listing(), before);
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_leaves_nothing() {
    let registry = Registry::start().await;
    let proxy = Proxy::before(&registry).await;
    let (base, above) = (base(), above("new\n"));
    registry.push("app", &Layout::new(&[&base, &above], GZIP_LAYER, gzip), &["1"]).await;
    proxy.inject(sha256(&gzip(&above)).to_string(), Fault::Stall(20), usize::MAX);
    let mut settings = quick(&proxy.host());
    settings.stall_timeout = Duration::from_secs(600);
    let store = Store::with_registries(settings);
    let before = store.listing();
    let progress = watch::Sender::new(PullProgress::default());
    let reference = ImageReference::parse(&format!("{}/app:1", proxy.host())).unwrap();
    let mut reader = progress.subscribe();
    {
        let pulling = store.images.pull(&reference, progress);
        let first_is_done = reader
            .wait_for(|progress| progress.layers.first().is_some_and(|layer| layer.step == LayerStep::Done));
        tokio::select! {
            outcome = pulling => panic!("{outcome:?}"),
            waited = tokio::time::timeout(SOON, first_is_done) => drop(waited.expect("in time").unwrap()),
        }
    }
    let gone = async {
        while store.listing() != before {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(SOON, gone).await;
    assert!(gone.is_ok(), "{:?}", store.listing());
}

#[tokio::test]
async fn a_host_that_the_operator_did_not_name_is_not_asked() {
    let registry = Registry::start().await;
    let store = Store::with_registries(quick("other.test"));
    let name = format!("{}/app:1", registry.host());
    let outcome = pull(&store, &name).await;
    let Err(Error::Upstream { problem: UpstreamProblem::NotAllowed, what, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(what.contains(&registry.host()), "{what}");
}
