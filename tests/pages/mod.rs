//! The pages for people: their commands run, their links lead somewhere, and none is too long.

mod commands;
mod links;
