//! Random roles and bindings: kube-apiserver and we decide the same, and refuse the same grants.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{RBAC, binding, namespace, role, start, user};
use crate::harness::in_process::Caller;
use crate::harness::{ControlPlane, eventually};
use std::time::Duration;

const QUESTIONS: usize = 150;
const SOON: Duration = Duration::from_secs(120);

struct Random {
    rng: StdRng,
    /// What all names start with: the control plane is everybody's.
    prefix: String,
}

impl Random {
    fn one(&mut self, of: &[&'static str]) -> &'static str {
        of.choose(&mut self.rng).copied().unwrap()
    }

    fn named(&mut self, what: &str, of: &[&'static str]) -> String {
        let one = self.one(of);
        format!("{}-{what}-{one}", self.prefix)
    }

    fn some(&mut self, of: &[&'static str], most: usize) -> Vec<&'static str> {
        (0..self.rng.random_range(1..=most)).map(|_| self.one(of)).collect()
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    fn rule(&mut self, namespaced: bool) -> Value {
        let verbs = self.some(&["get", "list", "update", "delete", "*"], 2);
        if !namespaced && self.chance(3) {
            return json!({"verbs": verbs, "nonResourceURLs": self.some(&["/a", "/a/*", "/b*", "*", "/c/d"], 2)});
        }
        let resources = ["things", "things/status", "others", "*/status", "*", "*/scale"];
        let mut rule = json!({
            "verbs": verbs,
            "apiGroups": self.some(&["", "g.io", "h.io", "*"], 2),
            "resources": self.some(&resources, 2),
        });
        if self.chance(3) {
            rule["resourceNames"] = json!(self.some(&["x", "y"], 2));
        }
        rule
    }

    fn role(&mut self, kind: &str, number: usize) -> Value {
        let rules: Vec<Value> = (0..self.rng.random_range(0..3))
            .map(|_| self.rule(kind == "Role"))
            .collect();
        role(kind, &format!("{}-{number}", self.prefix), json!(rules))
    }

    fn subjects(&mut self) -> Value {
        let subject = match self.rng.random_range(0..4) {
            0 => {
                let name = self.named("group", &["a", "b"]);
                json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name})
            }
            1 => {
                let mut account = json!({"kind": "ServiceAccount", "name": "robot", "namespace": self.place()});
                if self.chance(3) {
                    account["name"] = json!("other");
                }
                account
            }
            _ => user(&self.person()),
        };
        json!([subject])
    }

    fn person(&mut self) -> String {
        self.named("user", &["a", "b", "c"])
    }

    fn place(&mut self) -> String {
        self.named("place", &["one", "two"])
    }

    /// The spec of a SubjectAccessReview.
    fn question(&mut self) -> Value {
        let who = match self.rng.random_range(0..3) {
            0 => format!(
                "system:serviceaccount:{}:{}",
                self.place(),
                self.one(&["robot", "other"])
            ),
            _ => self.person(),
        };
        let mut spec = json!({"user": who});
        if self.chance(2) {
            spec["groups"] = json!([self.named("group", &["a", "b"])]);
        }
        let verb = self.one(&["get", "list", "update", "delete", "create"]);
        if self.chance(4) {
            let path = self.one(&["/a", "/a/b", "/b", "/bc", "/c/d", "/c/d/e", "/z"]);
            spec["nonResourceAttributes"] = json!({"path": path, "verb": verb});
            return spec;
        }
        let mut asked = json!({
            "verb": verb,
            "group": self.one(&["", "g.io", "h.io", "i.io"]),
            "resource": self.one(&["things", "others", "more"]),
        });
        for (field, choices) in [("subresource", ["status", "scale"]), ("name", ["x", "z"])] {
            if self.chance(2) {
                asked[field] = json!(self.one(&choices));
            }
        }
        if !self.chance(4) {
            asked["namespace"] = json!(self.place());
        }
        spec["resourceAttributes"] = asked;
        spec
    }
}

async fn decided(caller: &Caller, spec: &Value) -> Value {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
    let answer = caller
        .post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review)
        .await;
    answer.expect(201)["status"]["allowed"].clone()
}

#[tokio::test]
async fn decisions_are_those_of_kube_apiserver() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = Random {
        rng: StdRng::seed_from_u64(seed),
        prefix: format!("cluster-roles-{seed:x}"),
    };
    let plane = ControlPlane::shared().await;
    let (server, _storage) = start().await;
    let sides = [Caller::through(plane.client("admin").await), server.admin()];
    let post = async |path: &str, object: &Value| {
        for side in &sides {
            side.post(path, object).await.expect(201);
        }
    };
    let places = ["one", "two"].map(|place| format!("{}-place-{place}", random.prefix));
    for place in &places {
        post("/api/v1/namespaces", &namespace(place)).await;
    }
    for number in 0..8 {
        let wide = random.role("ClusterRole", number);
        post(&format!("{RBAC}/clusterroles"), &wide).await;
        for place in &places {
            let narrow = random.role("Role", number);
            post(&format!("{RBAC}/namespaces/{place}/roles"), &narrow).await;
        }
    }
    for number in 0..8 {
        // one of the roles is not there
        let name = |random: &mut Random| format!("{}-{}", random.prefix, random.rng.random_range(0..9));
        let own = name(&mut random);
        if number % 2 == 0 {
            let role = name(&mut random);
            let wide = binding("ClusterRoleBinding", &own, ("ClusterRole", &role), random.subjects());
            let path = format!("{RBAC}/clusterrolebindings");
            for side in &sides {
                let code = side.post(&path, &wide).await.code;
                assert!(matches!(code, 201 | 409), "{code}");
            }
        }
        for place in &places {
            let role = name(&mut random);
            let kind = random.one(&["Role", "ClusterRole"]);
            let narrow = binding("RoleBinding", &format!("b-{number}"), (kind, &role), random.subjects());
            post(&format!("{RBAC}/namespaces/{place}/rolebindings"), &narrow).await;
        }
    }

    // Both read their roles from caches that follow what was written.
    let questions: Vec<Value> = (0..QUESTIONS).map(|_| random.question()).collect();
    let mut allowed = 0;
    for question in &questions {
        let what = format!("the same decision on {question} (seed {seed})");
        let same = eventually(&what, SOON, async || {
            let [original, ours] = [decided(&sides[0], question).await, decided(&sides[1], question).await];
            match original == ours {
                true => Ok(ours),
                false => Err(format!("kube-apiserver says {original}, we say {ours}")),
            }
        });
        allowed += usize::from(same.await == true);
    }
    println!("{allowed} of {QUESTIONS} allowed");
    assert!(
        (1..QUESTIONS).contains(&allowed),
        "{allowed} of {QUESTIONS}: the questions say nothing"
    );
}

/// What a caller may grant, by holding it, or by `bind` and `escalate`: the same refusals, word by word.
#[tokio::test]
async fn grants_are_refused_as_kube_apiserver_refuses_them() {
    let plane = ControlPlane::shared().await;
    let (server, _storage) = start().await;
    let (original, ours) = (Caller::through(plane.client("admin").await), server.admin());
    let place = "cluster-grants";
    let rules = |verbs: &[&str], resources: &[&str]| json!([{"verbs": verbs, "apiGroups": ["rbac.authorization.k8s.io"], "resources": resources}]);
    let some = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["events"]}]);
    let inside = |plural: &str| format!("{RBAC}/namespaces/{place}/{plural}");
    let write = rules(&["create", "update", "patch", "get"], &["roles", "rolebindings"]);
    for admin in [&original, &ours] {
        admin.post("/api/v1/namespaces", &namespace(place)).await.expect(201);
        for (name, rules) in [
            ("write", write.clone()),
            ("bind", rules(&["bind"], &["roles"])),
            ("escalate", rules(&["escalate"], &["roles"])),
            ("some", some.clone()),
        ] {
            admin
                .post(&inside("roles"), &role("Role", name, rules))
                .await
                .expect(201);
        }
        for (name, roles) in [
            ("grants-none", vec!["write"]),
            ("grants-some", vec!["write", "some"]),
            ("grants-bind", vec!["write", "bind"]),
            ("grants-escalate", vec!["write", "escalate"]),
        ] {
            for one in roles {
                let bound = binding(
                    "RoleBinding",
                    &format!("{name}-{one}"),
                    ("Role", one),
                    json!([user(name)]),
                );
                admin.post(&inside("rolebindings"), &bound).await.expect(201);
            }
        }
        admin
            .post(
                &inside("rolebindings"),
                &binding("RoleBinding", "kept", ("Role", "some"), json!([user("x")])),
            )
            .await
            .expect(201);
    }
    let mut wrong = Vec::new();
    for who in ["grants-none", "grants-some", "grants-bind", "grants-escalate"] {
        plane.add_user(who, &["grantors"]);
        let sides = [
            Caller::through(plane.client(who).await),
            server.user(who, &["grantors"]),
        ];
        let held = |name: &str| role("Role", &format!("{who}-{name}"), some.clone());
        let more = json!([{"verbs": ["get", "delete"], "apiGroups": ["", "x.io"], "resources": ["events", "a/b"], "resourceNames": ["n"]}]);
        let bound =
            |name: &str, role: (&str, &str)| binding("RoleBinding", &format!("{who}-{name}"), role, json!([user("y")]));
        let asks = [
            (inside("roles"), held("held")),
            (inside("roles"), role("Role", &format!("{who}-more"), more)),
            (inside("rolebindings"), bound("some", ("Role", "some"))),
            (inside("rolebindings"), bound("escalate", ("Role", "escalate"))),
            (
                inside("rolebindings"),
                bound("gone", ("ClusterRole", "cluster-grants-gone")),
            ),
        ];
        for (path, object) in asks {
            let path = format!("{path}?dryRun=All");
            let told = async |side: &Caller| {
                let answer = side.post(&path, &object).await;
                json!([answer.code, answer.json()["message"]])
            };
            // what kube-apiserver was told of roles a moment ago, it may not know yet
            let same = eventually_same(&told, &sides).await;
            wrong.extend(same.err().map(|why| format!("{who} {object}: {why}")));
        }
        let path = format!("{}/kept?dryRun=All", inside("rolebindings"));
        let told = async |side: &Caller| {
            let body = json!({"metadata": {"labels": {"a": "b"}}});
            let answer = side.merge(&path, &body).await;
            json!([answer.code, answer.json()["message"]])
        };
        wrong.extend(
            eventually_same(&told, &sides)
                .await
                .err()
                .map(|why| format!("{who} changes: {why}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn eventually_same(told: &impl AsyncFn(&Caller) -> Value, sides: &[Caller; 2]) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..600 {
        let (original, ours) = (told(&sides[0]).await, told(&sides[1]).await);
        if original == ours {
            return Ok(());
        }
        last = format!("\n  kube-apiserver: {original}\n  ours:           {ours}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(last)
}
