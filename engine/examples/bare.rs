//! The bare handler that `cargo xtask bench decision` compares the server with.
//!
//! It parses the same typed JSON as `POST /access/v1/evaluation` and answers a constant: no
//! middleware, no caller, no policy, no log. One thread; prints `listening on http://…`.

#![expect(clippy::print_stdout, reason = "the bench reads the address from standard output")]

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;

// The server's own allocator, so that the ratio is of the work and not of the allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Properties = HashMap<String, Value>;

#[derive(Deserialize)]
struct Evaluation {
    subject: Entity,
    action: Action,
    resource: Entity,
    context: Option<Properties>,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Action {
    name: String,
    properties: Option<Properties>,
}

#[derive(Serialize)]
struct Answer {
    decision: bool,
}

async fn evaluate(Json(question): Json<Evaluation>) -> Json<Answer> {
    // Seen by the optimiser as used, so that nothing of the parsing is left out.
    std::hint::black_box(&question.subject.kind);
    std::hint::black_box((&question.subject.id, &question.subject.properties));
    std::hint::black_box((&question.action.name, &question.action.properties));
    std::hint::black_box((&question.resource.kind, &question.resource.id, &question.resource.properties));
    std::hint::black_box(&question.context);
    Json(Answer { decision: true })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let routes = Router::new()
        .route("/access/v1/evaluation", post(evaluate))
        .route("/packs/{pack}/access/v1/evaluation", post(evaluate));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, routes).with_graceful_shutdown(terminated()).await
}

async fn terminated() {
    let stream = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match stream {
        Ok(mut stream) => drop(stream.recv().await),
        // Without the signal's stream the signal keeps its default: it ends the process.
        Err(_) => std::future::pending().await,
    }
}
