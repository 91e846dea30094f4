//! What a store in a folder keeps when the power fails, processes are killed, and system calls fail: on real files, by what the
//! kernel was really asked.

mod action;
mod checks;
mod crowd;
mod disk;
mod fault;
mod full;
mod image;
mod kill;
mod others;
mod plug;
mod power;
mod recording;
mod strace;
mod trace;
mod worker;
