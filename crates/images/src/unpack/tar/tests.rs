//! Archives as real tools write them, and as nobody should.

use super::samples::{header, member};
use super::*;
use proptest::prelude::*;

fn read(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(archive);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut contents = Vec::new();
        reader.contents().read_to_end(&mut contents).map_err(TarError::Read)?;
        entries.push((entry, contents));
    }
    Ok(entries)
}

fn only(archive: &[u8]) -> Entry {
    let mut entries = read(archive).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0).0
}

#[test]
fn entries_come_with_their_contents_and_stop_at_the_end_marker() {
    let archive =
        [member(b"a", b'0', b"hello"), member(b"d/", b'0', b""), vec![0; 1024], member(b"b", b'0', b"later")]
            .concat();
    let entries = read(&archive).unwrap();
    let seen: Vec<_> = entries.iter().map(|(e, c)| (&e.name[..], e.kind, e.size, &c[..])).collect();
    assert_eq!(seen, [(&b"a"[..], Kind::File, 5, &b"hello"[..]), (b"d/", Kind::Directory, 0, b"")]);
    assert_eq!(entries[0].0.modified, Timespec { tv_sec: 7, tv_nsec: 0 });
}

#[test]
fn long_names_come_from_gnu_and_pax_headers() {
    let long = b"x/".repeat(300);
    let gnu =
        [member(b"././@LongLink", b'L', &[&long[..], b"\0"].concat()), member(b"cut", b'0', b"")].concat();
    assert_eq!(only(&gnu).name, long);
    let link = [member(b"././@LongLink", b'K', &long), member(b"l", b'2', b"")].concat();
    assert_eq!(only(&link).link, long);
    let record = format!("610 path={}\n", String::from_utf8_lossy(&long));
    let pax = [member(b"PaxHeaders", b'x', record.as_bytes()), member(b"cut", b'0', b"")].concat();
    assert_eq!(only(&pax).name, long);
}

#[test]
fn a_pax_size_moves_the_next_header_as_it_must() {
    // The file's own header says 0: a reader that believed it would take the contents for headers.
    let hidden = member(b"smuggled", b'0', b"");
    let pax = member(b"PaxHeaders", b'x', b"12 size=512\n");
    let archive =
        [&pax[..], header(b"file", b'0', 0).as_bytes(), &hidden, &member(b"next", b'0', b"")].concat();
    let entries = read(&archive).unwrap();
    let names: Vec<_> = entries.iter().map(|(entry, _)| &entry.name[..]).collect();
    assert_eq!(names, [&b"file"[..], b"next"]);
    assert_eq!(entries[0].1, hidden);
}

#[test]
fn an_archive_that_lies_is_refused() {
    let mut bad_sum = member(b"a", b'0', b"");
    bad_sum[0] = b'b';
    let mut huge = header(b"a", b'0', 0);
    huge.as_mut_bytes()[124..136].copy_from_slice(b"\x80\0\0\x01\0\0\0\0\0\0\0\0");
    huge.set_cksum();
    let mut bad_uid = header(b"a", b'0', 0);
    bad_uid.as_mut_bytes()[108..116].copy_from_slice(b"12345x\0\0");
    bad_uid.set_cksum();
    let pax = |records: &[u8]| member(b"PaxHeaders", b'x', records);
    let end = || vec![0; 1024];
    let cases: [(&str, Vec<u8>); 12] = [
        ("not a tar header: its checksum does not match", bad_sum),
        ("not a tar header: its checksum does not match", vec![b'x'; 512]),
        ("a header is malformed", huge.as_bytes().to_vec()),
        ("a header is malformed", bad_uid.as_bytes().to_vec()),
        ("the archive is cut short", member(b"a", b'0', b"hello")[..300].to_vec()),
        ("an entry that is not a file has 3 bytes of contents", member(b"a", b'5', b"xyz")),
        ("an entry that is not a file has 3 bytes of contents", member(b"a", b'1', b"xyz")),
        (
            "an extended header has 1048577 bytes; at most 1048576 are read",
            header(b"a", b'L', 1048577).as_bytes().to_vec(),
        ),
        ("an extended header describes no entry", [pax(b"9 uid=42\n"), end()].concat()),
        ("an entry has more than 8 extended headers", [pax(b"9 uid=42\n"), pax(b"9 uid=43\n")].concat()),
        ("an entry has more than 8 extended headers", member(b"g", b'g', b"").repeat(9)),
        ("an extended header is malformed", [pax(b"99 uid=42\n"), member(b"a", b'0', b"")].concat()),
    ];
    for (want, archive) in cases {
        assert_eq!(read(&archive).map_err(|error| error.to_string()), Err(want.to_owned()));
    }
    let cut = [header(b"a", b'0', 5).as_bytes().to_vec(), b"hel".to_vec()].concat();
    let Err(TarError::Read(error)) = read(&cut) else { panic!("a cut file was read") };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn kinds_that_unpack_to_something_else_are_told_apart() {
    for (kind, want) in [
        (b'\0', Kind::File),
        (b'1', Kind::HardLink),
        (b'2', Kind::Symlink),
        (b'3', Kind::Device),
        (b'4', Kind::Device),
        (b'6', Kind::Fifo),
        (b'S', Kind::Sparse),
        (b'M', Kind::Other(b'M')),
        (b'V', Kind::Other(b'V')),
    ] {
        assert_eq!(only(&member(b"a", kind, b"")).kind, want, "{}", char::from(kind));
    }
    let sparse = [member(b"p", b'x', b"22 GNU.sparse.major=1\n"), member(b"a", b'0', b"")].concat();
    assert_eq!(only(&sparse).kind, Kind::Sparse);
}

proptest! {
    #[test]
    fn any_bytes_end_in_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        drop(read(&bytes));
    }

    #[test]
    fn a_damaged_archive_never_yields_more_contents_than_it_has(
        at in 0usize..2048, byte in any::<u8>(), length in 0usize..2048,
    ) {
        let mut archive = [
            member(b"p", b'x', b"9 uid=42\n"), member(b"a", b'0', &[b'x'; 700]), member(b"b", b'2', b""), vec![0; 512],
        ].concat();
        let at = at.min(archive.len() - 1);
        archive[at] = byte;
        archive.truncate(length);
        if let Ok(entries) = read(&archive) {
            let total: usize = entries.iter().map(|(_, contents)| contents.len()).sum();
            prop_assert!(total <= archive.len());
        }
    }
}
