//! Black-box tests: the `pylayer` binary, seen from outside.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

mod architecture;
mod bytes;
mod cache;
mod check;
mod command_line;
mod consumers;
mod determinism;
mod diff;
mod differential;
mod environment;
mod idle;
mod image;
mod inspect;
mod links;
mod meant;
mod memory;
mod messages;
mod observe;
mod pages;
mod promises;
mod refusals;
mod report;
mod segments;
mod shapes;
mod soak;
mod streams;
mod support;
mod wheels;
mod worker;
