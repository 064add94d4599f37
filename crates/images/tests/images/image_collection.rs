//! Which images go by themselves, and what is left of the others.

use std::collections::BTreeSet;
use std::time::Duration;

use lazaret_core::ports::Images;
use lazaret_core::{CollectionPolicy, Digest, Image, ImageReference, Viewer};
use lazaret_images::registry::settings::RegistrySettings;
use tokio::sync::watch;

use crate::registry::Registry;
use crate::support::{Layout, Store, gzip, tar_of};

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn pull(store: &Store, name: &str) -> Image {
    let reference = ImageReference::parse(name).unwrap();
    store.images.pull(&reference, watch::Sender::default()).await.unwrap()
}

async fn collect(store: &Store, needed: &[&Image], budget: Option<u64>) -> Vec<Digest> {
    let needed: BTreeSet<Digest> = needed.iter().map(|image| image.digest).collect();
    let policy = CollectionPolicy { unused_after: DAY * 30, budget_bytes: budget };
    store.images.collect(&needed, &policy).await.unwrap()
}

#[tokio::test]
async fn pulled_images_go_when_unused_and_what_is_needed_or_imported_stays_whole() {
    let registry = Registry::start().await;
    let base = tar_of([("base", &[1_u8; 5000][..])]);
    let above = tar_of([("above", &[2_u8; 5000][..])]);
    registry.push("parent", &Layout::new(&[&base], GZIP_LAYER, gzip), &["1"]).await;
    registry.push("child", &Layout::new(&[&base, &above], GZIP_LAYER, gzip), &["1", "2"]).await;
    let settings = RegistrySettings { plain_http: [registry.host()].into(), ..RegistrySettings::default() };
    let store = Store::with_registries(settings);
    let at = |name: &str| format!("{}/{name}", registry.host());

    let imported = store.import(tar_of([("kept", &[3_u8; 5000][..])]), Some("kept:1")).await.unwrap();
    let parent = pull(&store, &at("parent:1")).await;
    let child = pull(&store, &at("child:1")).await;
    pull(&store, &at("child:2")).await;

    assert_eq!(collect(&store, &[], None).await, [], "all are young");
    store.clock.advance(DAY * 20);
    store.images.rootfs(&child.digest).await.unwrap();
    store.clock.advance(DAY * 20);
    assert_eq!(collect(&store, &[&parent], None).await, [], "one is needed, one was used");
    assert_eq!(collect(&store, &[], None).await, [parent.digest]);
    assert_eq!(store.images.find(&at("parent:1"), Viewer::Server).await.unwrap(), None);
    let root = store.root(&child).await;
    assert_eq!(std::fs::read(root.join("base")).unwrap(), [1; 5000], "a shared file stays");

    // A restart forgets nothing of what was used when.
    let store = store.reopen();
    assert_eq!(collect(&store, &[], Some(1 << 20)).await, []);
    assert_eq!(collect(&store, &[&child], Some(5000)).await, []);
    assert_eq!(collect(&store, &[], Some(5000)).await, [child.digest]);
    let left = store.images.list(Viewer::Server).await.unwrap();
    let left: Vec<_> = left.iter().filter(|image| !image.built_in).map(|image| image.digest).collect();
    assert_eq!(left, [imported.digest]);
    for name in ["child:1", "child:2"] {
        assert_eq!(store.images.find(&at(name), Viewer::Server).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_tree_or_blob_that_a_crash_left_without_a_record_is_removed_at_the_next_start() {
    let store = Store::new();
    let kept = store.import(tar_of([("kept", &b"x"[..])]), Some("kept:1")).await.unwrap();
    let stray = "ab".repeat(32);
    std::fs::create_dir(store.directory.path().join("rootfs").join(&stray)).unwrap();
    std::fs::write(store.directory.path().join("blobs").join(&stray), "x").unwrap();
    let store = store.reopen();
    for directory in ["rootfs", "blobs"] {
        assert!(!store.files(directory).contains(&stray), "{directory}");
    }
    assert_eq!(store.images.find("kept:1", Viewer::Server).await.unwrap(), Some(kept));
}
