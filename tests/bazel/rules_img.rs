//! Layers in an image of `rules_img`: a module with the same providers stands in for it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::image::succeed;
use crate::scene::Scene;
use crate::support::sha256sum;

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn rules_img_knows_layers_by_their_metadata() {
    let scene = Scene::copy("tests/bazel/rules_img", "rules_img");
    let mut build = scene.bazel.building("build");
    succeed(build.args(["//:image", "//:layers"]));
    let bin = scene.bazel.bin().unwrap();
    let read = |name: &str| fs::read_to_string(bin.join(name)).unwrap();
    let facts: Vec<Value> = serde_json::from_str(&read("image.facts.json")).unwrap();
    let told = serde_json::Deserializer::from_str(&read("image.manifest"))
        .into_iter::<Value>()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!((facts.len(), told.len()), (2, 2));
    for ((facts, told), media_type) in facts.iter().zip(&told).zip(["tar+zstd", "tar+gzip"]) {
        let execution_root = bin.ancestors().nth(3).unwrap();
        let blob = fs::read(execution_root.join(facts["blob"].as_str().unwrap())).unwrap();
        assert_eq!(told["digest"], sha256sum(&blob));
        assert_eq!(told["size"], blob.len());
        let mut pylayer = Command::new(crate::scene::worker());
        let path = execution_root.join(facts["blob"].as_str().unwrap());
        let inspected = succeed(pylayer.args(["inspect", "--json"]).arg(path)).stdout;
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(told["diff_id"], inspected["layers"][0]["diff_id"]);
        let media_type = format!("application/vnd.oci.image.layer.v1.{media_type}");
        assert_eq!(
            (&facts["media_type"], &told["mediaType"]),
            (&json!(media_type), &json!(media_type))
        );
        assert_eq!(facts["none"], json!([null, null, null, null, null]));
        assert_eq!(facts["rest"], json!([false, []]));
    }
}
