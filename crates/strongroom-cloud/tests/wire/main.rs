//! What gets lost, cut or doubled between a client and a real S3 server, and what the backend and a content store make of it.

mod fault;
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
