//! Layers made by Bazel: the example's, and those of a workspace with odd names.
//!
//! These tests need Bazel, the network for the example's wheels, and the tools that
//! `cargo xtask test bazel` installs; so it is the one that runs them.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

mod chroot;
mod image;
mod json;
mod odd;
mod pages;
mod py_image;
mod rebuild;
mod remote;
mod rule_sets;
mod rules_img;
mod rules_python;
mod same_bytes;
mod scene;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod support;
mod toolchain;
mod worker;
