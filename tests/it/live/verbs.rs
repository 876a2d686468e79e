//! kubectl as alice, bob and carol: every everyday command, each user with their own.

use serde_json::json;

use super::{SOON, create, names, object, organization, project, set_status, subjects};
use crate::harness::{Bulward, eventually};

#[tokio::test]
async fn an_organization_from_create_to_delete() {
    let (plane, _server) = Bulward::shared().await;
    for (number, alice) in plane.all_kubectls("alice").into_iter().enumerate() {
        let name = format!("everyday-{number}");
        let yaml = |labels: &str| {
            format!(
                "apiVersion: apiserver.bulward.io/v1alpha1\nkind: Organization\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
                 spec:\n  metadata: {{displayName: Everyday, description: d}}\n  owners: [{{kind: User, name: alice}}]\n"
            )
        };
        let stdin = |text: &str| alice.clone().stdin(text);
        stdin(&yaml("a: b")).run(["apply", "-f", "-"]).await.ok();
        let diff = stdin(&yaml("a: c")).run(["diff", "-f", "-"]).await;
        assert_eq!(diff.status.code(), Some(1), "{diff}");
        assert!(diff.stdout.contains("+    a: c"), "{diff}");
        stdin(&yaml("a: c")).run(["apply", "-f", "-"]).await.ok();
        stdin(&yaml("a: c"))
            .run(["apply", "--dry-run=server", "-f", "-"])
            .await
            .ok();
        let refused = stdin(&yaml("a: b")).run(["create", "-f", "-"]).await.refused();
        assert!(refused.contains("AlreadyExists"), "{refused}");

        let own = ["organization", name.as_str()];
        let with = |verb: &str, rest: &[&str]| -> Vec<String> {
            [verb]
                .iter()
                .chain(&own)
                .chain(rest)
                .map(|word| (*word).to_owned())
                .collect()
        };
        alice.run(with("label", &["tier=gold"])).await.ok();
        alice.run(with("annotate", &["note=x"])).await.ok();
        alice
            .run(with(
                "patch",
                &[
                    "--type=merge",
                    "-p",
                    r#"{"spec":{"metadata":{"displayName":"Merged"}}}"#,
                ],
            ))
            .await
            .ok();
        let add =
            json!([{"op": "add", "path": "/spec/owners/-", "value": {"kind": "User", "name": "bob"}}]).to_string();
        alice.run(with("patch", &["--type=json", "-p", &add])).await.ok();
        let strategic = alice.run(with("patch", &["-p", "{}"])).await.refused();
        assert!(strategic.contains("application/merge-patch+json"), "{strategic}");
        let edited = alice.clone().env("KUBE_EDITOR", "sed -i s/Merged/Edited/");
        edited.run(with("edit", &[])).await.ok();
        let mut current = object(&alice, &own).await;
        assert_eq!(current["spec"]["metadata"]["displayName"], "Edited");
        assert_eq!(current["metadata"]["labels"], json!({"a": "c", "tier": "gold"}));
        assert_eq!(current["spec"]["owners"], json!(subjects(&["alice", "bob"])));
        current["spec"]["metadata"]["displayName"] = json!("Replaced");
        stdin(&current.to_string()).run(["replace", "-f", "-"]).await.ok();
        let stale = stdin(&current.to_string()).run(["replace", "-f", "-"]).await.refused();
        assert!(stale.contains("the object has been modified"), "{stale}");

        let table = alice.run(with("get", &["-o", "wide"])).await.ok();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[0],
            [
                "NAME",
                "DISPLAY",
                "NAME",
                "STATUS",
                "ROLE",
                "AGE",
                "NAMESPACE",
                "OWNERS",
                "MEMBERS"
            ]
        );
        assert_eq!(
            (lines[1][0], lines[1][1], lines[1][2]),
            (name.as_str(), "Replaced", "owner"),
            "{table}"
        );
        assert!(table.contains("alice,bob"), "{table}");
        let yaml_text = alice.run(with("get", &["-o", "yaml"])).await.ok();
        assert!(yaml_text.contains("kind: Organization"), "{yaml_text}");
        let described = alice.run(with("describe", &[])).await.ok();
        assert!(described.contains("Display Name:  Replaced"), "{described}");
        let listed = names(&alice, &["organizations", "-l", "tier=gold", "--chunk-size=1"]).await;
        assert!(listed.contains(&name), "{listed:?}");

        set_status(plane, &name, json!({"phase": "Ready"})).await;
        let condition = ["--for=jsonpath={.status.phase}=Ready", "--timeout=60s"];
        alice.run(with("wait", &condition)).await.ok();
        let ready = names(&alice, &["organizations", "--field-selector", "status.phase=Ready"]).await;
        assert!(ready.contains(&name), "{ready:?}");
        let unknown = alice
            .run(["get", "organizations", "--field-selector", "spec.x=y"])
            .await
            .refused();
        assert!(unknown.contains("field label not supported: spec.x"), "{unknown}");

        // bob owns it too, carol knows nothing of it.
        assert!(names(&plane.kubectl("bob"), &["organizations"]).await.contains(&name));
        let carol = plane.kubectl("carol");
        assert!(!names(&carol, &["organizations"]).await.contains(&name));
        for verb in ["get", "delete"] {
            let text = carol.run(with(verb, &[])).await.refused();
            assert!(
                text.contains(&format!("organizations.apiserver.bulward.io \"{name}\" not found")),
                "{text}"
            );
        }
        alice.run(with("delete", &["--wait", "--timeout=60s"])).await.ok();
        alice.run(with("get", &[])).await.refused();
    }
}

