//! The command line of an action: any arguments, each ended by a NUL.

#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pylayer::cli::{Action, Invocation};
use pylayer::error::Error;

fn check(error: &Error) {
    // Nothing was read or written yet: it can only be what was asked for.
    assert!(matches!(error.fault().exit_code(), 1 | 2), "{error}");
    assert!(!error.to_string().is_empty());
}

fuzz_target!(|data: &[u8]| {
    let arguments: Vec<OsString> =
        data.split(|&byte| byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    // A file that is named by chance is not to be read.
    if arguments.iter().any(|word| word.as_encoded_bytes().starts_with(b"@")) {
        return;
    }
    if let Err(error) = Invocation::parse(arguments.clone()) {
        check(&error);
    }
    for base in ["", "sandbox/1"] {
        match Action::parse(arguments.clone(), Path::new(base)) {
            Ok(Action::Layer(request)) => {
                let targets = request.targets(Path::new(base));
                match (targets, request.into_spec(Path::new(base))) {
                    (Ok(alone), Ok((targets, _))) => assert_eq!(alone.blob, targets.blob),
                    (_, Err(error)) => check(&error),
                    (Err(error), Ok(_)) => panic!("{error}"),
                }
            }
            Ok(_) => {}
            Err(error) => check(&error),
        }
    }
});
