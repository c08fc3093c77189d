//! The page about the rules, from the documentation in the `.bzl` files.

use std::fs;

use prost::Message as _;

use super::starlark::{Module, Rule};
use crate::bazel::Bazel;
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};

const HEAD: &str = "\
# Rules

<!-- Written by `cargo xtask docs` from py/defs.bzl. -->

The rules and providers of `@pylayer//py:defs.bzl`.
";

const HEAD_OF_WORKER: &str = "\
# Rules for the worker

<!-- Written by `cargo xtask docs` from py/extensions.bzl and py/toolchain.bzl. -->

[Choose the worker and its flags](../how-to/worker.md) says when you need these.
";

/// The page about `//py:defs.bzl`.
pub(super) fn page(project: &Project) -> Result<String> {
    write(project, HEAD, &["defs"])
}

/// The page about what brings the worker.
pub(super) fn page_of_worker(project: &Project) -> Result<String> {
    write(project, HEAD_OF_WORKER, &["extensions", "toolchain"])
}

fn write(project: &Project, head: &str, files: &[&str]) -> Result<String> {
    // No layer is made here; a worker is named so that Bazel builds none.
    let worker = project.worker()?;
    let bazel = Bazel::new(&project.root, &project.folder("bazel-rules")?, &worker)?;
    let targets = files.iter().map(|name| format!("//py/tests/reference:{name}"));
    let mut build = bazel.building("build");
    build.args(targets).arg("--show_result=0");
    let output = shell::output(&mut build)?;
    if !output.status.success() {
        return Err(failure(String::from_utf8_lossy(&output.stderr)));
    }
    let folder = bazel.bin()?;
    let mut page = head.to_owned();
    for name in files {
        let path = folder.join(format!("py/tests/reference/{name}.binaryproto"));
        let bytes = fs::read(&path).context(path.display())?;
        let module = Module::decode(&*bytes).context(path.display())?;
        page += &section(name, &module)?;
    }
    Ok(page)
}

/// What a file has.
fn section(name: &str, module: &Module) -> Result<String> {
    let mut text = format!("\n## @pylayer//py:{name}.bzl\n\n{}\n", module.doc.trim());
    for function in &module.functions {
        text += &heading(&function.name, &function.doc)?;
        let rows = function.parameters.iter().map(|parameter| {
            let default = default(parameter.mandatory, &parameter.default);
            let stars = if parameter.name == "kwargs" { "**" } else { "" };
            let doc = cell(&parameter.name, &parameter.doc)?;
            Ok(format!("| `{stars}{}` | {default} | {doc} |\n", parameter.name))
        });
        text += &table("| Argument | Default | Meaning |\n| --- | --- | --- |\n", rows)?;
    }
    for rule in &module.rules {
        text += &heading(&rule.name, &rule.doc)?;
        text += &attributes(rule)?;
    }
    for extension in &module.extensions {
        text += &heading(&extension.name, &extension.doc)?;
        for tag in &extension.tags {
            text += &heading(&format!("{}.{}", extension.name, tag.name), &tag.doc)?;
            text += &attributes(tag)?;
        }
    }
    for provider in &module.providers {
        text += &heading(&provider.name, &provider.doc)?;
        let rows = provider.fields.iter().map(|field| {
            Ok(format!("| `{}` | {} |\n", field.name, cell(&field.name, &field.doc)?))
        });
        text += &table("| Field | Value |\n| --- | --- |\n", rows)?;
    }
    Ok(text)
}

fn heading(name: &str, doc: &str) -> Result<String> {
    if doc.trim().is_empty() {
        return Err(failure(format!("`{name}` has no documentation")));
    }
    Ok(format!("\n### {name}\n\n{}\n", doc.trim()))
}

fn attributes(rule: &Rule) -> Result<String> {
    let rows = rule.attributes.iter().map(|attribute| {
        let default = default(attribute.mandatory, &attribute.default);
        let doc = cell(&attribute.name, &attribute.doc)?;
        Ok(format!("| `{}` | {} | {default} | {doc} |\n", attribute.name, attribute.kind()))
    });
    table("| Attribute | Type | Default | Meaning |\n| --- | --- | --- | --- |\n", rows)
}

fn table(head: &str, rows: impl Iterator<Item = Result<String>>) -> Result<String> {
    let rows: String = rows.collect::<Result<_>>()?;
    Ok(format!("\n{head}{rows}"))
}

fn default(mandatory: bool, default: &str) -> String {
    match (mandatory, default) {
        (true, _) => "required".to_owned(),
        (false, "" | "None") => String::new(),
        (false, default) => format!("`{default}`"),
    }
}

/// A text in a cell of a table: paragraphs stay apart, lines do not.
fn cell(name: &str, doc: &str) -> Result<String> {
    if doc.trim().is_empty() {
        return Err(failure(format!("`{name}` has no documentation")));
    }
    let paragraphs = doc.trim().split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ").replace('|', "\\|")
    });
    let text = paragraphs.collect::<Vec<_>>().join("<br><br>");
    // The style of Starlark's `Args:` has them begin with a small letter.
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    Ok(first.to_uppercase() + rest)
}
