//! A Bazel persistent worker runtime.
