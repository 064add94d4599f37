//! Many sandboxes, at once and one after another: all of them work, and nothing adds up.

mod support;

use futures_util::future::join_all;
use lazaret_core::ports::Runtime as _;
use support::Host;

/// Sandboxes at the same time; every one is made, used and removed by a task of its own.
const AT_ONCE: usize = 40;

/// Rounds of one sandbox after another; what leaks once a round shows.
const ROUNDS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_all_work_and_are_gone_together() {
    let host = Host::new();
    join_all((0..AT_ONCE).map(|_| async {
        let spec = host.running().await;
        assert_eq!(host.shell(spec.id, "echo $((6 * 7))").await, "42\n");
        host.runtime().delete(spec.id).await.unwrap();
    }))
    .await;
    assert_eq!(host.traces(), Vec::<String>::new());
    host.finish().await;
}

#[tokio::test]
async fn descriptors_of_server_and_spawner_do_not_add_up() {
    let host = Host::new();
    let round = async || {
        let spec = host.running().await;
        host.ping(spec.id).await;
        host.runtime().stop(spec.id, std::time::Duration::ZERO).await.unwrap();
        host.runtime().start(&spec).await.unwrap();
        host.runtime().delete(spec.id).await.unwrap();
    };
    round().await;
    let before = host.descriptors();
    for _ in 0..ROUNDS {
        round().await;
    }
    assert_eq!(host.descriptors(), before);
    host.finish().await;
}
