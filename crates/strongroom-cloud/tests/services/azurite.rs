//! Azure Blob Storage: Azurite, which keeps everything that Azure promises.

use std::sync::OnceLock;

use strongroom_testkit::conformance_tests;

use crate::server::Server;
use crate::{Settings, content_on, further_tests, node, place, settings};

/// The account that every emulator has, and its key, which is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Allows whoever has it to make containers, signed with that key.
const MAY_MAKE_CONTAINERS: &str =
    "sv=2018-11-09&ss=b&srt=c&sp=c&se=2099-01-01&sig=yMkpXC%2BHGFaPR%2BvhMoBrGotz%2FtXUda5Qn05h3jOd%2BVc%3D";

conformance_tests!(backend, async || place("az://test", reach()));
conformance_tests!(content, async || content_on(place("az://test", reach())));
further_tests!((async || place("az://test", reach())));

/// What a client needs to know; `None`, with a word on stderr, if there can't be a server.
pub fn reach() -> Option<Settings> {
    static AZURITE: OnceLock<Option<Server>> = OnceLock::new();
    let server = AZURITE.get_or_init(|| {
        let packages = node::packages()?;
        let command = |port: u16| {
            let mut command = node::command(&packages.join("azurite/dist/src/blob/main.js"));
            command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--silent"]);
            command.args(["--blobPort", &port.to_string()]);
            command
        };
        let container = format!("/{ACCOUNT}/test?restype=container&{MAY_MAKE_CONTAINERS}");
        Some(Server::start(command, &container))
    });
    let url = format!("{}/{ACCOUNT}", server.as_ref()?.url());
    Some(settings([
        ("azure_storage_account_name", ACCOUNT),
        ("azure_storage_account_key", KEY),
        ("azure_storage_endpoint", &url),
        ("azure_allow_http", "true"),
    ]))
}
