//! What a content store promises, tried on backends that fail, crash, forget and interfere.

mod collector;
mod crashes;
mod faults;
mod sessions;
mod steps;
mod support;
mod traps;
