//! A server in this process.

use std::error::Error;
use std::net::SocketAddr;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves at the address, until the other value is dropped.
pub async fn serve<Answers, Content>(service: Answers) -> (SocketAddr, JoinSet<()>)
where
    Answers: Service<Request<Incoming>, Response = Response<Content>> + Clone + Send + 'static,
    Answers::Future: Send,
    Answers::Error: Into<Box<dyn Error + Send + Sync>>,
    Content: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // A client that goes away is no error of the server's.
            let connection = Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            connections.spawn(async { connection.await.unwrap_or_default() });
        }
    });
    (address, server)
}
