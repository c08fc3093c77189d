//! Messages as the worker reads them: the rules of `codec`, in whatever pieces they arrive.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::codec::MAX_FRAME;

/// A message: its number, whether it cancels, and the request or why it cannot be read.
type Seen = (i32, bool, Result<WorkRequest, String>);

/// What is read from `bytes`, which arrive in pieces of this length: number, cancel, and request or
/// what is wrong with it; and why there is no more.
fn read(
    protocol: Protocol,
    bytes: &[u8],
    piece: usize,
    limit: u64,
) -> (Vec<Seen>, Result<(), FrameError>) {
    let (mut to, from) = tokio::io::duplex(piece);
    let runtime = Builder::new_current_thread().build().unwrap();
    let sending = async move {
        // The reader may have given up.
        drop(tokio::io::AsyncWriteExt::write_all(&mut to, bytes).await);
    };
    let reading = async {
        let mut messages = Messages::new(from, protocol, limit);
        let mut read = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(Incoming { id, cancel, body })) => {
                    read.push((id, cancel, protocol.decode(&body)));
                }
                Ok(None) => return (read, Ok(())),
                Err(error) => return (read, Err(error)),
            }
        }
    };
    let (read, ()) = runtime.block_on(async { tokio::join!(reading, sending) });
    read
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_the_codec_reads_them(
        bytes in any::<Vec<u8>>(),
        piece in 1..50_usize,
    ) {
        let limit = 1 << 20;
        let (messages, end) = read(Protocol::Protobuf, &bytes, piece, limit);
        let mut input = &*bytes;
        for (id, cancel, message) in messages {
            let body = codec::read_frame(&mut input, limit).unwrap().unwrap();
            match WorkRequest::decode(&*body) {
                Ok(request) => {
                    prop_assert_eq!((request.request_id, request.cancel), (id, cancel));
                    prop_assert_eq!(message, Ok(request));
                }
                Err(error) => prop_assert_eq!(message, Err(error.to_string())),
            }
        }
        match (codec::read_frame(&mut input, limit), end) {
            (Ok(None), Ok(())) => {}
            (Ok(Some(body)), Err(FrameError::Malformed(_))) => {
                prop_assert!(WorkRequest::decode(&*body).is_err());
            }
            (Err(codec), Err(end)) => prop_assert_eq!(codec.to_string(), end.to_string()),
            (codec, end) => panic!("{codec:?}, {end:?}"),
        }
    }
}

#[test]
fn an_unreadable_field_costs_one_request() {
    // arguments = "\xff", request_id = 9; then the same as a cancel.
    let bytes = [5, 0x0a, 1, 0xff, 0x18, 9, 7, 0x0a, 1, 0xff, 0x18, 9, 0x20, 1];
    let (read, end) = read(Protocol::Protobuf, &bytes, 3, MAX_FRAME);
    assert!(matches!(&*read, [(9, false, Err(_)), (9, true, Err(_))]), "{read:?}");
    end.unwrap();
}

#[test]
fn a_body_that_is_no_message_is_an_error() {
    for body in [&[0xff_u8][..], &[0x0a, 5, b'x'], &[0x18], &[0x07], &[0x00, 0x00]] {
        let bytes = [&[u8::try_from(body.len()).unwrap()], body].concat();
        let (read, end) = read(Protocol::Protobuf, &bytes, 9, MAX_FRAME);
        assert!(read.is_empty() && matches!(end, Err(FrameError::Malformed(_))), "{body:?}");
    }
}

#[test]
fn what_follows_a_large_message_does_not_keep_its_memory() {
    let large = vec![0x0a; 1 << 20];
    let bytes = [&*WorkRequest::default().encode_length_delimited_to_vec(), &[0x80, 0x80, 0x40]];
    let mut bytes = [&bytes.concat()[..], &[0x3a, 0xfc, 0xff, 0x3f], &large[4..], &[0, 0]].concat();
    bytes.truncate(1 + 3 + (1 << 20) + 2);
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut messages = Messages::new(&*bytes, Protocol::Protobuf, MAX_FRAME);
    let sizes: Vec<usize> =
        (0..4).map(|_| runtime.block_on(messages.next()).unwrap().unwrap().body.len()).collect();
    assert_eq!(sizes, [0, 1 << 20, 0, 0]);
    assert!(messages.arrived.capacity() <= READ_BUFFER, "{}", messages.arrived.capacity());
}

#[test]
fn a_request_has_a_limit_of_arguments_and_inputs() {
    let most = codec::MAX_ITEMS;
    let (argument, input) = (b"\x0a\x00", b"\x12\x00");
    let body = [argument.repeat(most / 2), input.repeat(most - most / 2)].concat();
    let request = Protocol::Protobuf.decode(&body).unwrap();
    assert_eq!((request.arguments.len(), request.inputs.len()), (most / 2, most - most / 2));
    for one_more in [argument, input] {
        let error = Protocol::Protobuf.decode(&[&body[..], one_more].concat()).unwrap_err();
        assert_eq!(error, "its 2097153 arguments and inputs are more than 2097152");
    }
}

#[cfg(feature = "json")]
#[test]
fn a_request_in_json_has_the_same_limit() {
    let decode = |items: usize| {
        let list = vec!["{}"; items].join(",");
        Protocol::Json.decode(format!(r#"{{"inputs":[{list}],"arguments":["a"]}}"#).as_bytes())
    };
    assert_eq!(decode(1000).unwrap().inputs.len(), 1000);
    let error = decode(3 * codec::MAX_ITEMS).unwrap_err();
    assert!(error.contains("arguments and inputs are more than 2097152"), "{error}");
}
