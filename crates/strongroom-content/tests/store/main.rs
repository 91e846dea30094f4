//! What a content store promises, tried on backends that fail, crash, forget and interfere.

mod collector;
mod crashes;
mod faults;
mod steps;
mod support;
