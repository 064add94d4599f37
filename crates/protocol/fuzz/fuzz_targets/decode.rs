//! Any bytes, in any pieces, through both decoders and every message.
//!
//! What decodes must encode again, and decode to the same: otherwise two releases would read one frame differently.
//!
//! Run from this folder on a stable compiler with `cargo run --release --bin decode -- -max_total_time=60 corpus`,
//! or with the address sanitizer by `cargo +nightly fuzz run decode`.
#![no_main]

use lazaret_protocol::limits::REQUEST_MAX;
use lazaret_protocol::{Decoder, Frame, GuestKind, GuestMessage, HEADER_BYTES, HostKind, HostMessage, Kind};
use libfuzzer_sys::fuzz_target;

fn feed<K: Kind>(first_cut: usize, bytes: &[u8], mut seen: impl FnMut(Frame<'_, K>)) {
    let mut decoder = Decoder::<K>::new();
    let (mut first, mut second) = bytes.split_at(first_cut.min(bytes.len()));
    for piece in [&mut first, &mut second] {
        loop {
            match decoder.next(piece) {
                Ok(Some(frame)) => seen(frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(decoder.reserved_bytes() <= HEADER_BYTES + REQUEST_MAX);
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    feed::<HostKind>(usize::from(cut), bytes, |frame| {
        let Ok(message) = HostMessage::decode(frame) else { return };
        let mut again = Vec::new();
        // Re-encoding may be longer than the input, which may have left out defaults, so it may not fit.
        if message.encode(&mut again).is_ok() {
            let mut rest = again.as_slice();
            let mut decoder = Decoder::<HostKind>::new();
            let frame = decoder.next(&mut rest).expect("own bytes are valid").expect("own bytes are whole");
            assert_eq!(HostMessage::decode(frame).expect("own bytes decode"), message);
        }
    });
    feed::<GuestKind>(usize::from(cut), bytes, |frame| {
        let Ok(message) = GuestMessage::decode(frame) else { return };
        let mut again = Vec::new();
        if message.encode(&mut again).is_ok() {
            let mut rest = again.as_slice();
            let mut decoder = Decoder::<GuestKind>::new();
            let frame = decoder.next(&mut rest).expect("own bytes are valid").expect("own bytes are whole");
            assert_eq!(GuestMessage::decode(frame).expect("own bytes decode"), message);
        }
    });
});
