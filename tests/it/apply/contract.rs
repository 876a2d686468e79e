//! What is promised of server-side apply, over the wire, one test a promise.

use http::Method;
use serde_json::{Value, json};

use crate::harness::in_process::{Answer, Caller, memory};
use crate::harness::tenancy::{World, an_organization, as_stored, organization, organizations, stored, user};

const VERSION: &str = "storage.bulward.io/v1alpha1";

/// One Organization and an administrator who writes it by the storage view.
struct Subject {
    world: World,
    path: String,
}

impl Subject {
    async fn new() -> Self {
        let world = World::new(memory().await).await;
        Self {
            world,
            path: stored(&organization("acme")),
        }
    }

    fn admin(&self) -> &Caller {
        &self.world.admin
    }

    async fn send(&self, method: Method, media: &str, path: &str, query: &str, body: &Value) -> Answer {
        let path = format!("{path}?{query}");
        self.admin().with_body(method, &path, media, body).await
    }

    async fn apply(&self, query: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, "application/apply-patch+yaml", &self.path, query, body)
            .await
    }

    async fn merge(&self, query: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, "application/merge-patch+json", &self.path, query, body)
            .await
    }

    async fn put(&self, query: &str, body: &Value) -> Answer {
        self.send(Method::PUT, "application/json", &self.path, query, body)
            .await
    }

    async fn create(&self, manager: &str, body: &Value) -> Value {
        let path = stored(&organizations());
        let query = format!("fieldManager={manager}");
        self.send(Method::POST, "application/json", &path, &query, body)
            .await
            .expect(201)
    }
}

fn acme() -> Value {
    as_stored(an_organization("acme", &[user("alice")]))
}

fn labelled(labels: Value) -> Value {
    let mut body = acme();
    body["metadata"]["labels"] = labels;
    body
}

/// Without owners, which somebody else applies.
fn only_labels(labels: Value) -> Value {
    let mut body = labelled(labels);
    body.as_object_mut().unwrap().remove("spec");
    body
}

/// The managers with their operation and subresource, in the order of the object.
fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries
        .map(|entry| {
            format!(
                "{} {} {}",
                text(entry, "manager"),
                text(entry, "operation"),
                text(entry, "subresource")
            )
            .trim_end()
            .to_owned()
        })
        .collect()
}

