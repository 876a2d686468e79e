//! Real etcd members on free loopback ports, in a directory that goes away with them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::harness::programs;

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
#[derive(Debug)]
pub(crate) struct EtcdProcess {
    members: Vec<Member>,
    tls: Option<Tls>,
    directory: TempDir,
    etcd: PathBuf,
    etcdctl: PathBuf,
}

#[derive(Debug)]
struct Member {
    child: Option<Child>,
    client: u16,
    peer: u16,
    metrics: u16,
}

impl EtcdProcess {
    /// Starts one member and waits until it serves.
    pub(crate) async fn start() -> Self {
        Self::cluster(1, None).await
    }

    /// Starts `size` members and waits until all of them serve.
    pub(crate) async fn cluster(size: usize, tls: Option<Tls>) -> Self {
        let find = async |name| programs::find(name).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        let (etcd, etcdctl) = (find("etcd").await, find("etcdctl").await);
        // A free port may be taken by somebody else before etcd gets it: then others are tried.
        for _ in 0..5 {
            let mut cluster = Self {
                members: (0..size).map(|_| Member::new()).collect(),
                tls: tls.clone(),
                directory: TempDir::new().expect("a temporary directory"),
                etcd: etcd.clone(),
                etcdctl: etcdctl.clone(),
            };
            for index in 0..size {
                cluster.spawn(index);
            }
            if cluster.ready().await {
                return cluster;
            }
        }
        panic!("etcd did not start in five attempts");
    }

    /// The members' URLs.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let scheme = self.scheme();
        let url = |member: &Member| format!("{scheme}://127.0.0.1:{}", member.client);
        self.members.iter().map(url).collect()
    }

    /// A running member's process.
    pub(crate) fn pid(&self, index: usize) -> u32 {
        self.members[index].child.as_ref().expect("it runs").id()
    }

    /// Kills a member as `kill -9` does.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.members[index].child.take() {
            child.kill().expect("etcd is ours to kill");
            child.wait().expect("etcd is ours to wait for");
        }
    }

    /// Starts a killed member again, on the same ports and data, and waits until all running ones serve.
    pub(crate) async fn restart(&mut self, index: usize) {
        self.spawn(index);
        assert!(self.ready().await, "etcd did not come back: {}", self.log(index));
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

    fn spawn(&mut self, index: usize) {
        let scheme = self.scheme();
        let peers = |(index, member): (usize, &Member)| format!("m{index}=http://127.0.0.1:{}", member.peer);
        let cluster: Vec<String> = self.members.iter().enumerate().map(peers).collect();
        let member = &self.members[index];
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file(index))
            .expect("a log file");
        let mut command = Command::new(&self.etcd);
        command
            .args(["--name", &format!("m{index}")])
            .arg("--data-dir")
            .arg(self.directory.path().join(format!("m{index}")))
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
        let log_too = log.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(log).stderr(log_too);
        self.members[index].child = Some(command.spawn().expect("etcd runs"));
    }

    /// Whether all running members report that they are healthy before one of them exits.
    async fn ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        for index in 0..self.members.len() {
            loop {
                let member = &mut self.members[index];
                let Some(child) = &mut member.child else { break };
                if child.try_wait().expect("etcd is ours to wait for").is_some() {
                    return false;
                }
                if member.healthy() {
                    break;
                }
                assert!(Instant::now() < deadline, "etcd is not healthy: {}", self.log(index));
                sleep(Duration::from_millis(20)).await;
            }
        }
        true
    }

    fn log_file(&self, index: usize) -> PathBuf {
        self.directory.path().join(format!("m{index}.log"))
    }

    fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.log_file(index)).unwrap_or_default()
    }
}

impl Drop for EtcdProcess {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            self.kill(index);
        }
    }
}

impl Member {
    fn new() -> Self {
        // Held together, so that the three differ.
        let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        Self {
            child: None,
            client: port(&ports[0]),
            peer: port(&ports[1]),
            metrics: port(&ports[2]),
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
