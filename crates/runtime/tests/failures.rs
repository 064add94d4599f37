//! Starts that cannot succeed: each says what is wrong, and takes everything back that it did.

mod support;

use std::error::Error as _;
use std::path::Path;

use lazaret_core::ports::{Lower, Runtime as _, RuntimeSpec};
use lazaret_core::{EgressPolicy, Error, Limit, Resources};
use lazaret_runtime::{NamespacesRuntime, Step};
use support::Host;

/// Starts a sandbox that has been made too hard for it, and looks that a failed start leaves only the directory.
async fn refused(host: &Host, spec: &RuntimeSpec) -> Error {
    host.runtime().create(spec).await.unwrap();
    let error = host.runtime().start(spec).await.unwrap_err();
    assert_eq!(host.traces().len(), 1, "after {error:?}: {:?}", host.traces());
    error
}

/// The step that an internal error names.
fn step_of(error: &Error) -> Step {
    let source = error.source().expect("a source");
    match source.downcast_ref::<lazaret_runtime::Error>() {
        Some(lazaret_runtime::Error::Setup { failure, undo }) => {
            assert_eq!(*undo, [], "undoing went well");
            failure.step
        }
        other => panic!("{other:?}"),
    }
}

fn with_lower(host: &Host, at: &str, source: &Path) -> RuntimeSpec {
    let mut spec = host.spec();
    spec.rootfs.lowers = vec![Lower { at: at.into(), source: source.to_owned() }];
    spec
}

#[tokio::test]
async fn an_image_with_links_in_place_of_directories_is_refused_and_the_links_are_not_followed() {
    for (name, step) in
        [("dev", Step::Devices), ("proc", Step::Proc), ("sys", Step::Sysfs), ("etc", Step::Etc)]
    {
        let host = Host::new();
        std::fs::remove_dir_all(host.image().join(name)).unwrap();
        let target = host.scratch().join("target");
        std::fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, host.image().join(name)).unwrap();
        assert_eq!(step_of(&refused(&host, &host.spec()).await), step, "{name}");
        assert_eq!(std::fs::read_dir(target).unwrap().count(), 0);
        host.finish().await;
    }
}

#[tokio::test]
async fn a_lower_that_is_not_there_or_not_ours_to_show_is_refused() {
    let host = Host::new();
    let error = refused(&host, &with_lower(&host, "/", Path::new("/usr/no/such/tree"))).await;
    assert_eq!(step_of(&error), Step::Layers);
    host.finish().await;

    let host = Host::new();
    let error = refused(&host, &with_lower(&host, "/", Path::new("/etc"))).await;
    assert_eq!(step_of(&error), Step::Layers, "the spawner has no tree of the host but those it was told");
    host.finish().await;
}

#[tokio::test]
async fn a_lower_on_a_file_or_under_a_link_is_refused() {
    let host = Host::new();
    for at in ["/etc/passwd", "/bin/tree"] {
        let mut spec = host.spec();
        spec.rootfs.lowers[1].at = at.into();
        host.runtime().create(&spec).await.unwrap();
        let error = host.runtime().start(&spec).await.unwrap_err();
        assert_eq!(step_of(&error), Step::Rootfs, "{at}");
    }
    host.finish().await;
}

#[tokio::test]
async fn limits_that_no_guest_can_live_in_fail_the_start() {
    let host = Host::new();
    let resources = Resources { memory_bytes: 1, ..host.spec().resources };
    let error = refused(&host, &RuntimeSpec { resources, ..host.spec() }).await;
    assert_eq!(step_of(&error), Step::Cgroup);
    host.finish().await;
}

#[tokio::test]
async fn a_ruined_disk_is_an_error_and_not_a_mount() {
    let host = Host::new();
    let spec = host.spec();
    host.runtime().create(&spec).await.unwrap();
    let disk = host.directory_of(spec.id).join("disk.ext4");
    std::fs::write(&disk, vec![0xff; 1 << 20]).unwrap();
    let error = host.runtime().start(&spec).await.unwrap_err();
    assert_eq!(step_of(&error), Step::Disk, "{error:?}");
    assert_eq!(host.traces().len(), 1);
    host.finish().await;
}

#[tokio::test]
async fn a_failed_start_can_be_tried_again_when_the_cause_is_gone() {
    let host = Host::new();
    std::fs::rename(host.image().join("dev"), host.image().join("away")).unwrap();
    std::os::unix::fs::symlink("away", host.image().join("dev")).unwrap();
    let spec = host.spec();
    refused(&host, &spec).await;
    std::fs::remove_file(host.image().join("dev")).unwrap();
    host.runtime().start(&spec).await.unwrap();
    host.ping(spec.id).await;
    assert_eq!(host.shell(spec.id, "cat /etc/hostname").await, "box\n");
    host.finish().await;
}

#[tokio::test]
async fn more_sandboxes_than_id_ranges_are_refused_by_name() {
    let mut host = Host::not_launched();
    host.limit_id_ranges(1);
    host.launch();
    let first = host.running().await;
    let second = host.spec();
    host.runtime().create(&second).await.unwrap();
    assert!(matches!(host.runtime().start(&second).await, Err(Error::LimitReached(Limit::IdRanges))));
    host.runtime().stop(first.id, std::time::Duration::ZERO).await.unwrap();
    host.runtime().start(&second).await.unwrap();
    host.finish().await;
}

#[tokio::test]
async fn a_full_host_disk_is_refused_by_name_before_anything_is_made() {
    let mut host = Host::not_launched();
    let _small = host.data_on_a_small_disk("tmpfs", 200 << 20);
    host.launch();
    let error = host.runtime().create(&host.spec()).await.unwrap_err();
    assert!(matches!(error, Error::LimitReached(Limit::HostDisk)), "{error:?}");
    host.finish().await;
}

#[tokio::test]
async fn a_network_is_refused_in_words() {
    let host = Host::new();
    let spec = RuntimeSpec { network: EgressPolicy::Internet, ..host.spec() };
    assert!(matches!(host.runtime().create(&spec).await, Err(Error::Unsupported { .. })));
    host.finish().await;
}

#[test]
fn a_host_without_the_directories_it_names_is_unfit_and_says_which() {
    let host = Host::not_launched();
    let mut config = host.config().clone();
    config.lower_roots = vec!["/no/such/root".into()];
    let error = NamespacesRuntime::launch(config).unwrap_err();
    assert!(error.to_string().contains("/no/such/root"), "{error}");
}
