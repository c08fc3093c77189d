//! Tables of requests and responses; the streams are in `tests/json.rs`.

use super::*;

fn read(text: &str) -> Result<Option<Incoming>, FrameError> {
    requests(text.as_bytes(), 1 << 20)()
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
            r#"{"requestId":-3,"cancel":true,"arguments":17}"#,
            WorkRequest { request_id: -3, cancel: true, ..WorkRequest::default() },
        ),
        (
            r#"{"arguments":null,"inputs":null,"requestId":null,"sandboxDir":null}"#,
            WorkRequest::default(),
        ),
    ] {
        assert_eq!(read(text).unwrap(), Some(Incoming::Request(request)), "{text}");
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
        (r#""sandboxDir":[]"#, "no text"),
    ] {
        match read(&format!(r#"{{{fields},"requestId":4}}"#)) {
            Ok(Some(Incoming::Unreadable { request_id: 4, reason })) => {
                assert!(reason.contains(said), "{fields}: {reason}");
            }
            other => panic!("{fields}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_request_ends_the_input() {
    for (text, said) in [
        ("[]", "no object"),
        ("7", "no object"),
        ("{", "ended inside"),
        (r#"{"a":"#, "ended inside"),
        (r#"{"requestId":{}}"#, "32 bits"),
        (r#"{"arguments":["\ud800"]}"#, "escape"),
        ("junk", "expected"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    assert_eq!(read(" \n").unwrap(), None);
}

#[test]
fn each_request_has_the_limit_for_itself() {
    let request = format!(r#"{{"arguments":["{}"]}}"#, "x".repeat(600));
    let text = request.repeat(3);
    let mut within = requests(text.as_bytes(), 2000);
    for _ in 0..3 {
        assert!(matches!(within(), Ok(Some(Incoming::Request(_)))));
    }
    assert!(matches!(within(), Ok(None)));
    let error = requests(text.as_bytes(), 300)().unwrap_err().to_string();
    assert!(error.contains("limit"), "{error}");
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
