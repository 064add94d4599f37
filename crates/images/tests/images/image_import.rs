//! Images from archives: what arrives, under which names, and what is refused.

use std::fs;
use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lazaret_core::ports::Images;
use lazaret_core::{Body, Error, ImageSource, ImportProgress, Limit, Viewer};
use lazaret_images::unpack::limits::UnpackLimits;
use tokio::sync::watch;

use crate::support::{
    INDEX_TYPE, Layout, MANIFEST_TYPE, NOW, Store, architecture, blob, config, descriptor, docker_archive,
    gzip, index, sha256, tar_of,
};

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn base() -> Vec<u8> {
    tar_of([("bin/app", &b"#!/bin/sh\n"[..]), ("etc/old", b"old\n")])
}

fn above() -> Vec<u8> {
    tar_of([("etc/.wh.old", &b""[..]), ("etc/new", b"new\n")])
}

/// The sentence of a refusal that the sender of the archive can do something about.
fn reason(outcome: lazaret_core::Result<lazaret_core::Image>) -> String {
    match outcome {
        Err(Error::Invalid { field: "image", reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_saved_image_arrives_with_its_names_and_configuration() {
    let store = Store::new();
    let (base, above) = (base(), above());
    let archive = docker_archive(r#"["app:1.0","docker.io/library/app:latest"]"#, &[&base, &above]);
    let image = store.import(archive, None).await.unwrap();
    assert_eq!(image.digest, sha256(config(&[&base, &above]).as_bytes()));
    assert_eq!(image.names, ["app:1.0", "app:latest"]);
    assert_eq!((image.bytes, image.created_at, image.built_in), (14, NOW, false));
    assert_eq!(image.config.env[1], ("A".to_owned(), "1".to_owned()));
    assert_eq!(image.config.working_dir.as_deref(), Some("/srv"));
    assert_eq!(image.config.user.as_deref(), Some("app"));
    assert_eq!(image.config.command, ["/bin/app"]);

    let root = store.root(&image).await;
    assert_eq!(fs::read_to_string(root.join("etc/new")).unwrap(), "new\n");
    assert!(!root.join("etc/old").exists());

    for name in ["app", "app:latest", "app:1.0", &image.digest.to_string(), &image.digest.hex()[..12]] {
        assert_eq!(store.images.find(name, Viewer::Server).await.unwrap().as_ref(), Some(&image), "{name}");
    }
    for name in ["app:2", "other", "sha256:00", &image.digest.hex()[..11], "../app", ""] {
        assert_eq!(store.images.find(name, Viewer::Server).await.unwrap(), None, "{name}");
    }
    let store = store.reopen();
    assert_eq!(store.images.find("app", Viewer::Server).await.unwrap(), Some(image));
}

#[tokio::test]
async fn a_layout_arrives_however_its_layers_are_compressed() {
    let store = Store::new();
    let (base, above) = (base(), above());
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let mut trees = Vec::new();
    for (media_type, layout) in [
        (GZIP_LAYER, Layout::new(&[&base, &above], GZIP_LAYER, gzip)),
        (PLAIN_LAYER, Layout::new(&[&base, &above], PLAIN_LAYER, <[u8]>::to_vec)),
        ("zstd", Layout::new(&[&base, &above], "application/vnd.oci.image.layer.v1.tar+zstd", zstd)),
    ] {
        let image = store.import(layout.tar(), None).await.unwrap();
        assert_eq!(image.digest, sha256(layout.manifest.as_bytes()), "{media_type}");
        assert_eq!(image.names, ["example.org/team/app:1.0"], "the name moves to the newest");
        trees.push(store.root(&image).await);
    }
    // The layers are the same, so the tree is there once.
    trees.dedup();
    assert_eq!(trees.len(), 1);
    assert_eq!(store.files("rootfs").len(), 1);
}

#[tokio::test]
async fn a_root_file_system_arrives_plain_or_compressed() {
    let store = Store::new();
    let tar = base();
    let plain = store.import(tar.clone(), Some("mine")).await.unwrap();
    assert_eq!((plain.names.clone(), plain.bytes), (vec!["mine:latest".to_owned()], 14));
    assert_eq!(plain.config.env[0].0, "PATH");
    let packed = store.import(gzip(&tar), Some("localhost:5000/mine:v2")).await.unwrap();
    assert_eq!(packed.digest, plain.digest);
    assert_eq!(packed.names, ["localhost:5000/mine:v2", "mine:latest"]);
    let nameless = store.import(zstd::encode_all(&above()[..], 1).unwrap(), None).await.unwrap();
    assert_eq!(nameless.names, Vec::<String>::new());
    assert_eq!(store.images.find(&nameless.digest.hex(), Viewer::Server).await.unwrap(), Some(nameless));
}

#[tokio::test]
async fn the_image_for_this_machine_is_chosen_from_an_index() {
    let store = Store::new();
    let layer = base();
    let mut layout = Layout::new(&[&layer], PLAIN_LAYER, <[u8]>::to_vec);
    let ours = format!(r#","platform":{{"architecture":"{}","os":"linux"}}"#, architecture());
    let other = r#","platform":{"architecture":"s390x","os":"linux"}"#;
    let attestation = r#","platform":{"architecture":"unknown","os":"unknown"}"#;
    let manifest = layout.manifest.clone();
    let inner = index(&[
        descriptor(MANIFEST_TYPE, b"not in the archive", other),
        descriptor(MANIFEST_TYPE, manifest.as_bytes(), &ours),
        descriptor(MANIFEST_TYPE, b"neither", attestation),
    ]);
    layout.blobs.push(blob(inner.as_bytes()));
    let named = r#","annotations":{"io.containerd.image.name":"docker.io/library/app:3","org.opencontainers.image.ref.name":"3"}"#;
    layout.index = index(&[descriptor(INDEX_TYPE, inner.as_bytes(), named)]);
    let image = store.import(layout.tar(), None).await.unwrap();
    assert_eq!((image.digest, image.names), (sha256(manifest.as_bytes()), vec!["app:3".to_owned()]));

    layout.index = index(&[descriptor(MANIFEST_TYPE, manifest.as_bytes(), other)]);
    let machine = format!("linux/{}", architecture());
    let refusal = reason(store.import(layout.tar(), None).await);
    assert_eq!(refusal, format!("there are images for linux/s390x in it, none for {machine}"));

    // Indexes that refer to each other in turn come to an end.
    let mut deep = manifest.clone();
    let mut media_type = MANIFEST_TYPE;
    for _ in 0..6 {
        deep = index(&[descriptor(media_type, deep.as_bytes(), "")]);
        layout.blobs.push(blob(deep.as_bytes()));
        media_type = INDEX_TYPE;
    }
    layout.index = deep;
    assert_eq!(reason(store.import(layout.tar(), None).await), "indexes are nested too deeply");
}

#[tokio::test]
async fn bytes_that_are_not_what_their_digest_says_are_refused() {
    let layer = base();
    let changed = tar_of([("bin/app", &b"#!/bin/no\n"[..]), ("etc/old", b"old\n")]);
    let good = Layout::new(&[&layer], PLAIN_LAYER, <[u8]>::to_vec);
    let swap = |from: &[u8], to: &[u8]| {
        let mut layout = good.clone();
        for (_, bytes) in &mut layout.blobs {
            if bytes.as_slice() == from {
                *bytes = to.to_vec();
            }
        }
        layout
    };
    assert_eq!(changed.len(), layer.len());
    let other_config = String::from_utf8(good.config.clone()).unwrap().replace("A=1", "A=2");
    let lying_diff_id = config(&[&changed]);
    let docker = |config: &str| {
        let name = format!("{}.json", sha256(config.as_bytes()).hex());
        let manifest = format!(r#"[{{"Config":"{name}","RepoTags":null,"Layers":["l.tar"]}}]"#);
        tar_of([
            (name.as_str(), config.as_bytes()),
            ("l.tar", &layer),
            ("manifest.json", manifest.as_bytes()),
        ])
    };
    let misnamed = {
        let manifest =
            format!(r#"[{{"Config":"{}.json","RepoTags":null,"Layers":["l.tar"]}}]"#, "0".repeat(64));
        let name = format!("{}.json", "0".repeat(64));
        tar_of([(name.as_str(), lying_diff_id.as_bytes()), ("manifest.json", manifest.as_bytes())])
    };
    let longer = [&layer[..], &[0; 512]].concat();
    for (archive, want) in [
        (
            swap(&layer, &changed).tar(),
            format!("layer 1 has digest {}, not {}", sha256(&changed), sha256(&layer)),
        ),
        (
            swap(&good.config, other_config.as_bytes()).tar(),
            format!("{} has digest {}, not {0}", sha256(&good.config), sha256(other_config.as_bytes())),
        ),
        (
            swap(&layer, &longer).tar(),
            format!("{} has {} bytes, not {}", sha256(&layer), longer.len(), layer.len()),
        ),
        (docker(&lying_diff_id), format!("layer 1 has diff id {}, not {}", sha256(&layer), sha256(&changed))),
        (
            misnamed,
            format!(
                "{0}.json has digest {1}, not sha256:{0}",
                "0".repeat(64),
                sha256(lying_diff_id.as_bytes())
            ),
        ),
    ] {
        let store = Store::new();
        assert_eq!(reason(store.import(archive, Some("x")).await), want);
        nothing_is_left(&store).await;
    }
}

/// A failed import leaves no image, no name, no tree and no half-made directory.
async fn nothing_is_left(store: &Store) {
    for directory in ["rootfs", "records", "names", "blobs", "work"] {
        assert_eq!(store.files(directory), Vec::<String>::new(), "{directory}");
    }
}

#[tokio::test]
async fn archives_that_hold_no_usable_image_say_why() {
    let layer = base();
    let foreign = config(&[&layer]).replace(architecture(), "s390x");
    let with_manifest = |manifest: &str| tar_of([("manifest.json", manifest.as_bytes())]);
    let entry = r#"{"Config":"c.json","RepoTags":["a:1"],"Layers":[]}"#;
    let docker = |config: &str| {
        let manifest = r#"[{"Config":"c.json","Layers":["l.tar"]}]"#;
        tar_of([("c.json", config.as_bytes()), ("l.tar", &layer), ("manifest.json", manifest.as_bytes())])
    };
    let truncated = gzip(&layer);
    let encrypted =
        Layout::new(&[&layer], "application/vnd.oci.image.layer.v1.tar+encrypted", <[u8]>::to_vec);
    let twice = tar_of([("manifest.json", &b"[]"[..]), ("manifest.json", b"[ ]")]);
    let machine = format!("linux/{}", architecture());
    for (archive, want) in [
        (Vec::new(), "there is no image in it".to_owned()),
        (vec![0; 1024], "there is no image in it".to_owned()),
        (b"not a tar at all".repeat(64), "not a tar header: its checksum does not match".to_owned()),
        (b"short".to_vec(), "the archive is cut short".to_owned()),
        (
            truncated[..truncated.len() / 2].to_vec(),
            "the upload cannot be read: incomplete deflate stream".to_owned(),
        ),
        (layer[..1024].to_vec(), "the archive has no end marker: it is cut short".to_owned()),
        (layer[..700].to_vec(), "the archive is cut short".to_owned()),
        (
            b"BZh91AY&SY".to_vec(),
            "the archive is compressed with bzip2; gzip, zstd and no compression are read".to_owned(),
        ),
        (with_manifest("[]"), "there is no image in it".to_owned()),
        (
            with_manifest("{}"),
            "manifest.json is malformed: invalid type: map, expected a sequence at line 1 column 0"
                .to_owned(),
        ),
        (
            with_manifest(&format!("[{entry},{entry}]")),
            "there are several images in it (a:1, a:1); save them one by one".to_owned(),
        ),
        (with_manifest(&format!("[{entry}]")), "the archive has no member c.json".to_owned()),
        (
            with_manifest(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#),
            "a member of the archive has an unusable name: the name goes up with \"..\"".to_owned(),
        ),
        (docker(&foreign), format!("the image is for linux/s390x; this machine runs {machine}")),
        (
            docker(&config(&[&layer, &layer])),
            "the manifest lists 1 layers and the configuration describes 2".to_owned(),
        ),
        (
            encrypted.tar(),
            "media type \"application/vnd.oci.image.layer.v1.tar+encrypted\" is not supported".to_owned(),
        ),
        (twice, "the archive has two members named /manifest.json".to_owned()),
    ] {
        let store = Store::new();
        assert_eq!(reason(store.import(archive, Some("x")).await), want);
        nothing_is_left(&store).await;
    }
}

#[tokio::test]
async fn a_kind_that_the_caller_names_is_held_to() {
    let store = Store::new();
    let docker = docker_archive("null", &[&base()]);
    let outcome = store.import_as(docker.clone(), ImageSource::OciArchive, Some("x")).await;
    assert_eq!(reason(outcome), "the archive has no oci-layout and index.json");
    let outcome = store.import_as(base(), ImageSource::DockerArchive, Some("x")).await;
    assert_eq!(reason(outcome), "the archive has no manifest.json");
    // As a root file system it is a directory with a manifest.json in it.
    let image = store.import_as(docker, ImageSource::RootfsTar, Some("x")).await.unwrap();
    assert!(store.root(&image).await.join("manifest.json").exists());
}

#[tokio::test]
async fn a_hostile_entry_is_named_with_its_layer() {
    let store = Store::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Block);
    header.set_size(0);
    header.set_mode(0o600);
    builder.append_data(&mut header, "root/sda", io::empty()).unwrap();
    let archive = docker_archive(r#"["evil:1"]"#, &[&base(), &builder.into_inner().unwrap()]);
    assert_eq!(
        reason(store.import(archive, None).await),
        "layer 2: entry \"root/sda\": device nodes are refused"
    );
    nothing_is_left(&store).await;
}

#[tokio::test]
async fn names_are_checked_before_anything_is_read_and_host_is_taken() {
    let store = Store::new();
    for (name, want) in [
        ("host", "\"host\" cannot name an image: the name belongs to the built-in image"),
        (
            "A",
            "\"A\" cannot name an image: an image name is made of lower-case letters, digits and single separators '.', '_', '-' and '/'",
        ),
        (
            "a\nb",
            "\"a\\nb\" cannot name an image: an image name is made of lower-case letters, digits and single separators '.', '_', '-' and '/'",
        ),
    ] {
        let body: Body = stream::pending().boxed();
        let (progress, _) = watch::channel(ImportProgress { bytes_read: 0, entries: 0 });
        let outcome = store.images.import(body, ImageSource::Detect, Some(name), progress).await;
        assert_eq!(reason(outcome), want);
    }
    let archive = docker_archive(r#"["docker.io/library/host:1"]"#, &[&base()]);
    let refusal = reason(store.import(archive, None).await);
    assert_eq!(
        refusal,
        "\"docker.io/library/host:1\" cannot name an image: the name belongs to the built-in image"
    );
    nothing_is_left(&store).await;
}

#[tokio::test]
async fn limits_and_broken_uploads_end_an_import_without_a_trace() {
    let small = Store::with_limits(UnpackLimits { image_bytes: 4096, ..UnpackLimits::default() });
    // Compressed to a few hundred bytes, it would become a gigabyte.
    let bomb = gzip(&vec![0; 1 << 20]);
    let outcome = small.import(bomb, Some("bomb")).await;
    assert!(matches!(outcome, Err(Error::LimitReached(Limit::ImageSize))), "{outcome:?}");
    nothing_is_left(&small).await;

    let full =
        Store::with_limits(UnpackLimits { disk_reserve_bytes: u64::MAX / 2, ..UnpackLimits::default() });
    let outcome = full.import(base(), Some("x")).await;
    assert!(matches!(outcome, Err(Error::LimitReached(Limit::HostDisk))), "{outcome:?}");

    let layers = Store::with_limits(UnpackLimits { layers: 1, ..UnpackLimits::default() });
    let outcome = layers.import(docker_archive("null", &[&base(), &above()]), Some("x")).await;
    assert!(matches!(outcome, Err(Error::LimitReached(Limit::ImageSize))), "{outcome:?}");

    let store = Store::new();
    let half = base()[..600].to_vec();
    let chunks = [Ok(Bytes::from(half)), Err(Error::invalid("body", "the client went away"))];
    let (progress, seen) = watch::channel(ImportProgress { bytes_read: 0, entries: 0 });
    let outcome =
        store.images.import(stream::iter(chunks).boxed(), ImageSource::Detect, Some("x"), progress).await;
    assert!(matches!(outcome, Err(Error::Invalid { field: "body", .. })), "{outcome:?}");
    assert_eq!(*seen.borrow(), ImportProgress { bytes_read: 600, entries: 0 });
    nothing_is_left(&store).await;
}

#[tokio::test]
async fn progress_counts_the_bytes_read_and_the_entries_written() {
    let store = Store::new();
    let archive = gzip(&base());
    let size = archive.len() as u64;
    let (progress, seen) = watch::channel(ImportProgress { bytes_read: 0, entries: 0 });
    let chunks: Vec<_> = archive.chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    store
        .images
        .import(stream::iter(chunks).boxed(), ImageSource::Detect, Some("x"), progress)
        .await
        .unwrap();
    // Two files, and the two directories that hold them.
    assert_eq!(*seen.borrow(), ImportProgress { bytes_read: size, entries: 4 });
}

#[tokio::test]
async fn an_image_goes_with_its_last_name_and_a_shared_tree_with_its_last_image() {
    let store = Store::new();
    let layer = base();
    store.import(docker_archive(r#"["a:1","b:1"]"#, &[&layer]), None).await.unwrap();
    let other = store.import(layer.clone(), Some("c")).await.unwrap();
    assert_eq!(store.files("rootfs").len(), 1);

    store.images.remove("a:1", Viewer::Server).await.unwrap();
    assert!(store.images.find("b:1", Viewer::Server).await.unwrap().is_some());
    assert!(matches!(store.images.remove("a:1", Viewer::Server).await, Err(Error::NotFound { .. })));
    store.images.remove("b:1", Viewer::Server).await.unwrap();
    assert!(store.images.find("b:1", Viewer::Server).await.unwrap().is_none());
    assert!(store.root(&other).await.join("bin/app").exists());

    let store = store.reopen();
    store.images.remove(&other.digest.hex()[..12], Viewer::Server).await.unwrap();
    nothing_is_left(&store).await;
    assert!(matches!(store.images.rootfs(&other.digest).await, Err(Error::NotFound { .. })));
}
