//! Archives for tests, block by block, so that they can also be wrong.

/// A GNU header with these fields and the right checksum.
pub(crate) fn header(name: &[u8], kind: u8, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header.as_mut_bytes()[156] = kind;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    header.set_cksum();
    header
}

/// Header, contents and padding.
pub(crate) fn member(name: &[u8], kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, contents.len() as u64).as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A PAX header with these records.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let body = key.len() + value.len() + 3;
        // The length counts its own digits.
        let length =
            (1..).map(|digits| body + digits).find(|length| length.to_string().len() + body == *length);
        bytes.extend_from_slice(format!("{} {key}=", length.unwrap_or(0)).as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    member(b"PaxHeaders/x", b'x', &bytes)
}

/// A symlink or hard link.
pub(crate) fn link(name: &[u8], kind: u8, target: &[u8]) -> Vec<u8> {
    let mut header = header(name, kind, 0);
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A file with a mode and an owner.
pub(crate) fn owned(name: &[u8], mode: u32, uid: u64, gid: u64, contents: &[u8]) -> Vec<u8> {
    let mut header = header(name, b'0', contents.len() as u64);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
