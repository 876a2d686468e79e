//! Manifests: the files in `apiservice/` and `deploy/` are what `bulward manifests` prints.

use bulward::cli::manifests::{Options, render, run};
use serde_json::{Value, json};

use super::{golden, registry};

fn parsed(text: &str) -> Vec<Value> {
    let documents = text
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).expect("each part is YAML"));
    documents.collect()
}

/// All objects of the files, as `kind name` and value.
fn objects() -> Vec<(String, Value)> {
    let manifests = render(&registry::tenancy(), &Options::default(), Some(b"a certificate"));
    let objects = manifests.iter().flat_map(|manifest| parsed(&manifest.content));
    let named = objects.map(|object| {
        let name = format!(
            "{} {}",
            object["kind"].as_str().unwrap_or("?"),
            object["metadata"]["name"].as_str().unwrap_or("?")
        );
        (name, object)
    });
    named.collect()
}

fn object(name: &str) -> Value {
    let found = objects().into_iter().find(|(candidate, _)| candidate == name);
    found.unwrap_or_else(|| panic!("{name} is not rendered")).1
}

#[test]
fn golden_files() {
    for manifest in render(&registry::tenancy(), &Options::default(), None) {
        golden(manifest.path, &manifest.content);
    }
}

#[test]
fn the_filtered_view_wins_by_group_priority() {
    let filtered = object("APIService v1alpha1.apiserver.bulward.io");
    let unfiltered = object("APIService v1alpha1.storage.bulward.io");
    let priority = |service: &Value| service["spec"]["groupPriorityMinimum"].as_u64().expect("a number");
    assert!(priority(&filtered) > priority(&unfiltered));
    for service in [filtered, unfiltered] {
        assert!((1..=20_000).contains(&priority(&service)), "what the API allows");
        assert_eq!(service["spec"]["caBundle"], "YSBjZXJ0aWZpY2F0ZQ==");
        assert_eq!(
            service["spec"]["service"],
            json!({"name": "bulward-apiserver", "namespace": "bulward-system", "port": 443})
        );
    }
}

/// tenancy.md R9.
#[test]
fn r9_everybody_may_use_the_filtered_view_and_create_organizations_alone() {
    let verbs = ["delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let rule =
        json!([{"apiGroups": ["apiserver.bulward.io"], "resources": ["organizations", "projects"], "verbs": verbs}]);
    assert_eq!(object("ClusterRole bulward:user")["rules"], rule);
    let rule = json!([{"apiGroups": ["apiserver.bulward.io"], "resources": ["organizations"], "verbs": ["create"]}]);
    assert_eq!(object("ClusterRole bulward:organization-creator")["rules"], rule);
    for name in ["bulward:user", "bulward:organization-creator"] {
        let binding = object(&format!("ClusterRoleBinding {name}"));
        assert_eq!(binding["roleRef"]["name"], name);
        assert_eq!(binding["subjects"][0]["name"], "system:authenticated");
    }
    let controllers = "ClusterRole bulward:controller-manager";
    for (name, object) in objects().iter().filter(|(name, _)| name.starts_with("ClusterRole ")) {
        assert!(
            name == controllers || !object["rules"].to_string().contains("storage.bulward.io"),
            "{name} opens the unfiltered view"
        );
    }
    let account = json!([
        {"kind": "ServiceAccount", "name": "bulward-controller-manager", "namespace": "bulward-system"},
    ]);
    assert_eq!(
        object("ClusterRoleBinding bulward:controller-manager")["subjects"],
        account
    );
}

#[test]
fn no_secrets_are_rendered() {
    assert!(objects().iter().all(|(name, _)| !name.starts_with("Secret ")));
}

#[test]
fn files_are_written_or_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, "a certificate").expect("a file");
    let mut options = Options {
        ca_file: Some(ca),
        ..Options::default()
    };
    let mut printed = Vec::new();
    run(&registry::tenancy(), &options, &mut printed).expect("printing works");
    let printed = String::from_utf8(printed).expect("text");
    assert!(printed.starts_with("---\n# deploy/namespace.yaml\napiVersion: v1\n"));
    assert!(printed.contains("caBundle: YSBjZXJ0aWZpY2F0ZQ=="));

    options.output_dir = Some(folder.path().join("out"));
    run(&registry::tenancy(), &options, &mut Vec::new()).expect("writing works");
    let written =
        std::fs::read_to_string(folder.path().join("out/apiservice/apiservice.yaml")).expect("the file is there");
    assert!(printed.ends_with(&written));

    options.ca_file = Some(folder.path().join("missing.crt"));
    let error = run(&registry::tenancy(), &options, &mut Vec::new()).expect_err("there is no such file");
    assert!(error.to_string().contains("missing.crt: "), "{error}");
}
