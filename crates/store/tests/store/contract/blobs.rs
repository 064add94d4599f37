use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use lazaret_core::{Body, Digest, Error, Limit, body_from_bytes, collect};

use super::OpenedBlobs;

/// SHA-256 of `abc`, from FIPS 180-2, appendix B.1.
const DIGEST_OF_ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

const MANY: u64 = 1 << 40;

/// How long something that must happen may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// `bytes` of no pattern that a misplaced chunk could hide in.
fn content(bytes: usize) -> Bytes {
    let mut state: u32 = 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

async fn read(opened: &OpenedBlobs, digest: &Digest, offset: u64, length: Option<u64>) -> Bytes {
    let body = opened.blobs.get(digest, offset, length).await.unwrap().expect("the blob is there");
    collect(body, MANY, Limit::UploadBytes).await.unwrap()
}

/// No blob, whole or in part.
async fn assert_nothing(opened: &OpenedBlobs) {
    assert_eq!(opened.blobs.list().await.unwrap(), []);
    assert_eq!((opened.partial)(), 0);
}

pub(crate) async fn a_body_reads_back_from_any_offset(opened: &OpenedBlobs) {
    let want = content(3_000_001);
    let stat = opened.blobs.put(body_from_bytes(want.clone()), MANY).await.unwrap();
    assert_eq!(stat.bytes, 3_000_001);
    for (offset, length, range) in [
        (0, None, 0..3_000_001),
        (0, Some(1), 0..1),
        (0, Some(0), 0..0),
        (1_048_575, Some(2), 1_048_575..1_048_577),
        (2_999_999, None, 2_999_999..3_000_001),
        (2_999_999, Some(u64::MAX), 2_999_999..3_000_001),
        (3_000_001, None, 0..0),
        (u64::MAX, Some(1), 0..0),
    ] {
        let got = read(opened, &stat.digest, offset, length).await;
        assert!(got == want[range], "offset {offset}, length {length:?}: {} bytes", got.len());
    }
}

pub(crate) async fn a_body_in_many_chunks_is_one_blob(opened: &OpenedBlobs) {
    let chunks = stream::iter(["", "a", "", "bc", ""]).map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
    let stat = opened.blobs.put(chunks.boxed(), MANY).await.unwrap();
    assert_eq!(stat.digest.to_string(), DIGEST_OF_ABC);

    // Chunks that never meet the edges of whatever the store reads and writes in.
    let want = content(4_000_003);
    let chunks: Vec<_> = want.chunks(4099).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let stat = opened.blobs.put(stream::iter(chunks).boxed(), MANY).await.unwrap();
    assert_eq!(read(opened, &stat.digest, 0, None).await, want);
}

pub(crate) async fn an_empty_body_is_a_blob(opened: &OpenedBlobs) {
    let stat = opened.blobs.put(stream::empty().boxed(), 0).await.unwrap();
    assert_eq!(stat.bytes, 0);
    assert_eq!(read(opened, &stat.digest, 0, None).await, Bytes::new());
}

pub(crate) async fn the_same_content_is_stored_once(opened: &OpenedBlobs) {
    let first = opened.blobs.put(body_from_bytes("abc"), MANY).await.unwrap();
    let second = opened.blobs.put(body_from_bytes("abc"), MANY).await.unwrap();
    let other = opened.blobs.put(body_from_bytes("abd"), MANY).await.unwrap();
    assert_eq!(first, second);
    let mut want = [first.digest, other.digest];
    want.sort();
    let mut listed = opened.blobs.list().await.unwrap();
    listed.sort();
    assert_eq!(listed, want);
}

pub(crate) async fn a_body_of_the_limit_is_taken_and_one_byte_more_leaves_nothing(opened: &OpenedBlobs) {
    for bytes in [1_usize, 1024 * 1024, 2_500_000] {
        let refused = opened.blobs.put(body_from_bytes(content(bytes)), bytes as u64 - 1).await;
        assert!(matches!(refused, Err(Error::LimitReached(Limit::UploadBytes))), "{refused:?}");
        assert_nothing(opened).await;
    }
    // A body without an end is refused as soon as it is too long.
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 65_536]))).boxed();
    let refused = opened.blobs.put(endless, 10_000_000).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::UploadBytes))), "{refused:?}");
    assert_nothing(opened).await;

    opened.blobs.put(body_from_bytes("abc"), 3).await.unwrap();
}

pub(crate) async fn a_body_that_fails_leaves_nothing(opened: &OpenedBlobs) {
    for good_bytes in [0, 10, 3_000_000] {
        let broken = || Err(Error::invalid("body", "the client went away"));
        let body: Body = stream::iter([Ok(content(good_bytes)), broken(), Ok(content(10))]).boxed();
        let failed = opened.blobs.put(body, MANY).await;
        assert!(matches!(failed, Err(Error::Invalid { field: "body", .. })), "{failed:?}");
        assert_nothing(opened).await;
    }
}

pub(crate) async fn a_put_whose_caller_goes_away_leaves_nothing(opened: &OpenedBlobs) {
    let blobs = Arc::clone(&opened.blobs);
    let (sent, mut begun) = tokio::sync::mpsc::channel(1);
    let endless_wait = stream::once(async move {
        // The chunk before was taken when this one is asked for.
        let _ = sent.send(()).await;
        std::future::pending().await
    });
    let body = stream::iter([Ok(content(3_000_000))]).chain(endless_wait).boxed();
    let put = tokio::spawn(async move { blobs.put(body, MANY).await });
    begun.recv().await.unwrap();
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    let gone = async {
        while (opened.partial)() != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("the file goes with its caller");
    assert_nothing(opened).await;
}

pub(crate) async fn a_removed_blob_is_gone_and_can_come_back(opened: &OpenedBlobs) {
    let stat = opened.blobs.put(body_from_bytes("abc"), MANY).await.unwrap();
    assert!(opened.blobs.remove(&stat.digest).await.unwrap());
    assert!(!opened.blobs.remove(&stat.digest).await.unwrap());
    assert!(opened.blobs.get(&stat.digest, 0, None).await.unwrap().is_none());
    assert_nothing(opened).await;
    opened.blobs.put(body_from_bytes("abc"), MANY).await.unwrap();
    assert_eq!(read(opened, &stat.digest, 1, None).await, "bc");
}

pub(crate) async fn a_reader_that_has_begun_outlives_the_removal(opened: &OpenedBlobs) {
    let want = content(2_000_000);
    let stat = opened.blobs.put(body_from_bytes(want.clone()), MANY).await.unwrap();
    let body = opened.blobs.get(&stat.digest, 0, None).await.unwrap().unwrap();
    opened.blobs.remove(&stat.digest).await.unwrap();
    assert_eq!(collect(body, MANY, Limit::UploadBytes).await.unwrap(), want);
}

pub(crate) async fn puts_of_one_content_at_once_all_succeed(opened: &OpenedBlobs) {
    let want = content(1_500_000);
    let puts = (0..8).map(|_| {
        let (blobs, want) = (Arc::clone(&opened.blobs), want.clone());
        tokio::spawn(async move { blobs.put(body_from_bytes(want), MANY).await.unwrap() })
    });
    let stats: Vec<_> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(opened.blobs.list().await.unwrap(), [stats[0].digest]);
    assert_eq!((opened.partial)(), 0);
    assert_eq!(read(opened, &stats[7].digest, 0, None).await, want);
}
