//! Layers by a remote executor, and with a remote cache: the same bytes, and nothing made twice.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use xtask::bazel::{Bazel, Build};
use xtask::sid::Remote;

use crate::image::succeed;
use crate::scene::{MNEMONICS, Scene, assert_same, bazel, build, bytes};

/// What an executor needs; it is part of an action's key in the cache.
const PROPERTIES: &str = "--remote_default_exec_properties=OSFamily=linux";

/// Flags for a Bazel that has all our actions run by an executor.
fn by_executor(remote: &Remote) -> Vec<String> {
    let mut flags = vec![
        format!("--remote_executor={}", remote.address()),
        PROPERTIES.to_owned(),
        // Only our actions: the example's wheels are installed by this machine's Python.
        "--spawn_strategy=local".to_owned(),
        "--strategy=PyImageLayerValidate=remote".to_owned(),
        "--strategy=PyImage=remote".to_owned(),
    ];
    flags.extend(MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=remote")));
    flags
}

/// The runners of the actions of these kinds, each once.
fn runners<'a>(build: &'a Build, mnemonics: &[&str]) -> Vec<&'a str> {
    let own = build.actions.iter().filter(|action| mnemonics.contains(&&*action.mnemonic));
    let mut runners: Vec<&str> = own.map(|action| &*action.runner).collect();
    runners.sort_unstable();
    runners.dedup();
    runners
}

fn strings(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

#[test]
#[ignore = "needs Bazel: cargo xtask test remote"]
fn executors_and_caches_give_the_bytes_of_a_worker_and_spare_all_work() {
    let scene = Scene::example();
    scene.forget();
    let expected = bytes(&scene.build(&[]).layers);
    let expected_image = image(&scene.bazel, &[]);
    let mut remote = Remote::start().unwrap();

    let other = bazel(&scene.workspace).with_output_base("remote");
    other.clean().unwrap();
    let output_base = other.output_base().unwrap();
    drop(fs::remove_dir_all(output_base.join("pylayer")));
    let executed = build(&other, &strings(&by_executor(&remote)));
    assert_eq!(runners(&executed, &MNEMONICS), ["remote"], "{}", executed.said);
    assert_same(&bytes(&executed.layers), &expected, "by an executor");
    let download = ["--remote_download_all".to_owned()];
    let options = [by_executor(&remote), download.into()].concat();
    assert!(image(&other, &strings(&options)) == expected_image, "the image by an executor");

    // A machine that only shares the cache: what is made there is taken, and no package compressed.
    let cache = format!("--remote_cache={}", remote.address());
    other.clean().unwrap();
    let options = [&*cache, PROPERTIES, "--remote_download_all"];
    let cached = build(&other, &options);
    assert_eq!(runners(&cached, &MNEMONICS), ["remote cache hit"], "{}", cached.said);
    assert_same(&bytes(&cached.layers), &expected, "from a cache");

    // Merged and squashed layers can stay out of the cache: their parts are in it.
    other.clean().unwrap();
    let merged_here = "--modify_execution_info=^PyImage(Merged)?Layer$=+no-remote-cache";
    let mixed = build(&other, &[&*cache, PROPERTIES, merged_here]);
    assert_eq!(runners(&mixed, &["PyImageSegment", "PyImagePkgLayer"]), ["remote cache hit"]);
    assert_eq!(runners(&mixed, &["PyImageLayer", "PyImageMergedLayer"]), ["worker"]);
    assert_same(&bytes(&mixed.layers), &expected, "with merged layers made here");

    // Executors that keep workers alive want to know which inputs are the tool's.
    other.clean().unwrap();
    let marked = "--experimental_remote_mark_tool_inputs".to_owned();
    let marked = build(&other, &strings(&[by_executor(&remote), vec![marked]].concat()));
    assert_eq!(runners(&marked, &MNEMONICS), ["remote"], "{}", marked.said);
    assert_same(&bytes(&marked.layers), &expected, "with the tool's inputs marked");

    // The servers die in the middle of a build.
    other.clean().unwrap();
    let again = [by_executor(&remote), vec!["--noremote_accept_cached".to_owned()]].concat();
    thread::scope(|scope| {
        let build = scope.spawn(|| other.build("//:image", &strings(&again)).unwrap());
        // Once something that an executor has made is here.
        while !build.is_finished() && found(&output_base, "*.tar.gz").is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        remote.kill().unwrap();
        // Most likely it failed; whatever it left, the next build is right.
        drop(build.join().unwrap());
    });
    let recovered = build(&other, &[]);
    assert_same(&bytes(&recovered.layers), &expected, "after the servers died");
    assert_eq!(found(&output_base, ".pylayer-*"), "");
}

/// Builds the example's image; gives its index, which has the manifest's digest.
fn image(bazel: &Bazel, options: &[&str]) -> Vec<u8> {
    succeed(bazel.building("build").arg("//:webapi").args(options));
    fs::read(bazel.bin().unwrap().join("webapi/index.json")).unwrap()
}

/// The files of such names among a build's outputs.
fn found(output_base: &Path, pattern: &str) -> String {
    let mut find = Command::new("find");
    find.arg(output_base.join("execroot")).args(["-path", "*/bazel-out/*", "-name", pattern]);
    String::from_utf8(find.output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "needs Bazel: cargo xtask test remote"]
fn an_action_knows_neither_the_environment_nor_this_machine() {
    let scene = Scene::example();
    let mut query = scene.bazel.command("aquery");
    query.args([
        "--output=jsonproto",
        "--include_param_files",
        "mnemonic('PyImage.*', deps(//:image))",
    ]);
    let output = query.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let actions = answer["actions"].as_array().unwrap();
    assert!(actions.len() > MNEMONICS.len());
    let base = scene.bazel.output_base().unwrap();
    let own = [base.to_str().unwrap(), scene.workspace.to_str().unwrap()];
    for action in actions {
        assert!(action["environmentVariables"].is_null(), "{action}");
        for key in ["arguments", "paramFiles"] {
            let text = action[key].to_string();
            assert!(own.iter().all(|path| !text.contains(path)), "{text}");
        }
    }
}
