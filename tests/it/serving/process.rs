//! The binary as a process: exit codes, signals, one-line errors.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::DEADLINE;
use crate::harness::eventually;

/// A running server; killed when dropped.
struct Process {
    child: Child,
    port: u16,
}

fn bulward(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command.args(arguments).env_clear();
    command
}

fn output(arguments: &[&str]) -> Output {
    bulward(arguments).output().unwrap()
}

/// The exit code and the one line of an error.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = output(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n') && line.starts_with("bulward: "), "{text}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), line.to_owned())
}

impl Process {
    /// Starts `bulward dev` on a free port and waits for its greeting, which it prints when it serves.
    fn dev(data_dir: &Path) -> Self {
        let arguments = ["dev", "--secure-port=0", "--data-dir", data_dir.to_str().unwrap()];
        let mut child = bulward(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .split_once("https://127.0.0.1:")
            .unwrap()
            .1
            .split(';')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Self { child, port }
    }

    /// Starts `bulward apiserver` on the embedded store, with a cluster that nobody will be able to ask.
    fn apiserver(folder: &Path, flags: &[&str]) -> Self {
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = bulward(&["apiserver", "--storage=embedded", "--authentication-skip-lookup"]);
        command
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1"])
            // whose configuration would have to be read before it is ready
            .arg(
                "--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,ValidatingAdmissionPolicy,\
                 ValidatingAdmissionWebhook",
            )
            .args(flags);
        command.arg("--kubeconfig").arg(kubeconfig);
        command
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--cert-dir")
            .arg(folder.join("certs"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, port }
    }

    /// The limits on open files of the running program, the soft and the hard one.
    fn open_files(&self) -> Option<(u64, u64)> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let mut values = line.split_whitespace().map_while(|value| value.parse().ok());
        Some((values.next()?, values.next()?))
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: \"http://127.0.0.1:1\"}}]
users: [{name: none, user: {token: none}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
";

async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let look = async || if condition() { Ok(()) } else { Err("not yet") };
    eventually(what, DEADLINE, look).await;
}

/// The status that an anonymous caller gets.
fn get(port: u16, authority: &Path, path: &str) -> io::Result<u16> {
    bulward::http::tls::install_provider();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&std::fs::read(authority)?).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = std::net::TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let mut stream = StreamOwned::new(session, socket);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["nope"][..],
        &["dev", "--port=1"],
        &["apiserver", "--etcd-prefix=/registry"],
        &[],
    ] {
        assert_eq!(failure(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn help_and_version_exit_with_0() {
    let version = output(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        concat!("bulward ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = output(&["apiserver", "--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("--etcd-servers") && text.contains("[default: /bulward]"));
}

#[tokio::test]
async fn the_limit_on_open_files_is_raised_and_told_when_low() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let dev = bulward(&["dev", "--secure-port=0", "--data-dir"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 100 && ulimit -Hn 300 && exec \"$0\" \"$@\""]);
    command
        .arg(dev.get_program())
        .args(dev.get_args())
        .arg(folder.path().join("data"));
    command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap());
    let process = Process {
        child: command.spawn().unwrap(),
        port: 0,
    };
    wait_until("the soft limit is the hard one", || {
        process.open_files() == Some((300, 300))
    })
    .await;
    let complaint = "300 files may be open at once, and --max-connections=10000 needs 10256";
    wait_until("the log tells", || {
        std::fs::read_to_string(&log).unwrap().contains(complaint)
    })
    .await;
}

#[test]
fn a_busy_port_and_an_unwritable_folder_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--secure-port={}", taken.local_addr().unwrap().port());
    let (code, line) = failure(&["dev", &port, "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        line.contains("the port is in use") && line.contains("--secure-port"),
        "{line}"
    );
    assert!(!data_dir.exists(), "nothing is made for nothing");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let (code, line) = failure(&["dev", "--secure-port=0", "--data-dir", below.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        line.contains("data folder: ") && line.contains(below.to_str().unwrap()),
        "{line}"
    );
}

#[test]
fn certificates_are_made_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    assert!(
        output(&["certs", "serving", "--dir", dir, "--names=b.example,10.0.0.1"])
            .status
            .success()
    );
    let client = output(&["certs", "client", "--dir", dir, "--user=alice", "--groups=devs"]);
    let printed = String::from_utf8(client.stdout).unwrap();
    assert_eq!(
        printed,
        ["alice.crt", "alice.key", "ca.crt"]
            .map(|name| format!("{dir}/{name}\n"))
            .concat()
    );
    let verify = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command
            .arg("verify")
            .args(["-CAfile", "ca.crt"])
            .args(arguments)
            .current_dir(folder.path());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    assert!(verify(&[
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "b.example",
        "bulward.crt"
    ]));
    assert!(verify(&[
        "-purpose",
        "sslserver",
        "-verify_ip",
        "10.0.0.1",
        "bulward.crt"
    ]));
    assert!(!verify(&[
        "-purpose",
        "sslserver",
        "-verify_ip",
        "10.0.0.2",
        "bulward.crt"
    ]));
    assert!(verify(&["-purpose", "sslclient", "alice.crt"]));
    assert_eq!(failure(&["certs", "client", "--dir", dir, "--user=ca"]).0, 2);
    for (name, mode) in [
        ("ca.key", 0o600),
        ("bulward.key", 0o600),
        ("alice.key", 0o600),
        ("ca.crt", 0o644),
    ] {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn what_certs_cannot_do_is_one_line_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let lasting = ["--authority-lifetime=100h", "--lifetime=10h", "--renew-before=1h"];
    for (arguments, code, why) in [
        (&["certs"][..], 2, "no command given (try bulward certs --help)"),
        (&["certs", "serving"], 2, "--names"),
        (
            &["certs", "serving", "--dir", dir, "--names="],
            1,
            "\"\" is neither a DNS name nor an IP address",
        ),
        (
            &["certs", "serving", "--dir", dir, "--names=a b"],
            1,
            "\"a b\" is neither a DNS name nor an IP address",
        ),
        (&["certs", "client", "--dir", dir, "--user=a/b"], 2, "use letters"),
        (
            &["certs", "client", "--dir", dir, "--user=a", "--groups=1,2,3"],
            1,
            "at most 2 groups",
        ),
        (
            &["certs", "client", "--dir", dir, "--user=a", "--groups="],
            1,
            "a group has no name",
        ),
        (
            &["certs", "bootstrap", "--interval=0s"],
            2,
            "--interval: must be at least 1s",
        ),
        (
            &["certs", "bootstrap", "--namespace=a b"],
            2,
            "--namespace: a lowercase RFC 1123 label",
        ),
        (
            &["certs", "bootstrap", "--lifetime=1h"],
            2,
            "--renew-before: must be shorter",
        ),
        (
            &["certs", "bootstrap", "--lifetime=999999999h"],
            2,
            "--lifetime: must not be longer",
        ),
        (
            &["certs", "bootstrap", "--authority-lifetime=999999999h"],
            2,
            "--authority-lifetime: must not be longer",
        ),
        (
            &[
                "certs",
                "bootstrap",
                lasting[0],
                lasting[1],
                lasting[2],
                "--authority-renew-before=1h",
            ],
            2,
            "--authority-renew-before: must be longer than --renew-before and --settle together",
        ),
        (
            &["certs", "bootstrap", "--kubeconfig=/nonexistent"],
            1,
            "--kubeconfig /nonexistent",
        ),
    ] {
        let (found, line) = failure(arguments);
        assert!(found == code && line.contains(why), "{arguments:?}: {found} {line}");
    }
    // Clients trust an authority whose key is lost: it is not replaced unasked.
    assert!(output(&["certs", "client", "--dir", dir, "--user=a"]).status.success());
    std::fs::remove_file(folder.path().join("ca.key")).unwrap();
    let (code, line) = failure(&["certs", "client", "--dir", dir, "--user=a"]);
    assert!(code == 1 && line.contains("ca.key is missing"), "{line}");
}

#[tokio::test]
async fn a_signal_ends_it_in_good_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut dev = Process::dev(folder.path());
        dev.signal(signal);
        assert_eq!(dev.exit_code().await, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn the_delay_is_served_unready_and_a_second_signal_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::apiserver(folder.path(), &["--shutdown-delay-duration=1h"]);
    let status = |port, path| get(port, &folder.path().join("certs/ca.crt"), path).ok();
    wait_until("ready", || status(server.port, "/readyz") == Some(200)).await;
    server.signal("TERM");
    wait_until("not ready", || status(server.port, "/readyz") == Some(500)).await;
    assert_eq!(status(server.port, "/livez"), Some(200));
    server.signal("TERM");
    assert_eq!(server.exit_code().await, Some(1));
}

/// A watch of organizations as alice, who has a certificate in the data folder; the stream after the head of the answer.
fn watch_as_alice(port: u16, folder: &Path) -> BufReader<StreamOwned<ClientConnection, std::net::TcpStream>> {
    let certificates = folder.join("certificates");
    let read = |name: &str| std::fs::read(certificates.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&read("ca.crt")).unwrap())
        .unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("alice.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("alice.key")).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain, key).unwrap();
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let path = "/apis/apiserver.bulward.io/v1alpha1/organizations?watch=true";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream
}

#[tokio::test]
async fn watches_end_cleanly_when_the_process_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Process::dev(folder.path());
    let mut watch = watch_as_alice(dev.port, folder.path());
    dev.signal("TERM");
    // The last chunk is empty: an end that a client tells from a connection that broke, and after which it goes on
    // elsewhere from where it was.
    let mut rest = String::new();
    watch.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    assert_eq!(dev.exit_code().await, Some(0));
    assert!(std::net::TcpStream::connect(("127.0.0.1", dev.port)).is_err());
}

#[tokio::test]
async fn a_restart_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = || std::fs::read(folder.path().join("certificates/alice.crt")).unwrap();
    let mut first = Process::dev(folder.path());
    let before = certificate();
    first.signal("TERM");
    assert_eq!(first.exit_code().await, Some(0));
    let second = Process::dev(folder.path());
    assert_eq!(certificate(), before);
    let kubeconfig = std::fs::read_to_string(folder.path().join("alice.kubeconfig")).unwrap();
    assert!(kubeconfig.contains(&format!("https://127.0.0.1:{}\n", second.port)));
}
