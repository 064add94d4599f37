//! Messages survive the wire in any pieces, and garbage never does harm.

mod strategies;

use lazaret_protocol::limits::REQUEST_MAX;
use lazaret_protocol::{Decoder, GuestKind, GuestMessage, HEADER_BYTES, HostKind, HostMessage, Kind};
use proptest::collection::vec;
use proptest::prelude::*;

/// Feeds `bytes` in pieces of the given lengths and hands each frame to `seen`.
fn feed<K: Kind>(bytes: &[u8], cuts: &[usize], mut seen: impl FnMut(lazaret_protocol::Frame<'_, K>)) -> bool {
    let mut decoder = Decoder::<K>::new();
    let mut rest = bytes;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let cut = cuts.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(cut);
        rest = after;
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => seen(frame),
                Ok(None) => break,
                Err(_) => return false,
            }
            assert!(decoder.reserved_bytes() <= 2 * (HEADER_BYTES + REQUEST_MAX));
        }
        assert!(piece.is_empty(), "a decoder that wants more has taken everything");
    }
    decoder.is_between_frames()
}

proptest! {
    #[test]
    fn host_messages_survive_the_wire_in_any_pieces(
        messages in vec(strategies::host_message(), 1..6), cuts in vec(1_usize..200, 1..8)
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            message.encode(&mut bytes).expect("small messages fit");
        }
        let mut got = Vec::new();
        let whole = feed::<HostKind>(&bytes, &cuts, |frame| {
            // Re-encoded at once, because a message may borrow from its frame.
            let message = HostMessage::decode(frame).expect("what was encoded decodes");
            got.push(format!("{message:?}"));
        });
        prop_assert!(whole);
        prop_assert_eq!(got, messages.iter().map(|m| format!("{m:?}")).collect::<Vec<_>>());
    }

    #[test]
    fn guest_messages_survive_the_wire_in_any_pieces(
        messages in vec(strategies::guest_message(), 1..6), cuts in vec(1_usize..200, 1..8)
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            message.encode(&mut bytes).expect("small messages fit");
        }
        let mut got = Vec::new();
        let whole = feed::<GuestKind>(&bytes, &cuts, |frame| {
            let message = GuestMessage::decode(frame).expect("what was encoded decodes");
            got.push(format!("{message:?}"));
        });
        prop_assert!(whole);
        prop_assert_eq!(got, messages.iter().map(|m| format!("{m:?}")).collect::<Vec<_>>());
    }

    #[test]
    fn bulk_bytes_survive_the_wire_in_any_pieces(
        chunks in vec(vec(any::<u8>(), 0..5000), 1..6), cuts in vec(1_usize..4000, 1..8)
    ) {
        let mut bytes = Vec::new();
        for chunk in &chunks {
            GuestMessage::Stdout(chunk).encode(&mut bytes).expect("small chunks fit");
        }
        let mut got = Vec::new();
        prop_assert!(feed::<GuestKind>(&bytes, &cuts, |frame| got.push(frame.payload.to_vec())));
        prop_assert_eq!(got, chunks);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_reserve_more_than_a_frame(
        bytes in vec(any::<u8>(), 0..2000), cuts in vec(1_usize..300, 1..8)
    ) {
        let _ = feed::<HostKind>(&bytes, &cuts, |frame| drop(HostMessage::decode(frame)));
        let _ = feed::<GuestKind>(&bytes, &cuts, |frame| drop(GuestMessage::decode(frame)));
    }

    #[test]
    fn a_valid_header_before_arbitrary_bytes_never_panics(
        kind in any::<u8>(), payload in vec(any::<u8>(), 0..300)
    ) {
        let mut bytes = u32::try_from(payload.len()).expect("short").to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(payload);
        let _ = feed::<HostKind>(&bytes, &[7], |frame| drop(HostMessage::decode(frame)));
        let _ = feed::<GuestKind>(&bytes, &[7], |frame| drop(GuestMessage::decode(frame)));
    }

    #[test]
    fn a_flipped_bit_never_panics(
        message in strategies::guest_message(), at in any::<proptest::sample::Index>(), bit in 0_u8..8
    ) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("small messages fit");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = feed::<GuestKind>(&bytes, &[64], |frame| drop(GuestMessage::decode(frame)));
    }
}
