//! What webhooks are shown of who asks: the same AdmissionConfiguration for both sides, and none for a server beside them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::scene::{OUR_SIDE, Reach};
use super::scenes;
use super::stage::{Stage, filled};
use crate::harness::webhooks::{Door, NAMESPACE, STRICT, Webhooks, encode};
use crate::harness::{Bulward, guardian, pki};

const VERSION: &str = "apiserver.config.k8s.io/v1";
const SORTS: [&str; 2] = ["mutating", "validating"];

/// What a webhook at the open door is shown as `Authorization`: each sort of webhooks something of its own.
pub(super) fn proof(mutating: bool, reach: &Reach) -> String {
    match (mutating, reach) {
        (true, Reach::Service) => "Bearer mutating-by-service".to_owned(),
        (false, Reach::Service) => "Bearer validating-by-service".to_owned(),
        (true, _) => "Bearer mutating-by-url".to_owned(),
        (false, _) => format!("Basic {}", encode("validating:by-url")),
    }
}

/// Writes an AdmissionConfiguration and all that it names. The flag that names it.
pub(super) fn configuration(folder: &Path, hooks: &Webhooks) -> String {
    let (open, strict) = (hooks.port(Door::Open), hooks.port(Door::Strict));
    let configurations = SORTS.map(|sort| {
        let token = folder.join(format!("{sort}.token"));
        std::fs::write(&token, format!("{sort}-by-service\n")).expect("a file of our own");
        let pair = hooks.client(sort);
        let _ = pair.write(folder, sort);
        let by_url = match sort {
            "mutating" => json!({"token": "mutating-by-url"}),
            sort => json!({"username": sort, "password": "by-url"}),
        };
        let users = [
            (format!("localhost:{open}"), by_url),
            // relative to the kubeconfig
            (format!("*.{NAMESPACE}.svc:{open}"), json!({"tokenFile": format!("{sort}.token")})),
            (
                format!("localhost:{strict}"),
                json!({
                    "client-certificate-data": pki::encode(&pair.certificate), "client-key-data": pki::encode(&pair.key),
                }),
            ),
            (
                format!("{STRICT}.{NAMESPACE}.svc:{strict}"),
                json!({"client-certificate": format!("{sort}.crt"), "client-key": format!("{sort}.key")}),
            ),
        ];
        let users = users.map(|(name, user)| json!({"name": name, "user": user}));
        let kubeconfig = folder.join(format!("{sort}.kubeconfig"));
        let text = json!({"apiVersion": "v1", "kind": "Config", "users": users});
        std::fs::write(&kubeconfig, text.to_string()).expect("a file of our own");
        json!({"apiVersion": VERSION, "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": kubeconfig})
    });
    let [mutating, validating] = configurations;
    std::fs::write(folder.join("validating.yaml"), validating.to_string()).expect("a file of our own");
    let text = json!({
        "apiVersion": VERSION, "kind": "AdmissionConfiguration",
        "plugins": [
            {"name": "MutatingAdmissionWebhook", "configuration": mutating},
            {"name": "ValidatingAdmissionWebhook", "path": "validating.yaml"},
        ],
    });
    write(folder, &text)
}

fn write(folder: &Path, configuration: &Value) -> String {
    let file = folder.join("admission.yaml");
    std::fs::write(&file, configuration.to_string()).expect("a file of our own");
    format!("--admission-control-config-file={}", file.display())
}

impl Stage {
    /// A server without the file proves nothing: what wants a proof fails, and so does the request, unless failures are
    /// ignored.
    pub(super) async fn proves_nothing_without_the_file(&self) {
        let scene = scenes::all()
            .into_iter()
            .find(|scene| scene.name == "credentials")
            .expect("a scene");
        self.configure(&scene.hooks).await;
        // It has read all webhooks before it is ready.
        let server = Bulward::start(&self.plane, &["--disable-admission-plugins="]).await;
        let admin = server.caller(&self.plane, "admin", &["system:masters"]).await;
        let view = OUR_SIDE[0];
        for (hook, step) in scene.hooks.iter().zip(&scene.steps) {
            let _ = self.hooks.take();
            let path = format!("/apis/{}/{}/{}", view.group, view.version, step.path);
            let answer = admin.post(&path, &filled(&step.body, view)).await;
            let asked = self.hooks.take();
            match hook.name.ends_with("ignore") {
                true => assert_eq!(answer.code, 201, "{}: {}", hook.name, answer.text()),
                false => {
                    let wanted = format!("failed calling webhook \"{}.hooks.example.com\"", hook.name);
                    let message = answer.refused(500, "InternalError")["message"].clone();
                    assert!(message.as_str().is_some_and(|said| said.contains(&wanted)), "{message}");
                }
            }
            // Nobody gets through the strict door, others say nothing of themselves.
            let forms: Vec<_> = asked.iter().map(|asked| &asked.form["authorization"]).collect();
            match hook.name.contains("strict") {
                true => assert!(asked.is_empty(), "{asked:?}"),
                false => assert_eq!(forms, [""], "{}", hook.name),
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_at_the_start() {
    let folder = guardian::temporary("admission-file");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(
        path("kubeconfig"),
        "users: [{name: h, user: {token: hidden, username: hidden}}]",
    )
    .expect("a file");
    let hooks =
        json!({"apiVersion": VERSION, "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": path("kubeconfig")});
    let file = |plugins: Value| {
        write(
            folder.path(),
            &json!({"apiVersion": VERSION, "kind": "AdmissionConfiguration", "plugins": plugins}),
        )
    };
    for (plugins, wanted) in [
        (
            json!([{"name": "PodSecurity"}]),
            "plugins[0].name: \"PodSecurity\"".to_owned(),
        ),
        (
            json!([{"name": "MutatingAdmissionWebhook", "configuration": hooks}]),
            format!(
                "plugins[0].configuration: kubeConfigFile: {}: users[\"h\"].username: ",
                path("kubeconfig")
            ),
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args([
                "apiserver",
                "--storage=embedded",
                "--authentication-skip-lookup",
                "--bind-address=127.0.0.1",
            ])
            .arg(format!("--secure-port={}", crate::harness::ports::free()))
            .args([
                format!("--data-dir={}", path("data")),
                format!("--cert-dir={}", path("certs")),
            ])
            .args([format!("--kubeconfig={}", path("cluster")), file(plugins)]);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(path("cluster"), kubeconfig.to_string()).expect("a file");
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.expect("no panic").expect("it runs");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = format!("--admission-control-config-file {}: {wanted}", path("admission.yaml"));
        assert!(said.lines().any(|line| line.contains(&wanted)), "{said}\n{wanted}");
        assert!(!said.contains("hidden"), "{said}");
    }
}
