//! Random writes by an administrator, through any of several servers on one storage.

use http::{Method, Request};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::super::{SOON, STORAGE, ask, subjects};
use crate::harness::eventually;

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const NAMESPACES: [&str; 2] = ["convergence-a", "convergence-b"];
const NAMES: u32 = 8;

/// The objects that everything happens to: a few names, which come and go.
pub(super) struct World {
    rng: StdRng,
    /// A client of each server, past the aggregator.
    servers: Vec<kube::Client>,
    serial: u64,
}

impl World {
    pub(super) fn new(servers: Vec<kube::Client>) -> World {
        let seed = rand::rng().random();
        println!("random writes with seed {seed}");
        World {
            rng: StdRng::seed_from_u64(seed),
            servers,
            serial: 0,
        }
    }

    /// Makes one object each that random writes leave alone, so that nobody's list is ever empty.
    pub(super) async fn populate(&mut self) {
        self.create(0, "organizations", "always", &["alice", "bob"]).await;
        let place = format!("namespaces/{}/projects", NAMESPACES[0]);
        self.create(0, &place, "always", &["alice", "bob"]).await;
    }

    /// Creates an object, which has to succeed.
    pub(super) async fn create(&mut self, server: usize, place: &str, name: &str, owners: &[&str]) {
        self.surely(server, Method::POST, place, &body(place, name, owners))
            .await;
    }

    /// Replaces `status.members`, which has to succeed.
    pub(super) async fn members(&mut self, server: usize, path: &str, members: &[&str]) {
        let change = json!({"status": {"members": subjects(members)}});
        self.surely(server, Method::PATCH, &format!("{path}/status"), &change)
            .await;
    }

    /// Changes a label, which has to succeed.
    pub(super) async fn label(&mut self, server: usize, path: &str) {
        self.serial += 1;
        let change = json!({"metadata": {"labels": {"serial": self.serial.to_string()}}});
        self.surely(server, Method::PATCH, path, &change).await;
    }

    /// `count` writes of whatever kind through one of `servers`, one after the other; answers how many changed something.
    /// A server may be away.
    pub(super) async fn random(&mut self, count: usize, servers: &[usize]) -> usize {
        let mut done = 0;
        for _ in 0..count {
            let server = servers[self.rng.random_range(0..servers.len())];
            let (method, path, body) = self.invent();
            if self
                .send(server, method, &path, &body)
                .await
                .is_ok_and(|code| code < 300)
            {
                done += 1;
            }
        }
        done
    }

    fn invent(&mut self) -> (Method, String, Value) {
        let number = self.rng.random_range(0..NAMES);
        let place = match self.rng.random_range(0..3) {
            0 | 1 => "organizations".to_owned(),
            _ => format!("namespaces/{}/projects", NAMESPACES[self.rng.random_range(0..2)]),
        };
        let name = format!("r{number}");
        let path = format!("{place}/{name}");
        self.serial += 1;
        match self.rng.random_range(0..10) {
            0..=3 => {
                let owners = self.some_of(1);
                (Method::POST, place.clone(), body(&place, &name, &owners))
            }
            4 => (Method::DELETE, path, json!({})),
            5 => {
                let labels = json!({"serial": self.serial.to_string(), "odd": null});
                (Method::PATCH, path, json!({"metadata": {"labels": labels}}))
            }
            6 => {
                let owners = self.some_of(1);
                (Method::PATCH, path, json!({"spec": {"owners": subjects(&owners)}}))
            }
            7 | 8 => {
                let members = self.some_of(0);
                (
                    Method::PATCH,
                    format!("{path}/status"),
                    json!({"status": {"members": subjects(&members)}}),
                )
            }
            // Then who belongs to a Project there sees the Organization, too.
            _ => {
                let claimed = [NAMESPACES[0], NAMESPACES[1], ""][self.rng.random_range(0..3)];
                let status = json!({"status": {"namespace": {"name": claimed}}});
                (Method::PATCH, format!("organizations/r{number}/status"), status)
            }
        }
    }

    fn some_of(&mut self, least: usize) -> Vec<&'static str> {
        loop {
            let chosen: Vec<_> = USERS.into_iter().filter(|_| self.rng.random()).collect();
            if chosen.len() >= least {
                return chosen;
            }
        }
    }

    /// Until the server takes it: it may be starting, or finding its storage again.
    async fn surely(&mut self, server: usize, method: Method, path: &str, body: &Value) {
        let what = format!("{method} {path} {body}");
        eventually(&what, SOON, async || {
            match self.send(server, method.clone(), path, body).await {
                Ok(code) if code < 300 => Ok(()),
                // An attempt whose answer was lost may have made it.
                Ok(409) if method == Method::POST => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    async fn send(&self, server: usize, method: Method, path: &str, body: &Value) -> Result<u16, String> {
        let media = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = Request::builder().method(method).uri(format!("{STORAGE}/{path}"));
        let answer = ask(
            &self.servers[server],
            request.header("content-type", media),
            &body.to_string(),
        )
        .await?;
        Ok(answer.code)
    }
}

fn body(place: &str, name: &str, owners: &[&str]) -> Value {
    let kind = if place.ends_with("projects") {
        "Project"
    } else {
        "Organization"
    };
    json!({
        "apiVersion": "storage.bulward.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"odd": "yes"}},
        "spec": {"owners": subjects(owners)},
    })
}
