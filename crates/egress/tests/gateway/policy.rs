//! Policies that change under what is open.

use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use lazaret_core::ports::{Gateway, SandboxAddresses, Tenant};
use lazaret_core::{AccountId, EgressBounds, EgressPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{HOST_A, HOST_B, SANDBOX, World, id, list, read_to_end, soon, to};

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long a change takes is what is tested")]
async fn a_change_ends_what_it_refuses_and_opens_what_it_allows_within_a_second() {
    let world = World::with_list(&["a.example:9", "b.example:9"], &[]).await;
    world.name("a.example", &[HOST_A]);
    world.name("b.example", &[HOST_B]);
    let (a, b) = (world.host(HOST_A, 9).await, world.host(HOST_B, 9).await);
    for name in ["a.example.", "b.example."] {
        world.resolve(SANDBOX, name).await.unwrap();
    }
    let mut to_a = world.connect(SANDBOX, to(HOST_A, 9)).await;
    let mut to_b = world.connect(SANDBOX, to(HOST_B, 9)).await;
    let (mut at_a, _) = soon(a.accept()).await.unwrap();
    let (mut at_b, _) = soon(b.accept()).await.unwrap();

    let started = Instant::now();
    world.admit(SANDBOX, list(&["b.example:9", "c.example"], &[])).await;
    assert_eq!(read_to_end(&mut to_a).await, b"");
    assert_eq!(read_to_end(&mut at_a).await, b"");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    to_b.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    soon(at_b.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"still here");
    assert_eq!(world.resolve(SANDBOX, "a.example.").await, Err(ResponseCode::NXDomain));

    world.gateway.dismiss(id(SANDBOX)).await;
    assert_eq!(read_to_end(&mut to_b).await, b"");
    assert_eq!(world.gateway.usage(id(SANDBOX)).connections, 0);
}

#[tokio::test]
async fn everything_cannot_be_admitted_where_the_operator_bounds_the_names() {
    let bounds = EgressBounds { domains: Some(vec!["example.com".parse().unwrap()]), opened: Vec::new() };
    let world = World::bounded(bounds).await;
    world.name("example.com", &[HOST_A]);
    world.name("example.org", &[HOST_B]);
    let addresses = SandboxAddresses { v4: SANDBOX, v6: None };
    let account = AccountId::from_bytes([9; 16]);
    let tenant =
        Tenant { id: id(SANDBOX), account, addresses, policy: EgressPolicy::Internet, secrets: None };
    let error = world.gateway.admit(tenant).await.map_err(|error| error.to_string());
    let want = "network: this server allows chosen domains only; ask for an allowlist";
    assert_eq!(error, Err(want.to_owned()));
    // A list from before the bounds is what both allow.
    world.admit(SANDBOX, list(&["example.com", "example.org"], &[])).await;
    assert_eq!(world.resolve(SANDBOX, "example.com.").await, Ok(vec![HOST_A.into()]));
    assert_eq!(world.resolve(SANDBOX, "example.org.").await, Err(ResponseCode::NXDomain));
}
