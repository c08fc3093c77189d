//! Params files: a file of any bytes is read as its lines are.

#![no_main]

use std::cell::LazyCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pylayer::cli::Action;

thread_local! {
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().unwrap());
}

fuzz_target!(|data: &[u8]| {
    let folder = FOLDER.with(|folder| folder.path().to_owned());
    std::fs::write(folder.join("params"), data).unwrap();
    let from_file = Action::parse(vec![OsString::from("@params")], &folder);
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    lines.pop_if(|line| line.is_empty());
    // An argument that names a params file stands alone, and a params file names no other.
    if lines.len() == 1 && lines[0].starts_with(b"@") || lines.iter().any(|line| line.contains(&0))
    {
        return;
    }
    let arguments = lines.into_iter().map(|line| OsString::from_vec(line.to_vec())).collect();
    let given = Action::parse(arguments, Path::new(&folder));
    match (from_file, given) {
        (Ok(from_file), Ok(given)) => assert_eq!(format!("{from_file:?}"), format!("{given:?}")),
        (Err(from_file), Err(given)) => {
            assert_eq!(from_file.fault().exit_code(), given.fault().exit_code());
        }
        (from_file, given) => panic!("{from_file:?} from the file, {given:?} from the arguments"),
    }
});
