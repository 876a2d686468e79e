//! A cluster of real etcd members on loopback, each of which can be killed and started again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::process::{Log, Process};
use super::{STARTUP, eventually, guardian, ports, programs};

/// Certificate files of a cluster that speaks TLS and demands client certificates.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The authority that signed everything.
    pub(crate) ca: PathBuf,
    /// The members' certificate, for 127.0.0.1.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// A cluster; its members are killed when it is dropped.
pub(crate) struct EtcdCluster {
    name: String,
    // Before the folder: fields are dropped in this order.
    members: Vec<Member>,
    tls: Option<Tls>,
    folder: TempDir,
    etcd: PathBuf,
    etcdctl: PathBuf,
}

struct Member {
    client: u16,
    peer: u16,
    metrics: u16,
    log: Log,
    process: Mutex<Option<Process>>,
}

impl EtcdCluster {
    /// Starts three members and waits until all of them serve. `name` begins the names of their logs.
    pub(crate) async fn start(name: &str) -> Self {
        Self::of(name, 3, None).await
    }

    /// Starts one member.
    pub(crate) async fn single(name: &str) -> Self {
        Self::of(name, 1, None).await
    }

    /// Starts `size` members and waits until all of them serve.
    pub(crate) async fn of(name: &str, size: usize, tls: Option<Tls>) -> Self {
        let find = async |name| programs::find(name).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{name}-etcd{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = Self {
            members: (0..size).map(|index| Member::new(&name, index)).collect(),
            name,
            tls,
            folder: guardian::on_disk("etcd-cluster"),
            etcd: find("etcd").await,
            etcdctl: find("etcdctl").await,
        };
        for index in 0..size {
            cluster.spawn(index);
        }
        cluster.ready().await;
        cluster
    }

    /// Number of members, dead ones included.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// The members' URLs.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let scheme = self.scheme();
        let url = |member: &Member| format!("{scheme}://127.0.0.1:{}", member.client);
        self.members.iter().map(url).collect()
    }

    /// Sends a running member a signal, such as `STOP`.
    pub(crate) fn signal(&self, index: usize, signal: &str) {
        let process = self.members[index].process.lock();
        process.as_ref().expect("it runs").signal(signal);
    }

    /// Kills a member as `kill -9` does.
    pub(crate) fn kill(&self, index: usize) {
        // Taken out first: dropping a process kills it.
        drop(self.members[index].process.lock().take());
    }

    /// Starts a killed member again, on the same ports and data, without waiting.
    pub(crate) fn spawn(&self, index: usize) {
        let name = format!("{}-m{index}", self.name);
        let process = Process::spawn(&name, &mut self.command(index), &self.members[index].log);
        *self.members[index].process.lock() = Some(process);
    }

    /// Starts a killed member again and waits until all running ones serve.
    pub(crate) async fn restart(&self, index: usize) {
        self.spawn(index);
        self.ready().await;
    }

    /// Waits until all running members report that they are healthy.
    pub(crate) async fn ready(&self) {
        for (index, member) in self.members.iter().enumerate() {
            eventually(&format!("{} member {index} serves", self.name), STARTUP, async || {
                let ended = match &*member.process.lock() {
                    None => return Ok(()),
                    Some(process) => process.ended(),
                };
                assert!(
                    ended.is_none(),
                    "member {index} ended with {ended:?}; {}",
                    member.log.tail()
                );
                if member.healthy() {
                    Ok(())
                } else {
                    Err(member.log.tail())
                }
            })
            .await;
        }
    }

    /// The member that leads, once the running ones agree.
    pub(crate) async fn leader(&self) -> usize {
        eventually("a leader", STARTUP, async || {
            for (index, endpoint) in self.endpoints().into_iter().enumerate() {
                if self.members[index].process.lock().is_none() {
                    continue;
                }
                let options = ConnectOptions::new().with_timeout(Duration::from_secs(5));
                let connected = Client::connect([endpoint], Some(options)).await;
                let status = connected.map_err(|e| e.to_string())?.status().await;
                let status = status.map_err(|e| e.to_string())?;
                let own = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
                if own != 0 && own == status.leader() {
                    return Ok(index);
                }
            }
            Err("none says that it leads".to_owned())
        })
        .await
    }

    /// Forgets every revision but the newest; that revision.
    pub(crate) async fn compact(&self) -> u64 {
        eventually("etcd takes the compaction", STARTUP, async || {
            let mut client = Client::connect(self.endpoints(), None).await?;
            let newest = client.get("newest", None).await?;
            let newest = newest.header().map_or(0, etcd_client::ResponseHeader::revision);
            client.compact(newest, None).await?;
            Ok::<_, etcd_client::Error>(u64::try_from(newest).unwrap_or(0))
        })
        .await
    }

    /// Runs etcdctl against the first member; the output.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.etcdctl);
        command.arg("--endpoints").arg(&self.endpoints()[0]).args(args);
        if let Some(tls) = &self.tls {
            command
                .arg("--cacert")
                .arg(&tls.ca)
                .arg("--cert")
                .arg(&tls.cert)
                .arg("--key")
                .arg(&tls.key);
        }
        let output = command.output().expect("etcdctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "etcdctl {args:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn command(&self, index: usize) -> Command {
        let scheme = self.scheme();
        let peers = |(index, member): (usize, &Member)| format!("m{index}=http://127.0.0.1:{}", member.peer);
        let cluster: Vec<String> = self.members.iter().enumerate().map(peers).collect();
        let member = &self.members[index];
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let mut command = Command::new(&self.etcd);
        command
            .args(["--name", &format!("m{index}")])
            .arg("--data-dir")
            .arg(self.folder.path().join(format!("m{index}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-metrics-urls", &format!("http://127.0.0.1:{}", member.metrics)])
            .args(["--initial-cluster", &cluster.join(",")])
            .args([
                "--heartbeat-interval",
                "50",
                "--election-timeout",
                "500",
                "--log-level",
                "warn",
            ])
            // A killed process loses nothing that it has written; only a killed machine would.
            .arg("--unsafe-no-fsync");
        if let Some(tls) = &self.tls {
            command
                .arg("--cert-file")
                .arg(&tls.cert)
                .arg("--key-file")
                .arg(&tls.key);
            command.arg("--trusted-ca-file").arg(&tls.ca).arg("--client-cert-auth");
        }
        command
    }
}

impl Member {
    fn new(cluster: &str, index: usize) -> Self {
        Self {
            client: ports::free(),
            peer: ports::free(),
            metrics: ports::free(),
            log: Log::create(&format!("{cluster}-m{index}")),
            process: Mutex::new(None),
        }
    }

    fn healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.metrics))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.contains(r#""health":"true""#))
    }
}