#[tokio::test]
async fn bad_input_is_told_by_its_field() {
    let (plane, _server) = Bulward::shared().await;
    let alice = plane.kubectl("alice");
    let mut cases = Vec::new();
    for (change, wanted) in [
        (
            json!({"spec": {"owners": [{"kind": "Robot", "name": "alice"}]}}),
            "spec.owners[0].kind: Unsupported value: \"Robot\"",
        ),
        (
            json!({"spec": {"owners": []}}),
            "spec.owners: Invalid value: 0: spec.owners in body should have at least 1 items",
        ),
        (
            json!({"metadata": {"name": "Not_A_Label"}}),
            "metadata.name: Invalid value: \"Not_A_Label\"",
        ),
        (json!({"metadata": {"name": "kube-mine"}}), "is reserved by \"kube-*\""),
        (json!({"spec": {"ownerz": []}}), "unknown field \"spec.ownerz\""),
        (
            json!({"spec": {"owners": subjects(&["bob"])}}),
            "cannot create organization you're not the owner of",
        ),
    ] {
        let mut body = organization("bad-input", &["alice"]);
        merge(&mut body, &change);
        cases.push((body.to_string(), wanted));
    }
    cases.push(("{".to_owned(), "error"));
    for (text, wanted) in cases {
        let refused = alice.clone().stdin(&text).run(["create", "-f", "-"]).await.refused();
        assert!(refused.contains(wanted), "{wanted:?} is not in {refused:?}");
    }
    for unknown in [
        json!({"apiVersion": "apiserver.bulward.io/v9"}),
        json!({"kind": "Organisation"}),
    ] {
        let mut body = organization("bad-input", &["alice"]);
        merge(&mut body, &unknown);
        let create = ["create", "--validate=false", "-f", "-"];
        let refused = alice.clone().stdin(&body.to_string()).run(create).await.refused();
        assert!(refused.contains("no matches for kind"), "{refused}");
    }
    assert!(
        !names(&alice, &["organizations"])
            .await
            .contains(&"bad-input".to_owned()),
        "nothing was stored"
    );
}

fn merge(into: &mut serde_json::Value, change: &serde_json::Value) {
    match (into.as_object_mut(), change.as_object()) {
        (Some(into), Some(change)) => {
            for (key, value) in change {
                merge(into.entry(key.clone()).or_insert(json!(null)), value);
            }
        }
        _ => into.clone_from(change),
    }
}

/// `create projects` comes from the administrator's RBAC, and V17 holds on top of it.
#[tokio::test]
async fn projects_need_a_role_and_a_membership() {
    let (plane, _server) = Bulward::shared().await;
    let (alice, carol, admin) = (plane.kubectl("alice"), plane.kubectl("carol"), plane.kubectl("admin"));
    create(plane, "alice", &organization("builders", &["alice"])).await;
    set_status(plane, "builders", json!({"namespace": {"name": "builders"}})).await;
    admin.run(["create", "namespace", "builders"]).await.ok();
    let web = |owner: &str| project("builders", &format!("of-{owner}"), &[owner]).to_string();
    let create = ["create", "-f", "-"];
    let refused = alice.clone().stdin(&web("alice")).run(create).await.refused();
    assert!(
        refused.contains(r#"cannot create resource "projects" in API group "apiserver.bulward.io""#),
        "{refused}"
    );

    let rule = "--resource=projects.apiserver.bulward.io";
    admin
        .run(["create", "role", "makers", "-n", "builders", "--verb=create", rule])
        .await
        .ok();
    let binding = [
        "create",
        "rolebinding",
        "makers",
        "-n",
        "builders",
        "--role=makers",
        "--user=alice",
        "--user=carol",
    ];
    admin.run(binding).await.ok();
    // Denials are remembered for some seconds.
    let created = async || {
        let got = alice.clone().stdin(&web("alice")).run(create).await;
        if got.status.success() { Ok(()) } else { Err(got) }
    };
    eventually("alice may create Projects", SOON, created).await;
    let refused = carol.clone().stdin(&web("carol")).run(create).await.refused();
    assert!(
        refused.contains("is forbidden: User \"carol\" cannot create resource \"projects\""),
        "{refused}"
    );
    assert_eq!(names(&alice, &["projects", "-n", "builders"]).await, ["of-alice"]);
    assert!(names(&carol, &["projects", "-A"]).await.is_empty());
    let table = alice.run(["get", "projects", "-A"]).await.ok();
    assert!(table.contains("builders") && table.contains("owner"), "{table}");
}

/// kube-apiserver resolves `--as`; we see the caller it names, with the groups it names, and nothing of the original.
#[tokio::test]
async fn impersonation_shows_what_the_other_sees() {
    let (plane, _server) = Bulward::shared().await;
    create(
        plane,
        "carol",
        &organization("for-a-group", &["carol", "group:testers"]),
    )
    .await;
    create(plane, "alice", &organization("of-alice", &["alice"])).await;
    let admin = plane.kubectl("admin");
    let seen = async |flags: &[&str]| {
        let arguments: Vec<&str> = ["organizations"].iter().chain(flags).copied().collect();
        names(&admin, &arguments).await
    };
    let everybody = "--as-group=system:authenticated";
    let carol = seen(&["--as=carol", everybody]).await;
    assert!(
        carol.contains(&"for-a-group".to_owned()) && !carol.contains(&"of-alice".to_owned()),
        "{carol:?}"
    );
    let tester = seen(&["--as=nobody-else", everybody, "--as-group=testers", "--as-uid=1234"]).await;
    assert_eq!(tester, ["for-a-group"]);
    assert!(seen(&["--as=nobody-else", everybody]).await.is_empty());
    assert!(
        seen(&["--as=testers", everybody]).await.is_empty(),
        "a user is not the group of its name"
    );
}
