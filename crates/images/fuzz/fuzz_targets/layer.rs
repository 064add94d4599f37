//! Any bytes as two layers of an image, one on top of the other, written to a real directory.
//!
//! Every block gets a right checksum first, or almost nothing would come past it. Whatever the layers do, nothing
//! outside the tree may change and nothing in it may be what the unpacker promises to keep out.
//!
//! Plain tars are good seeds. Run from this folder on a stable compiler with
//! `cargo run --release --bin layer -- -max_total_time=60 -max_len=16384 corpus`, or with the address sanitizer by
//! `cargo +nightly fuzz run layer`.
#![no_main]

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use lazaret_images::unpack::layer::{Position, apply};
use lazaret_images::unpack::limits::{Budget, UnpackLimits};
use lazaret_images::unpack::tree::Tree;
use libfuzzer_sys::fuzz_target;

const BLOCK_BYTES: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;

const LIMITS: UnpackLimits = UnpackLimits {
    image_bytes: 1 << 20,
    file_bytes: 1 << 16,
    entries: 256,
    name_bytes: 1 << 16,
    layers: 2,
    disk_reserve_bytes: 0,
};

/// Makes every block pass for a header.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK_BYTES) {
        if block.iter().any(|byte| *byte != 0) {
            block[CHECKSUM].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

fn inspect(directory: &Path) {
    for entry in fs::read_dir(directory).expect("the tree can be listed") {
        let entry = entry.expect("the tree can be listed");
        let kind = entry.file_type().expect("an entry has a type");
        assert!(!kind.is_block_device() && !kind.is_char_device() && !kind.is_socket(), "{entry:?}");
        assert!(!entry.file_name().as_encoded_bytes().starts_with(b".wh."), "{entry:?}");
        if kind.is_dir() {
            inspect(&entry.path());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let work = tempfile::tempdir().expect("a directory can be made");
    let outside = work.path().join("outside");
    fs::write(&outside, "untouched").expect("a file can be written");
    let mut tree = Tree::create(work.path()).expect("a tree can be begun");
    let mut budget = Budget::new(LIMITS, OwnedFd::from(File::open(work.path()).expect("it is there")));
    let bytes = with_checksums(bytes);
    let (lower, upper) = bytes.split_at(bytes.len() / BLOCK_BYTES / 2 * BLOCK_BYTES);
    for (layer, position) in [(lower, Position::Lowest), (upper, Position::Above)] {
        // A refusal ends an import, but what was written before it must be as harmless.
        let _ = apply(layer, position, &mut tree, &mut budget, &mut |_| {});
    }
    assert!(budget.entries() <= LIMITS.entries + 1 + 200, "the last entry may imply its directories");
    inspect(&work.path().join("rootfs"));
    assert_eq!(fs::read(&outside).expect("it is still there"), b"untouched");
    assert_eq!(fs::read_dir(work.path()).expect("it can be listed").count(), 3);
});