/// Reason, message and field of each cause.
fn causes(status: &Value) -> Vec<[&str; 3]> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let parts = ["reason", "message", "field"];
    causes
        .map(|cause| parts.map(|part| cause[part].as_str().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn one_conflict_names_manager_version_and_field() {
    let subject = Subject::new().await;
    subject.create("maker", &labelled(json!({"a": "1"}))).await;
    let text = format!("conflict with \"maker\" using {VERSION}");
    let status = subject
        .apply("fieldManager=m", &labelled(json!({"a": "2"})))
        .await
        .refused_with(
            409,
            "Conflict",
            &format!("Apply failed with 1 conflict: {text}: .metadata.labels.a"),
        );
    assert_eq!(
        causes(&status),
        [["FieldManagerConflict", text.as_str(), ".metadata.labels.a"]]
    );
    // nothing was written
    assert_eq!(
        managers(&subject.admin().get(&subject.path).await.expect(200)),
        ["maker Update"]
    );
}

#[tokio::test]
async fn many_conflicts_are_told_by_manager() {
    let subject = Subject::new().await;
    subject
        .apply("fieldManager=first", &labelled(json!({"a": "1", "b": "1"})))
        .await
        .expect(201);
    subject
        .merge("fieldManager=second", &json!({"metadata": {"labels": {"c": "1"}}}))
        .await
        .expect(200);
    let wanted = labelled(json!({"a": "2", "b": "2", "c": "2"}));
    let status = subject.apply("fieldManager=third", &wanted).await.refused_with(
        409,
        "Conflict",
        &format!(
            "Apply failed with 3 conflicts: conflicts with \"first\":\n- .metadata.labels.a\n- .metadata.labels.b\nconflicts \
             with \"second\" using {VERSION}:\n- .metadata.labels.c"
        ),
    );
    assert_eq!(causes(&status).len(), 3);
}

#[tokio::test]
async fn force_takes_fields_from_their_owners() {
    let subject = Subject::new().await;
    subject
        .apply("fieldManager=first", &labelled(json!({"a": "1", "b": "1"})))
        .await
        .expect(201);
    let taken = subject
        .apply("fieldManager=second&force=true", &labelled(json!({"a": "2"})))
        .await
        .expect(200);
    assert_eq!(taken["metadata"]["labels"], json!({"a": "2", "b": "1"}));
    let refused = subject
        .apply("fieldManager=first", &labelled(json!({"a": "1", "b": "1"})))
        .await
        .refused(409, "Conflict");
    assert_eq!(
        causes(&refused),
        [["FieldManagerConflict", "conflict with \"second\"", ".metadata.labels.a"]]
    );
}

#[tokio::test]
async fn a_shared_field_stays_until_its_last_owner_drops_it() {
    let subject = Subject::new().await;
    subject
        .apply("fieldManager=first", &labelled(json!({"a": "1"})))
        .await
        .expect(201);
    subject
        .apply("fieldManager=second", &labelled(json!({"a": "1"})))
        .await
        .expect(200);
    let kept = subject.apply("fieldManager=first", &acme()).await.expect(200);
    assert_eq!(kept["metadata"]["labels"], json!({"a": "1"}));
    let gone = subject.apply("fieldManager=second", &acme()).await.expect(200);
    assert_eq!(gone["metadata"].get("labels"), None);
}

#[tokio::test]
async fn a_field_is_transferred_by_sharing_and_dropping() {
    let subject = Subject::new().await;
    subject
        .apply("fieldManager=first", &labelled(json!({"a": "1"})))
        .await
        .expect(201);
    subject
        .apply("fieldManager=second", &only_labels(json!({"a": "1"})))
        .await
        .expect(200);
    subject.apply("fieldManager=first", &acme()).await.expect(200);
    let moved = subject
        .apply("fieldManager=second", &only_labels(json!({"a": "2"})))
        .await
        .expect(200);
    assert_eq!(moved["metadata"]["labels"], json!({"a": "2"}), "it is second's alone");
    // and to one who does not apply: the applier leaves what an updater has written since
    subject
        .merge("fieldManager=controller", &json!({"metadata": {"labels": {"a": "3"}}}))
        .await
        .expect(200);
    let left = subject
        .apply("fieldManager=second", &only_labels(json!({})))
        .await
        .expect(200);
    assert_eq!(left["metadata"]["labels"], json!({"a": "3"}));
}

#[tokio::test]
async fn kubectl_migrates_from_client_side_apply() {
    let subject = Subject::new().await;
    let mut body = labelled(json!({"a": "1", "b": "1"}));
    // as people write it: without the apiGroup that is filled in
    body["spec"]["owners"] = json!([{"kind": "User", "name": "alice"}]);
    let applied = body.to_string();
    body["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    subject.create("kubectl-client-side-apply", &body).await;
    let mut wanted = labelled(json!({"a": "2"}));
    wanted["spec"]["owners"] = json!([{"kind": "User", "name": "alice"}, {"kind": "User", "name": "bob"}]);
    subject
        .apply("fieldManager=other", &wanted)
        .await
        .refused(409, "Conflict");
    let migrated = subject.apply("fieldManager=kubectl", &wanted).await.expect(200);
    assert_eq!(migrated["metadata"]["labels"], json!({"a": "2", "b": "1"}));
    assert_eq!(migrated["spec"]["owners"], json!([user("alice"), user("bob")]));
    let annotation = &migrated["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let kept: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    assert_eq!(kept, wanted, "kept up to date, in the words of the user");
}

#[tokio::test]
async fn two_who_apply_the_same_file_agree() {
    let subject = Subject::new().await;
    let mut body = acme();
    body["spec"]["owners"] = json!([{"kind": "User", "name": "alice"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiGroup": ""}]);
    let first = subject.apply("fieldManager=first", &body).await.expect(201);
    let second = subject.apply("fieldManager=second", &body).await.expect(200);
    // as in Kubernetes, the entry of somebody who changed nothing has no time, and stands first
    assert_eq!(managers(&second), ["second Apply", "first Apply"]);
    assert_eq!(second["spec"], first["spec"]);
    let again = subject.apply("fieldManager=first", &body).await.expect(200);
    assert_eq!(again, second, "and nothing is written when nothing changes");
}

#[tokio::test]
async fn an_apply_creates_with_201_and_leaves_nothing_in_a_dry_run() {
    let subject = Subject::new().await;
    let dry = subject.apply("fieldManager=m&dryRun=All", &acme()).await.expect(201);
    assert_eq!(managers(&dry), ["m Apply"]);
    subject.admin().get(&subject.path).await.refused(404, "NotFound");
    let created = subject.apply("fieldManager=m", &acme()).await.expect(201);
    let rehearsed = subject
        .apply("fieldManager=m&dryRun=All", &labelled(json!({"a": "1"})))
        .await
        .expect(200);
    assert_eq!(rehearsed["metadata"]["labels"], json!({"a": "1"}));
    assert_eq!(subject.admin().get(&subject.path).await.expect(200), created);
}

#[tokio::test]
async fn an_apply_without_a_change_writes_nothing() {
    let subject = Subject::new().await;
    let created = subject
        .apply("fieldManager=m", &labelled(json!({"a": "1"})))
        .await
        .expect(201);
    let again = subject
        .apply("fieldManager=m&force=true", &labelled(json!({"a": "1"})))
        .await
        .expect(200);
    assert_eq!(again, created, "resourceVersion and times are the same");
    let other = subject
        .apply("fieldManager=n", &only_labels(json!({"a": "1"})))
        .await
        .expect(200);
    assert_ne!(
        other["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"],
        "a second owner is a change"
    );
}

#[tokio::test]
async fn the_record_is_reset_by_an_empty_entry() {
    let subject = Subject::new().await;
    let mut body = subject.create("maker", &acme()).await;
    // an empty list is none to a CustomResource
    body["metadata"]["managedFields"] = json!([]);
    let kept = subject.put("fieldManager=m", &body).await.expect(200);
    assert_eq!(managers(&kept), ["maker Update"]);
    body["metadata"]["managedFields"] = json!([{}]);
    let bare = subject.put("fieldManager=m", &body).await.expect(200);
    assert_eq!(bare["metadata"].get("managedFields"), None);
    // nothing is tracked until somebody applies
    let patch = json!({"metadata": {"labels": {"x": "y"}}});
    let patched = subject.merge("fieldManager=p", &patch).await.expect(200);
    assert_eq!(patched["metadata"].get("managedFields"), None);
    let labels = only_labels(json!({"a": "1"}));
    let applied = subject.apply("fieldManager=m", &labels).await.expect(200);
    assert_eq!(managers(&applied), ["m Apply", "before-first-apply Update"]);
}

#[tokio::test]
async fn an_invalid_record_is_ignored() {
    let subject = Subject::new().await;
    let mut body = subject.create("maker", &acme()).await;
    body["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Nope"}]);
    let kept = subject.put("fieldManager=m", &body).await.expect(200);
    assert_eq!(managers(&kept), ["maker Update"]);
}

#[tokio::test]
async fn status_has_entries_of_its_own_and_owns_nothing_else() {
    let subject = Subject::new().await;
    let created = subject
        .apply("fieldManager=m", &labelled(json!({"a": "1"})))
        .await
        .expect(201);
    let path = format!("{}/status", subject.path);
    let mut body = labelled(json!({"a": "2", "z": "1"}));
    body["status"] = json!({"phase": "Ready"});
    let media = "application/apply-patch+yaml";
    let written = subject
        .send(Method::PATCH, media, &path, "fieldManager=m", &body)
        .await
        .expect(200);
    assert_eq!(
        written["metadata"]["labels"], created["metadata"]["labels"],
        "metadata is not the status'"
    );
    assert_eq!(managers(&written), ["m Apply", "m Apply status"]);
    let entries = written["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {"f:phase": {}}}));
    body["metadata"]["uid"] = json!("zzz");
    let same = subject
        .send(Method::PATCH, media, &path, "fieldManager=m", &body)
        .await
        .expect(200);
    assert_eq!(same["metadata"], written["metadata"], "nor is another's uid");
    body["status"]["phase"] = json!("NotReady");
    let text = "conflict with \"m\" with subresource \"status\"";
    let refused = subject
        .send(Method::PATCH, media, &path, "fieldManager=n", &body)
        .await
        .refused_with(
            409,
            "Conflict",
            &format!("Apply failed with 1 conflict: {text}: .status.phase"),
        );
    assert_eq!(causes(&refused), [["FieldManagerConflict", text, ".status.phase"]]);
    let updated = subject
        .send(
            Method::PATCH,
            "application/merge-patch+json",
            &path,
            "fieldManager=u",
            &json!({"status": {"phase": "NotReady"}}),
        )
        .await
        .expect(200);
    assert_eq!(managers(&updated), ["m Apply", "u Update status"]);
}

#[tokio::test]
async fn of_more_than_ten_updaters_the_oldest_become_ancient_changes() {
    let subject = Subject::new().await;
    subject.create("maker", &acme()).await;
    let mut last = Value::Null;
    for number in 0..14 {
        let patch = json!({"metadata": {"labels": {format!("l{number}"): "x"}}});
        last = subject
            .merge(&format!("fieldManager=m{number}"), &patch)
            .await
            .expect(200);
    }
    let managers = managers(&last);
    assert_eq!(managers.len(), 10, "{managers:?}");
    assert!(managers.contains(&"ancient-changes Update".to_owned()), "{managers:?}");
    subject
        .apply("fieldManager=a", &only_labels(json!({"l0": "y"})))
        .await
        .refused_with(
            409,
            "Conflict",
            &format!(
                "Apply failed with 1 conflict: conflict with \"ancient-changes\" using {VERSION}: .metadata.labels.l0"
            ),
        );
}

#[tokio::test]
async fn an_apply_needs_a_manager_and_no_record() {
    let subject = Subject::new().await;
    subject.apply("", &acme()).await.refused_with(
        422,
        "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    );
    let mut body = acme();
    body["metadata"]["managedFields"] = json!([]);
    subject
        .apply("fieldManager=m", &body)
        .await
        .refused_with(400, "BadRequest", "metadata.managedFields must be nil");
    body["metadata"]["managedFields"] = json!(null);
    subject.apply("fieldManager=m", &body).await.expect(201);
}

#[tokio::test]
async fn uid_and_resource_version_are_preconditions() {
    let subject = Subject::new().await;
    let with = |key: &str, value: &Value| {
        let mut body = labelled(json!({"a": "1"}));
        body["metadata"][key] = value.clone();
        body
    };
    subject.apply("fieldManager=m", &with("uid", &json!("zzz"))).await.refused_with(
        409,
        "Conflict",
        "Operation cannot be fulfilled on organizations.storage.bulward.io \"acme\": uid mismatch: the provided object \
         specified uid zzz, and no existing object was found",
    );
    let created = subject.apply("fieldManager=m", &acme()).await.expect(201);
    subject
        .apply("fieldManager=m", &with("uid", &json!("zzz")))
        .await
        .refused(422, "Invalid");
    subject
        .apply("fieldManager=m", &with("resourceVersion", &json!("1")))
        .await
        .refused(409, "Conflict");
    let version = &created["metadata"]["resourceVersion"];
    subject
        .apply("fieldManager=m", &with("resourceVersion", version))
        .await
        .expect(200);
}

#[tokio::test]
async fn an_unknown_field_is_500_in_every_validation() {
    let subject = Subject::new().await;
    let mut body = acme();
    body["spec"]["bogus"] = json!(1);
    for validation in ["Strict", "Warn", "Ignore"] {
        let answer = subject
            .apply(&format!("fieldManager=m&fieldValidation={validation}"), &body)
            .await;
        assert_eq!(answer.code, 500, "{}", answer.text());
        let status = answer.json();
        assert_eq!(status.get("reason"), None);
        assert_eq!(
            status["message"],
            format!(
                "failed to create typed patch object (/acme; {VERSION}, Kind=Organization): .spec.bogus: field not declared in \
                 schema"
            )
        );
    }
}

#[tokio::test]
async fn keys_that_are_given_twice_are_told() {
    let subject = Subject::new().await;
    let yaml = format!(
        "apiVersion: {VERSION}\nkind: Organization\nmetadata:\n  name: acme\n  labels: {{a: x, a: z}}\nspec:\n  owners: [{{kind: User, name: alice}}]\n"
    );
    let headers = [("content-type", "application/apply-patch+yaml")];
    let send = async |query: &str| {
        let path = format!("{}?fieldManager=m&{query}", subject.path);
        subject.admin().send(Method::PATCH, &path, &headers, yaml.clone()).await
    };
    let message = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 5: key \"a\" \
                   already set in map";
    send("fieldValidation=Strict")
        .await
        .refused_with(400, "BadRequest", message);
    let warned = send("dryRun=All").await;
    let labels = &warned.expect(201)["metadata"]["labels"];
    assert_eq!(labels, &json!({"a": "z"}), "the last one counts");
    let warning = "299 - \"line 5: key \\\"a\\\" already set in map\"";
    assert_eq!(warned.header("warning"), Some(warning));
    let ignored = send("fieldValidation=Ignore").await;
    assert_eq!(ignored.header("warning"), None);
    ignored.expect(201);
}

#[tokio::test]
async fn what_is_nested_too_deep_is_refused() {
    let subject = Subject::new().await;
    subject.create("maker", &acme()).await;
    let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let start = format!("{{\"apiVersion\":\"{VERSION}\",\"kind\":\"Organization\",\"metadata\":{{\"name\":\"acme\"}}");
    for depth in [200, 20_000, 400_000] {
        let bodies = [
            format!("{start},\"spec\":{}}}", deep(depth)),
            format!("{start},\"status\":{{\"x\":{}}}}}", deep(depth)),
        ];
        for body in bodies {
            for media in ["application/apply-patch+yaml", "application/merge-patch+json"] {
                let path = format!("{}?fieldManager=m", subject.path);
                let answer = subject
                    .admin()
                    .send(Method::PATCH, &path, &[("content-type", media)], body.clone())
                    .await;
                assert!((400..=500).contains(&answer.code), "{depth} {media}: {}", answer.code);
            }
        }
    }
    subject.admin().get(&subject.path).await.expect(200);
}
