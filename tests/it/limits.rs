//! What a caller may have of the server at once, each bound met by a client that wants more. `docs/limits.md` has all of them.

mod frames;
mod go;
mod seats;

use serde_json::json;

use crate::harness::in_process::{Settings, memory};
use crate::harness::tenancy::{World, an_organization, organizations, stored, user};
use bulward::http::limits::Allowance;
use bulward::http::listener::Limits;

/// A server with these bounds.
async fn world(limits: Allowance, connections: Limits) -> World {
    let settings = Settings {
        limits,
        connections,
        ..Settings::default()
    };
    World::with(memory().await, settings).await
}

/// Makes an Organization of alice's that is large, and with it every list of hers.
async fn large(world: &World, bytes: usize) {
    let mut body = an_organization("large", &[user("alice")]);
    body["metadata"]["annotations"] = json!({"padding": "x".repeat(bytes)});
    let body = crate::harness::tenancy::as_stored(body);
    world.admin.post(&stored(&organizations()), &body).await.expect(201);
}

/// The value of a metric; 0 where there is none of these labels.
async fn metric(world: &World, name: &str) -> f64 {
    let text = world.admin.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}
