use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::messages::Input;

/// Gives one byte a read, and is interrupted before each.
struct Drip<'a> {
    rest: &'a [u8],
    interrupted: bool,
}

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.rest.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

fn read_all(input: &mut impl Read) -> Result<Vec<WorkRequest>, FrameError> {
    let mut requests = Vec::new();
    while let Some(request) = read_request(input, MAX_FRAME)? {
        requests.push(request);
    }
    Ok(requests)
}

fn frames(requests: &[WorkRequest]) -> Vec<u8> {
    requests.iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

fn request() -> impl Strategy<Value = WorkRequest> {
    let input = (".*", any::<Vec<u8>>()).prop_map(|(path, digest)| Input { path, digest });
    (
        prop::collection::vec(".*", 0..4),
        prop::collection::vec(input, 0..4),
        any::<i32>(),
        any::<bool>(),
        any::<i32>(),
        ".*",
    )
        .prop_map(|(arguments, inputs, request_id, cancel, verbosity, sandbox_dir)| {
            WorkRequest { arguments, inputs, request_id, cancel, verbosity, sandbox_dir }
        })
}

/// `value` as a varint of at least `width` bytes.
fn varint(mut value: u64, width: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 && bytes.len() + 1 >= width {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

proptest! {
    #[test]
    fn requests_survive_the_wire(requests in prop::collection::vec(request(), 0..5)) {
        let bytes = frames(&requests);
        prop_assert_eq!(&read_all(&mut Cursor::new(&bytes)).unwrap(), &requests);
        let read = read_all(&mut Drip { rest: &bytes, interrupted: false }).unwrap();
        prop_assert_eq!(&read, &requests);
    }

    #[test]
    fn only_the_end_of_a_frame_is_a_clean_end(request in request()) {
        let bytes = frames(&[request]);
        for length in 1..bytes.len() {
            let error = read_all(&mut Cursor::new(&bytes[..length])).unwrap_err();
            prop_assert!(matches!(error, FrameError::Truncated { .. }), "{}: {}", length, error);
        }
        prop_assert!(read_all(&mut Cursor::new(&[])).unwrap().is_empty());
    }

    #[test]
    fn lengths_need_not_be_canonical(request in request(), width in 1..=10_usize) {
        let body = request.encode_to_vec();
        let mut bytes = varint(body.len() as u64, width);
        bytes.extend(&body);
        prop_assert_eq!(
            read_all(&mut Cursor::new(bytes)).unwrap(),
            vec![request],
        );
    }

    #[test]
    fn unknown_fields_are_skipped(request in request(), tag in 7..1000_u64, number in any::<u64>()) {
        let mut body = Vec::new();
        // Wire types 0, 1, 2 and 5: varint, 64 bits, bytes, 32 bits.
        body.extend(varint(tag << 3, 1));
        body.extend(varint(number, 1));
        body.extend(varint((tag << 3) | 1, 1));
        body.extend(number.to_le_bytes());
        body.extend(request.encode_to_vec());
        body.extend(varint((tag << 3) | 2, 1));
        body.extend([3, b'x', 0xff, 0]);
        body.extend(varint((tag << 3) | 5, 1));
        body.extend([1, 2, 3, 4]);
        prop_assert_eq!(WorkRequest::decode(&*body).unwrap(), request);
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in any::<Vec<u8>>()) {
        let mut input = Cursor::new(bytes);
        while let Ok(Some(_)) = read_request(&mut input, 1 << 20) {}
    }
}

#[test]
fn a_frame_of_length_0_is_a_request() {
    let requests = read_all(&mut Cursor::new([0, 0])).unwrap();
    assert_eq!(requests, vec![WorkRequest::default(); 2]);
}

#[test]
fn frames_above_the_limit_are_refused_unread() {
    let cases = [
        (varint(MAX_FRAME, 1), MAX_FRAME, false),
        (varint(MAX_FRAME + 1, 1), MAX_FRAME, true),
        (varint(u64::from(u32::MAX), 1), MAX_FRAME, true),
        (varint(u64::MAX, 1), MAX_FRAME, true),
        (varint(11, 10), 10, true),
        (varint(10, 10), 10, false),
    ];
    for (bytes, limit, too_large) in cases {
        let error = read_frame(&mut Cursor::new(&bytes), limit).unwrap_err();
        assert_eq!(matches!(error, FrameError::TooLarge { .. }), too_large, "{bytes:?}: {error}");
    }
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_claimed() {
    for arrived in [0_u16, 1, 1000] {
        let bytes = [varint(MAX_FRAME, 1), vec![7; arrived.into()]].concat();
        let error = read_frame(&mut &*bytes, MAX_FRAME).unwrap_err();
        let expected = u64::from(arrived);
        assert!(matches!(error, FrameError::Truncated { read, .. } if read == expected));
    }
    // What would have been allocated is more than this process may have.
    let error = read_frame(&mut &*varint(u64::MAX, 1), u64::MAX).unwrap_err();
    assert!(matches!(error, FrameError::Truncated { part: "body", read: 0 }), "{error}");
}

#[test]
fn a_length_is_at_most_64_bits() {
    for bytes in [[0xff; 11], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 0]] {
        let error = read_frame(&mut Cursor::new(bytes), MAX_FRAME).unwrap_err();
        assert!(matches!(error, FrameError::BadLength), "{error}");
    }
}

#[test]
fn a_response_is_one_write_and_a_flush() {
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>, usize);
    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1 += 1;
            Ok(())
        }
    }
    let mut calls = Calls::default();
    write_response(&mut calls, &WorkResponse::default()).unwrap();
    let response = WorkResponse { request_id: -1, ..WorkResponse::default() };
    write_response(&mut calls, &response).unwrap();
    let minus_one = [11, 0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    assert_eq!(calls.0, [vec![0], minus_one.to_vec()]);
    assert_eq!(calls.1, 2);
}
