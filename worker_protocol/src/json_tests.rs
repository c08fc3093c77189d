//! Tables of requests and responses; the streams are in `tests/json.rs`.

use super::*;

/// The first request: its number, whether it is a cancel, and the rest or what is wrong with it.
type Read = (i32, bool, Result<WorkRequest, String>);

fn read(text: impl AsRef<[u8]>) -> Result<Option<Read>, FrameError> {
    let mut arrived = BytesMut::from(text.as_ref());
    let body = Scanner::default().take(&mut arrived, 1 << 20)?;
    Ok(body.map(|body| {
        let (id, cancel) = route(&body);
        (id, cancel, decode(&body))
    }))
}

#[test]
fn requests_are_read_in_every_spelling() {
    let all = WorkRequest {
        arguments: vec!["a=b".to_owned(), "é".to_owned()],
        inputs: vec![Input { path: "p".to_owned(), digest: b"abc".to_vec() }],
        request_id: 7,
        cancel: false,
        verbosity: 10,
        sandbox_dir: "box".to_owned(),
    };
    for (text, request) in [
        ("{}", WorkRequest::default()),
        (
            r#"{"arguments":["a\u003db","é"],"inputs":[{"path":"p","digest":"YWJj"}],"requestId":7,
                "verbosity":10,"sandboxDir":"box"}"#,
            all.clone(),
        ),
        (
            r#"{"sandbox_dir":"box","unknown":{"deep":[1]},"verbosity":"10","requestId":1,
                "arguments":["a=b","\u00e9"],"inputs":[{"digest":"YWJj","x":1,"path":"p"}],
                "requestId":7}"#,
            all,
        ),
        (
            r#"{"arguments":null,"inputs":null,"requestId":null,"sandboxDir":null}"#,
            WorkRequest::default(),
        ),
    ] {
        let expected = (request.request_id, false, Ok(request));
        assert_eq!(read(text).unwrap(), Some(expected), "{text}");
    }
}

#[test]
fn a_cancel_is_heard_whatever_else_is_said() {
    let read =
        read(r#"{"requestId":-3,"cancel":true,"arguments":17,"inputs":[{"path":"\ud800"}]}"#);
    assert!(matches!(read, Ok(Some((-3, true, Err(_))))), "{read:?}");
}

#[test]
fn an_unknown_field_may_be_of_any_depth() {
    for depth in [100, 200, 100_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"{{"requestId":5,"future":{open}{close},"arguments":["a"]}}"#);
        let Some((5, false, Ok(request))) = read(text).unwrap() else { panic!("{depth}") };
        assert_eq!(request.arguments, ["a"]);
    }
}

#[test]
fn a_request_that_cannot_be_understood_costs_itself() {
    for (fields, said) in [
        (r#""arguments":"x""#, "no list"),
        (r#""arguments":[1]"#, "1 is no text"),
        (r#""inputs":[1]"#, "no object"),
        (r#""inputs":[{"digest":"!"}]"#, "Base64"),
        (r#""verbosity":3000000000"#, "32 bits"),
        (r#""verbosity":1e400"#, "out of range"),
        (r#""verbosity":1.5"#, "32 bits"),
        (r#""sandboxDir":[]"#, "no text"),
        (r#""cancel":"true""#, "neither true nor false"),
        (r#""arguments":["\ud800"]"#, "escape"),
        (r#""arguments":["\x"]"#, "escape"),
        (r#""arguments":[,]"#, "expected"),
    ] {
        let text = format!(r#"{{"requestId":4,{fields}}}"#);
        match read(&text) {
            Ok(Some((4, false, Err(reason)))) => assert!(reason.contains(said), "{reason}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let read = read(b"{\"arguments\":[\"\xff\"],\"requestId\":4}");
    assert!(matches!(read, Ok(Some((4, false, Err(_))))), "{read:?}");
}

#[test]
fn a_number_that_cannot_be_read_is_0() {
    for (id, number, fine) in [
        ("5.0", 5, true),
        ("5e0", 5, true),
        ("\"5\"", 5, true),
        ("-0.0", 0, true),
        ("null", 0, true),
        ("2147483648", 0, false),
        ("{}", 0, false),
        ("\"x\"", 0, false),
    ] {
        let (read, cancel, request) = read(format!(r#"{{"requestId":{id}}}"#)).unwrap().unwrap();
        assert_eq!((read, cancel, request.is_ok()), (number, false, fine), "{id}");
    }
}

#[test]
fn what_is_no_object_ends_the_input() {
    for text in ["[]", "7", "junk", "\"\"", "}"] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("no object"), "{text}: {error}");
    }
    for text in ["{", r#"{"a":"#, r#"{"a":"}"#, r#"{"a":"\"}"#, " \n", "\0", "\u{feff}"] {
        assert_eq!(read(text).unwrap(), None, "{text}");
    }
}

#[test]
fn objects_follow_each_other_and_may_be_anywhere_in_the_stream() {
    let text = "\u{feff}{\"requestId\":1}{\"requestId\":2,\"x\":\"}\\\"]\"}\0\n {\"a\":[{}],\"requestId\":3} ";
    let (mut scanner, mut arrived, mut read) = (Scanner::default(), BytesMut::new(), vec![]);
    for byte in text.bytes() {
        arrived.extend([byte]);
        if let Some(body) = scanner.take(&mut arrived, 100).unwrap() {
            read.push(route(&body).0);
        }
    }
    assert_eq!(read, [1, 2, 3]);
}

#[test]
fn each_request_has_the_limit_for_itself() {
    let request = format!(r#"{{"arguments":["{}"]}}"#, "x".repeat(600));
    let read = |mut arrived: BytesMut| Scanner::default().take(&mut arrived, 700);
    assert!(read(BytesMut::from(&*request.repeat(3))).unwrap().is_some());
    let error = read(BytesMut::from(&*format!("{{\"a\":\"{}", "x".repeat(700)))).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
}

#[test]
fn responses_are_lines_that_bazel_reads() {
    let mut response = WorkResponse {
        exit_code: 1,
        output: "a\n\"é\"".to_owned(),
        request_id: 3,
        was_cancelled: false,
    };
    let text = String::from_utf8(encode(&response)).unwrap();
    assert_eq!(text, "{\"exitCode\":1,\"output\":\"a\\n\\\"é\\\"\",\"requestId\":3}\n");
    response.was_cancelled = true;
    assert!(String::from_utf8(encode(&response)).unwrap().contains("\"wasCancelled\":true"));
}
