//! pylayer's own commands.
fn main() {}
