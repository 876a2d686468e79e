//! What kube-apiserver and kubectl make of our documents once we are registered.

use serde_json::Value;

use super::{FILTERED, SOON, STORAGE, ask, get, object};
use crate::harness::{Bulward, GROUPS, eventually};

#[tokio::test]
async fn kubectl_finds_both_groups_and_prefers_the_filtered_one() {
    let (plane, _server) = Bulward::shared().await;
    for kubectl in plane.all_kubectls("alice") {
        let versions = kubectl.run(["api-versions"]).await.ok();
        let resources = kubectl.run(["api-resources", "--no-headers", "-o", "wide"]).await.ok();
        for (group, version) in GROUPS {
            let version = format!("{group}/{version}");
            assert!(versions.lines().any(|line| line == version), "{versions}");
            let own: Vec<Vec<&str>> = resources
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .filter(|words| words.contains(&version.as_str()))
                .collect();
            let verbs = "create,delete,deletecollection,get,list,patch,update,watch";
            let short = |name| (group == "storage.bulward.io").then_some(name);
            let expected = |plural, short: Option<&'static str>, namespaced, kind| {
                let words = [
                    Some(plural),
                    short,
                    Some(version.as_str()),
                    Some(namespaced),
                    Some(kind),
                    Some(verbs),
                ];
                words.into_iter().flatten().collect::<Vec<&str>>()
            };
            let mut all = vec![
                expected("organizations", short("iorg"), "false", "Organization"),
                expected("projects", short("iprj"), "true", "Project"),
            ];
            if group == "storage.bulward.io" {
                all.push(expected("roleoriginals", None, "true", "RoleOriginal"));
            }
            assert_eq!(own, all, "{resources}");
        }
        // Without a group: the filtered view, which alice may read and the other one she may not.
        let list = object(&kubectl, &["organizations"]).await;
        assert_eq!(list["kind"], "List", "{list}");
        let refused = kubectl.run(["get", "organizations.storage.bulward.io"]).await.refused();
        assert!(
            refused.contains(r#"User "alice" cannot list resource "organizations" in API group "storage.bulward.io""#),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn kubectl_explains_the_fields() {
    let (plane, _server) = Bulward::shared().await;
    for kubectl in plane.all_kubectls("alice") {
        let explain = async || {
            let got = kubectl.run(["explain", "organizations.spec.owners"]).await;
            if got.status.success() { Ok(got.stdout) } else { Err(got) }
        };
        let text = eventually("explain", SOON, explain).await;
        for wanted in [
            "GROUP:",
            "apiserver.bulward.io",
            "Subjects that own the Organization",
            "apiGroup",
            "-required-",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
        }
        let text = kubectl.run(["explain", "projects.status", "--recursive"]).await.ok();
        for wanted in ["conditions", "observedGeneration", "members"] {
            assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
        }
    }
}

#[tokio::test]
async fn kube_apiserver_merges_our_documents() {
    let (plane, _server) = Bulward::shared().await;
    let client = plane.client("admin").await;
    let paths = |document: &Value| -> Vec<String> {
        document["paths"]
            .as_object()
            .map(|all| all.keys().cloned().collect())
            .unwrap_or_default()
    };
    let merged = async || {
        let v2 = get(&client, "/openapi/v2").await.json();
        let found = paths(&v2);
        let wanted = [
            format!("{FILTERED}/organizations/{{name}}"),
            format!("{STORAGE}/namespaces/{{namespace}}/projects/{{name}}/status"),
        ];
        match wanted.iter().find(|path| !found.contains(path)) {
            None => Ok(v2),
            Some(path) => Err(format!("{path} is not in /openapi/v2 yet")),
        }
    };
    let v2 = eventually("/openapi/v2 is merged", SOON, merged).await;
    let definitions = v2["definitions"].as_object().unwrap();
    let organizations = definitions
        .keys()
        .filter(|name| name.starts_with("io.bulward.") && name.ends_with("v1alpha1.Organization"))
        .count();
    assert_eq!(organizations, 2, "one definition a view");
    for (group, version) in GROUPS {
        let key = format!("apis/{group}/{version}");
        let index = async || {
            let index = get(&client, "/openapi/v3").await.json();
            index["paths"][&key]["serverRelativeURL"]
                .as_str()
                .map(str::to_owned)
                .ok_or("not in the index yet")
        };
        let url = eventually(&format!("/openapi/v3 has {key}"), SOON, index).await;
        let document = get(&client, &url).await.json();
        assert!(
            paths(&document).contains(&format!("/{key}/organizations/{{name}}")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn the_aggregated_discovery_is_current_and_every_check_passes() {
    let (plane, _server) = Bulward::shared().await;
    let client = plane.client("alice").await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let request = http::Request::get("/apis").header("accept", accept);
    let document = ask(&client, request, "").await.unwrap().json();
    let groups = document["items"].as_array().unwrap();
    let place = |name: &str| {
        groups
            .iter()
            .position(|group| group["metadata"]["name"] == name)
            .unwrap()
    };
    for (group, version) in GROUPS {
        let versions = &groups[place(group)]["versions"];
        assert_eq!(versions[0]["version"], version);
        // A document that came too late (five seconds) or was not understood would leave the group stale.
        assert_eq!(versions[0]["freshness"], "Current", "{versions}");
        let service = object(&plane.kubectl("admin"), &["apiservice", &format!("{version}.{group}")]).await;
        let available = service["status"]["conditions"].as_array().unwrap();
        let available = available
            .iter()
            .find(|condition| condition["type"] == "Available")
            .unwrap();
        assert_eq!(
            (&available["status"], &available["reason"]),
            (&"True".into(), &"Passed".into())
        );
    }
    assert!(
        place("apiserver.bulward.io") < place("storage.bulward.io"),
        "the filtered view comes first"
    );
}
