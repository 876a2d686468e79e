use std::fs;

use super::*;

/// A folder with a kubeconfig for everybody, and the beginning of a WebhookAdmissionConfiguration that names it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["one", "two"] {
            let users = format!("{{apiVersion: v1, kind: Config, users: [{{name: \"*\", user: {{token: {name}}}}}]}}");
            folder.write(&format!("{name}.kubeconfig"), &users);
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Of webhooks' credentials, in the flow style of YAML.
    fn webhooks(&self, kubeconfig: &str) -> String {
        let file = self.path(kubeconfig);
        format!("{{apiVersion: {VERSION}, kind: WebhookAdmissionConfiguration, kubeConfigFile: {file}}}")
    }

    fn load(&self, plugins: &str) -> Result<Identities, String> {
        let text = format!("apiVersion: {VERSION}\nkind: AdmissionConfiguration\nplugins:\n{plugins}\n");
        self.load_text(&text)
    }

    fn load_text(&self, text: &str) -> Result<Identities, String> {
        self.write("admission.yaml", text);
        let loaded = Identities::load(Path::new(&self.path("admission.yaml")));
        loaded.map_err(|why| {
            assert!(!why.contains('\n'), "{why}");
            let start = format!("{}: ", self.path("admission.yaml"));
            assert!(why.starts_with(&start), "{why}");
            why[start.len()..].replace(&self.path(""), "")
        })
    }
}

fn token(credentials: &Credentials) -> Option<String> {
    let header = credentials.to("hook.ns.svc", 443)?.authorization()?;
    Some(header.to_str().unwrap().to_owned())
}

#[test]
fn each_sort_of_webhooks_has_its_own() {
    let folder = Folder::new();
    folder.write("validating.yaml", &folder.webhooks("two.kubeconfig"));
    let loaded = folder.load(&format!(
        "- {{name: MutatingAdmissionWebhook, configuration: {}}}\n- {{name: ValidatingAdmissionWebhook, path: validating.yaml}}",
        folder.webhooks("one.kubeconfig")
    ));
    let loaded = loaded.unwrap();
    assert_eq!(token(&loaded.mutating).as_deref(), Some("Bearer one"));
    assert_eq!(token(&loaded.validating).as_deref(), Some("Bearer two"));
    // what is inline comes first, an absolute path is one
    let (inline, path) = (folder.webhooks("one.kubeconfig"), folder.path("validating.yaml"));
    let both = format!(
        "- {{name: MutatingAdmissionWebhook, configuration: {inline}, path: {path}}}\n- {{name: ValidatingAdmissionWebhook, path: {path}}}"
    );
    let loaded = folder.load(&both).unwrap();
    assert_eq!(token(&loaded.mutating).as_deref(), Some("Bearer one"));
    assert_eq!(token(&loaded.validating).as_deref(), Some("Bearer two"));
    // nothing said
    let loaded = folder.load("- {name: MutatingAdmissionWebhook}").unwrap();
    assert_eq!(token(&loaded.mutating), None);
    let none = format!("{{\"apiVersion\": {VERSION:?}, \"kind\": \"AdmissionConfiguration\"}}");
    assert_eq!(token(&folder.load_text(&none).unwrap().validating), None);
}

#[test]
fn what_is_not_understood_is_refused() {
    let folder = Folder::new();
    folder.write("other.yaml", "{apiVersion: v1, kind: Pod}");
    folder.write(
        "odd.kubeconfig",
        "users: [{name: \"*\", user: {token: a, username: b}}]",
    );
    let webhooks = folder.webhooks("odd.kubeconfig");
    let hook = |more: &str| format!("- {{name: MutatingAdmissionWebhook, {more}}}");
    let inline = |more: &str| {
        hook(&format!(
            "configuration: {{apiVersion: {VERSION}, kind: WebhookAdmissionConfiguration, {more}}}"
        ))
    };
    let cases = [
        (
            "- {name: PodSecurity}".to_owned(),
            "plugins[0].name: \"PodSecurity\" has no configuration here, there are",
        ),
        (
            format!("{0}\n{0}", hook("path: ''")),
            "plugins[1].name: \"MutatingAdmissionWebhook\" is there twice",
        ),
        (
            hook("path: missing.yaml"),
            "plugins[0].path: missing.yaml: No such file",
        ),
        (
            hook("path: other.yaml"),
            "plugins[0].path: other.yaml: apiVersion \"v1\", kind \"Pod\": must be",
        ),
        (
            hook("configuration: {kind: WebhookAdmission}"),
            "plugins[0].configuration: apiVersion \"\", kind \"WebhookAdmission\": must be",
        ),
        (
            inline("staticManifestsDir: /x"),
            "plugins[0].configuration: unknown field `staticManifestsDir`",
        ),
        (
            inline("kubeConfigFile: one.kubeconfig"),
            "plugins[0].configuration: kubeConfigFile: \"one.kubeconfig\" must be an absolute",
        ),
        (
            inline("kubeConfigFile: /nowhere/k"),
            "plugins[0].configuration: kubeConfigFile: /nowhere/k: No such file",
        ),
        (
            hook(&format!("configuration: {webhooks}")),
            "plugins[0].configuration: kubeConfigFile: odd.kubeconfig: users[\"*\"].username: ",
        ),
    ];
    for (plugins, wanted) in cases {
        let why = folder.load(&plugins).err().expect("an error");
        assert!(why.starts_with(wanted), "{why}\n{wanted}");
    }
    for (text, wanted) in [
        (
            "apiVersion: apiserver.k8s.io/v1alpha1\nkind: AdmissionConfiguration\n",
            "apiVersion \"apiserver.k8s.io/v1alpha1\", kind",
        ),
        ("", "apiVersion \"\", kind \"\": must be"),
    ] {
        let why = folder.load_text(text).err().expect("an error");
        assert!(why.starts_with(wanted), "{why}");
    }
    for text in ["{", "plugin: []"] {
        folder.load_text(text).err().expect("an error");
    }
    let missing = Identities::load(Path::new("/nowhere/admission.yaml"))
        .err()
        .expect("an error");
    assert!(
        missing.starts_with("/nowhere/admission.yaml: No such file"),
        "{missing}"
    );
}
