//! What a content store promises, tried on backends that fail, crash, forget and interfere.

mod cache;
mod collector;
mod content;
mod crashes;
mod damage;
mod digests;
mod faults;
mod folding;
mod found;
mod healing;
mod index;
mod lagging;
mod large;
mod lists;
mod local;
mod many;
mod merging;
mod names;
mod opening;
mod requests;
mod sessions;
mod sharing;
mod steps;
mod support;
mod together;
mod traps;
