//! The servers, their etcd, and the lines in between.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::follower::Follower;
use super::writers::Writers;
use super::{create, rules};
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{all_projects, an_organization, as_stored, organizations, stored, user};
use crate::harness::{Bulward, ControlPlane, EtcdCluster, Proxy};
use futures::future::join_all;

/// What their keys start with.
pub(super) const PREFIX: &str = "/faults";

/// Real servers on one etcd cluster, each with a line of its own to every member.
pub(super) struct Stage {
    pub(super) plane: &'static ControlPlane,
    pub(super) servers: Vec<Server>,
    pub(super) etcd: EtcdCluster,
    /// How many batches of writers have been started.
    batches: AtomicUsize,
}

pub(super) struct Server {
    pub(super) process: Bulward,
    /// To the members of etcd, in their order.
    pub(super) lines: Vec<Proxy>,
}

impl Stage {
    /// Starts `count` servers with further flags on an etcd of their own.
    pub(super) async fn start(name: &str, count: usize, flags: &[&str]) -> Stage {
        Stage::on(EtcdCluster::start(name).await, count, flags).await
    }

    /// The same on an etcd that runs already.
    pub(super) async fn on(etcd: EtcdCluster, count: usize, flags: &[&str]) -> Stage {
        let plane = ControlPlane::shared().await;
        let servers = join_all((0..count).map(|_| Server::start(plane, &etcd, flags))).await;
        Stage {
            plane,
            servers,
            etcd,
            batches: AtomicUsize::new(0),
        }
    }

    /// A user of one of the servers.
    pub(super) async fn caller(&self, server: usize, user: &str) -> Caller {
        self.servers[server].process.caller(self.plane, user, &[]).await
    }

    /// A user at each of the servers.
    pub(super) async fn callers(&self, user: &str) -> Vec<Caller> {
        join_all((0..self.servers.len()).map(|server| self.caller(server, user))).await
    }

    /// An administrator, who uses the storage view, at each of the servers.
    pub(super) async fn admins(&self) -> Vec<Caller> {
        let admin = async |server: &Server| server.process.caller(self.plane, "admin", &["system:masters"]).await;
        join_all(self.servers.iter().map(admin)).await
    }

    /// Writers at all servers.
    pub(super) async fn writers(&self, count: usize) -> Writers {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        Writers::start(&self.admins().await, count, batch)
    }

    /// Followers of everything that the writers write, as everybody who sees some of it; each begins at another server.
    pub(super) async fn followers(&self) -> Vec<Follower> {
        let (alice, bob) = (self.callers("alice").await, self.callers("bob").await);
        let admins = self.admins().await;
        let all = [
            ("alice", &alice, organizations()),
            ("bob", &bob, organizations()),
            ("alice", &alice, all_projects()),
            ("bob", &bob, all_projects()),
            ("admin", &admins, stored(&organizations())),
            ("admin", &admins, stored(&all_projects())),
        ];
        let numbered = all.into_iter().enumerate();
        let followers = numbered.map(|(number, (user, at, path))| Follower::start(user, at.clone(), path, number));
        followers.collect()
    }

    /// Waits, while nobody writes, until every follower has what a fresh list says through any server; that list is what
    /// the rules say, and no watch has broken one.
    pub(super) async fn converged(&self, followers: &[Follower], what: &str) {
        for follower in followers {
            follower.converged(what).await;
        }
        let admin = &self.admins().await[0];
        for user in ["alice", "bob"] {
            for caller in self.callers(user).await {
                rules::hold(user, &caller, admin).await;
            }
        }
    }

    /// An Organization of `owner` for each of `names`, through the first server.
    pub(super) async fn populate(&self, names: impl Iterator<Item = String>, owner: &str) {
        let admin = &self.admins().await[0];
        for name in names {
            let body = as_stored(an_organization(&name, &[user(owner)]));
            create(admin, &stored(&organizations()), &body).await;
        }
    }
}

impl Server {
    pub(super) async fn start(plane: &ControlPlane, etcd: &EtcdCluster, flags: &[&str]) -> Server {
        Server::behind(plane, Server::lines_to(etcd).await, flags).await
    }

    /// A line to each member.
    pub(super) async fn lines_to(etcd: &EtcdCluster) -> Vec<Proxy> {
        join_all(etcd.endpoints().iter().map(|endpoint| Proxy::to(endpoint))).await
    }

    /// One that reaches etcd through `lines`, once it is ready.
    pub(super) async fn behind(plane: &ControlPlane, lines: Vec<Proxy>, flags: &[&str]) -> Server {
        let urls: Vec<String> = lines.iter().map(|line| format!("http://{}", line.address())).collect();
        let servers = format!("--etcd-servers={}", urls.join(","));
        let own = [servers.as_str(), &format!("--etcd-prefix={PREFIX}")];
        let flags: Vec<&str> = own.into_iter().chain(flags.iter().copied()).collect();
        Server {
            process: Bulward::start(plane, &flags).await,
            lines,
        }
    }

    /// Lets nothing through to or from etcd, without a word.
    pub(super) fn silence(&self) {
        self.lines.iter().for_each(Proxy::silence);
    }

    /// Breaks its connections to etcd; new ones hear nothing.
    pub(super) fn cut(&self) {
        self.lines.iter().for_each(Proxy::cut);
    }

    pub(super) fn mend(&self) {
        self.lines.iter().for_each(Proxy::mend);
    }
}
