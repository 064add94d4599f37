//! What a start costs, step by step: create, start, first answer of the guest, delete.
//!
//! `cargo bench -p lazaret-runtime --bench start`, as root.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use lazaret_core::EgressPolicy;
use lazaret_core::ports::{Runtime as _, RuntimeSpec};
use lazaret_runtime::NetworkConfig;
use support::Host;
use support::world::World;

/// Sandboxes made one after another; enough for a median and a 95th percentile.
const ROUNDS: usize = 100;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn main() {
    let _world = World::enter();
    let mut host = Host::not_launched();
    host.set_network(NetworkConfig::default());
    host.launch();
    let mut samples: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let spec = host.spec();
        let mut last = std::time::Instant::now();
        let mut lap = |name, samples: &mut BTreeMap<_, Vec<u64>>| {
            samples.entry(name).or_default().push(u64::try_from(last.elapsed().as_micros()).unwrap());
            last = std::time::Instant::now();
        };
        host.runtime().create(&spec).await.unwrap();
        lap("1 create: disk and record", &mut samples);
        host.runtime().start(&spec).await.unwrap();
        lap("2 start", &mut samples);
        host.ping(spec.id).await;
        lap("3 first answer of the guest", &mut samples);
        let times = host.runtime().start_times(spec.id).unwrap();
        host.runtime().delete(spec.id).await.unwrap();
        lap("4 delete", &mut samples);
        for (name, value) in [
            ("2a disk: lock, loop device, mount", times.disk_us),
            ("2b cgroup", times.cgroup_us),
            ("2c clone3", times.clone_us),
            ("2d ids, layers, record", times.layers_us),
            ("2f child until the guest runs", times.child_us),
            ("2g spawner in all", times.total_us),
        ] {
            samples.entry(name).or_default().push(value);
        }

        let spec = RuntimeSpec { network: EgressPolicy::Internet, ..host.spec() };
        host.runtime().create(&spec).await.unwrap();
        let began = std::time::Instant::now();
        host.runtime().start(&spec).await.unwrap();
        let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap();
        samples.entry("2 start, with a network").or_default().push(elapsed);
        let network_us = host.runtime().start_times(spec.id).unwrap().network_us;
        samples.entry("2e network, for one that has it").or_default().push(network_us);
        let began = std::time::Instant::now();
        host.runtime().delete(spec.id).await.unwrap();
        let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap();
        samples.entry("4 delete, with a network").or_default().push(elapsed);
    }
    let began = std::time::Instant::now();
    let at_once = join_all((0..ROUNDS).map(|_| async {
        let spec = host.running().await;
        host.ping(spec.id).await;
        (spec.id, u64::try_from(began.elapsed().as_micros()).unwrap())
    }));
    for (id, elapsed) in at_once.await {
        host.runtime().delete(id).await.unwrap();
        samples.entry("5 all at once, to the first answer").or_default().push(elapsed);
    }
    println!("{:<36} {:>8} {:>8}   µs, {ROUNDS} rounds", "", "p50", "p95");
    for (name, mut values) in samples {
        values.sort_unstable();
        println!("{name:<36} {:>8} {:>8}", values[ROUNDS / 2], values[ROUNDS * 95 / 100]);
    }
}
