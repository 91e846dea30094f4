//! What gets lost, cut or doubled between a client and a real S3 server, and what the backend and a content store make of it.
//!
//! What goes by chance runs again by `STRONGROOM_SEED=<seed> cargo test -p strongroom-cloud --test wire`, more seeds by
//! `STRONGROOM_WIRE=<how many>`. When exactly a request comes is up to the machine.

mod commits;
mod fault;
mod history;
mod http;
mod large;
mod matrix;
#[path = "../services/moto.rs"]
mod moto;
mod proxy;
#[path = "../../../../tests/python/mod.rs"]
mod python;
mod scripts;
#[path = "../services/server.rs"]
mod server;
mod support;
mod writers;
