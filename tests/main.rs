//! Black-box tests: the `pylayer` binary, seen from outside.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

mod architecture;
mod bytes;
mod cache;
mod check;
mod command_line;
mod consumers;
mod determinism;
mod environment;
mod idle;
mod links;
mod meant;
mod memory;
mod observe;
mod promises;
mod refusals;
mod soak;
mod support;
mod wheels;
mod worker;
