//! The header of a gzip member (RFC 1952, 2.3).

/// The longest header that is looked at, in bytes.
pub(super) const LONGEST: usize = 4096;

/// What a place in a member's header is, and what it says; none beyond the header.
pub(super) fn header_field(start: &[u8], at: u64) -> Option<(&'static str, String)> {
    let at = usize::try_from(at).ok()?;
    let fixed = start.get(..10)?;
    let number = |byte: u8| byte.to_string();
    match at {
        0..2 => return Some(("magic", format!("{:02x}{:02x}", fixed[0], fixed[1]))),
        2 => return Some(("method", number(fixed[2]))),
        3 => return Some(("flags", number(fixed[3]))),
        4..8 => {
            let seconds = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
            return Some(("mtime", seconds.to_string()));
        }
        8 => return Some(("extra flags (the level)", number(fixed[8]))),
        9 => return Some(("operating system", number(fixed[9]))),
        _ => {}
    }
    let flags = fixed[3];
    let mut begin = 10;
    if flags & 4 != 0 {
        let length = start.get(begin..begin + 2)?;
        let end = begin + 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
        if at < end {
            return Some(("extra field", String::new()));
        }
        begin = end;
    }
    for (flag, name) in [(8, "file name"), (16, "comment")] {
        if flags & flag != 0 {
            let text = start.get(begin..)?;
            let length = text.iter().position(|&byte| byte == 0)?;
            if at <= begin + length {
                return Some((name, crate::archive::show(&text[..length])));
            }
            begin += length + 1;
        }
    }
    (flags & 2 != 0 && at < begin + 2).then(|| ("header checksum", String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_place() {
        let plain = [0x1f, 0x8b, 8, 0, 1, 0, 0, 0, 2, 3];
        let named = [&[0x1f, 0x8b, 8, 8][..], &[0; 6], b"a.tar\0data"].concat();
        let extra = [&[0x1f, 0x8b, 8, 4 | 2][..], &[0; 6], &[2, 0, 7, 7, 1, 1], b"data"].concat();
        for (start, at, expected) in [
            (&plain[..], 0, Some(("magic", "1f8b"))),
            (&plain, 5, Some(("mtime", "1"))),
            (&plain, 8, Some(("extra flags (the level)", "2"))),
            (&plain, 9, Some(("operating system", "3"))),
            (&plain, 10, None),
            (&named, 10, Some(("file name", "a.tar"))),
            (&named, 15, Some(("file name", "a.tar"))),
            (&named, 16, None),
            (&extra, 13, Some(("extra field", ""))),
            (&extra, 15, Some(("header checksum", ""))),
            (&extra, 16, None),
            (&plain[..4], 3, None),
        ] {
            let found = header_field(start, at);
            let found = found.as_ref().map(|(name, value)| (*name, &**value));
            assert_eq!(found, expected, "{at}");
        }
    }
}
