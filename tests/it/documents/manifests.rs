//! Manifests: the files in `apiservice/` and `deploy/` are what `bulward manifests` prints.

use std::collections::BTreeSet;

use bulward::cli::manifests::{Options, render, run};
use serde_json::{Value, json};

use super::{golden, registry};

fn parsed(text: &str) -> Vec<Value> {
    let documents = text
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).expect("each part is YAML"));
    documents.collect()
}

/// All objects of the whole installation, as `kind name` and value.
fn objects() -> Vec<(String, Value)> {
    objects_of("deploy/bulward.yaml")
}

fn objects_of(path: &str) -> Vec<(String, Value)> {
    let manifests = render(&registry::tenancy(), &Options::default(), Some(b"a certificate"));
    let manifest = manifests.iter().find(|manifest| manifest.path == path);
    let objects = parsed(&manifest.expect("it is rendered").content).into_iter();
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
        let mut rules = object["rules"].as_array().expect("rules").iter();
        assert!(
            name == controllers || rules.all(|rule| !rule["apiGroups"].to_string().contains("storage.bulward.io")),
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
    for manifest in render(&registry::tenancy(), &Options::default(), None) {
        let objects = objects_of(manifest.path);
        assert!(
            objects.iter().all(|(name, _)| !name.starts_with("Secret ")),
            "{}",
            manifest.path
        );
    }
}

/// Every variant has what it needs, each object once, and mounts no Secret that nobody makes.
#[test]
fn the_variants_are_whole() {
    let named = |path: &str| {
        objects_of(path)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<BTreeSet<_>>()
    };
    let whole = named("deploy/bulward.yaml");
    for path in [
        "deploy/bulward.yaml",
        "deploy/external-etcd.yaml",
        "deploy/cert-manager.yaml",
    ] {
        let objects = objects_of(path);
        assert_eq!(named(path).len(), objects.len(), "{path}: an object is there twice");
        for name in ["Deployment bulward-apiserver", "Deployment bulward-controller-manager"] {
            assert!(named(path).contains(name), "{path}: {name}");
        }
        let keeper = objects.iter().find(|(name, _)| name == "Role bulward:certs");
        let keeper = keeper
            .map(|(_, role)| role["rules"][1]["resourceNames"].to_string())
            .unwrap_or_default();
        for (name, object) in objects
            .iter()
            .filter(|(_, object)| object["spec"]["template"].is_object())
        {
            let volumes = object["spec"]["template"]["spec"]["volumes"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            for secret in volumes
                .iter()
                .filter_map(|volume| volume["secret"]["secretName"].as_str())
            {
                let made = match path {
                    "deploy/cert-manager.yaml" => named(path).contains(&format!("Certificate {secret}")),
                    "deploy/external-etcd.yaml" if secret == "bulward-apiserver-etcd" => true,
                    _ => keeper.contains(&format!("{secret:?}")),
                };
                assert!(made, "{path}: {name} mounts {secret}");
            }
        }
    }
    let without = |path: &str| whole.difference(&named(path)).cloned().collect::<Vec<_>>();
    assert_eq!(
        without("deploy/external-etcd.yaml"),
        [
            "PodDisruptionBudget bulward-etcd",
            "Service bulward-etcd",
            "StatefulSet bulward-etcd"
        ]
    );
    assert!(
        without("deploy/cert-manager.yaml")
            .iter()
            .all(|name| name.ends_with("certs"))
    );
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
    assert!(printed.starts_with("# All of it"));
    assert!(printed.contains("caBundle: YSBjZXJ0aWZpY2F0ZQ=="));

    options.output_dir = Some(folder.path().join("out"));
    run(&registry::tenancy(), &options, &mut Vec::new()).expect("writing works");
    let read = |path: &str| std::fs::read_to_string(folder.path().join("out").join(path)).expect("the file is there");
    assert_eq!(printed, read("deploy/bulward.yaml"));
    assert!(printed.contains(&read("apiservice/apiservice.yaml")));

    // The variants are printed when they are asked for.
    for (path, etcd_servers, cert_manager) in [
        (
            "deploy/external-etcd.yaml",
            Some("https://etcd.example.com:2379".to_owned()),
            false,
        ),
        ("deploy/cert-manager.yaml", None, true),
    ] {
        let options = Options {
            etcd_servers,
            cert_manager,
            output_dir: None,
            ..options.clone()
        };
        let mut printed = Vec::new();
        run(&registry::tenancy(), &options, &mut printed).expect("printing works");
        assert_eq!(String::from_utf8(printed).expect("text"), read(path));
    }

    options.ca_file = Some(folder.path().join("missing.crt"));
    let error = run(&registry::tenancy(), &options, &mut Vec::new()).expect_err("there is no such file");
    assert!(error.to_string().contains("missing.crt: "), "{error}");
}
