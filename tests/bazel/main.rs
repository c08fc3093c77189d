//! Bazel.
