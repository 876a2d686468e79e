//! kube-rs: every verb of its `Api` as a transcript.

use futures::StreamExt;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
    WatchParams,
};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{await_condition, conditions};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{SOON, subjects};
use super::Case;

/// The steps, and what came of them.
pub(super) struct Steps {
    api: Api<DynamicObject>,
    resource: ApiResource,
    owner: &'static str,
    lines: Vec<Value>,
}

/// Runs all steps.
pub(super) async fn transcript(client: kube::Client, group: &str, case: &Case) -> Vec<Value> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1alpha1", case.kind));
    let api = match case.namespace {
        "" => Api::all_with(client, &resource),
        namespace => Api::namespaced_with(client, namespace, &resource),
    };
    let mut steps = Steps {
        api,
        resource,
        owner: case.user,
        lines: Vec::new(),
    };
    steps.writes().await;
    steps.patches().await;
    if case.status {
        steps.statuses().await;
    }
    steps.lists().await;
    steps.watches().await;
    steps.deletions().await;
    steps.lines
}

impl Steps {
    fn step<T: Serialize>(&mut self, step: &str, result: Result<T, kube::Error>) -> Option<T> {
        let line = match &result {
            Ok(result) => json!({"step": step, "result": result}),
            Err(kube::Error::Api(status)) => json!({"step": step, "error": status}),
            Err(error) => json!({"step": step, "error": error.to_string()}),
        };
        self.lines.push(line);
        result.ok()
    }

    fn object(&self, name: &str) -> DynamicObject {
        let mut object = DynamicObject::new(name, &self.resource);
        object.metadata.labels = Some([("made-by".to_owned(), "kube-rs".to_owned())].into());
        object.metadata.namespace = None;
        object.data = json!({"spec": {"owners": subjects(&[self.owner])}});
        if self.resource.kind == "Organization" {
            object.data["spec"]["metadata"] = json!({"displayName": "kube-rs", "description": "made by kube-rs"});
        }
        describe(&mut object, "made by kube-rs");
        object
    }

    fn body(&self, name: &str, mut fields: Value) -> Value {
        fields["metadata"]["name"] = json!(name);
        fields["apiVersion"] = json!(self.resource.api_version);
        fields["kind"] = json!(self.resource.kind);
        fields
    }

    async fn writes(&mut self) {
        let plain = PostParams::default();
        let api = self.api.clone();
        let made = api.create(&plain, &self.object("rs-a")).await;
        let made = self.step("create", made);
        self.step("create again", api.create(&plain, &self.object("rs-a")).await);
        let dry = PostParams {
            dry_run: true,
            field_manager: Some("dry".to_owned()),
        };
        self.step("create dry", api.create(&dry, &self.object("rs-dry")).await);
        self.step("get", api.get("rs-a").await);
        self.step("get what is absent", api.get("rs-absent").await);
        self.step("get what may be", api.get_opt("rs-absent").await);
        self.step("get metadata", api.get_metadata("rs-a").await);
        let Some(mut made) = made else { return };
        let stale = made.clone();
        describe(&mut made, "replaced");
        self.step("replace", api.replace("rs-a", &plain, &made).await);
        self.step("replace what has changed", api.replace("rs-a", &plain, &stale).await);

        let entry = api.entry("rs-entry").await.unwrap();
        let object = self.object("rs-entry");
        let mut entry = entry.or_insert(|| object);
        let commit = |result: Result<(), kube::api::entry::CommitError>| match result {
            Err(kube::api::entry::CommitError::Save(error)) => Err(error),
            other => other.map_err(|error| panic!("{error}")),
        };
        self.step("entry: insert", commit(entry.commit(&plain).await));
        describe(entry.get_mut(), "entered");
        self.step("entry: change", commit(entry.commit(&plain).await));
        self.step("entry: as it is", Ok(entry.into_object()));
    }

    async fn patches(&mut self) {
        let api = self.api.clone();
        let plain = PatchParams {
            field_manager: Some("patcher".to_owned()),
            ..PatchParams::default()
        };
        let merge = Patch::Merge(json!({"metadata": {"annotations": {"merged": "yes"}}}));
        self.step("merge patch", api.patch("rs-a", &plain, &merge).await);
        self.step("merge patch of nothing", api.patch("rs-a", &plain, &merge).await);
        self.step("patch metadata", api.patch_metadata("rs-a", &plain, &merge).await);
        let strategic = Patch::Strategic(json!({"metadata": {"annotations": {"strategic": "yes"}}}));
        self.step("strategic merge patch", api.patch("rs-a", &plain, &strategic).await);
        let apply = Patch::Apply(self.body("rs-a", json!({"metadata": {"annotations": {"description": "applied"}}})));
        let manager = PatchParams::apply("applier");
        self.step("apply against somebody", api.patch("rs-a", &manager, &apply).await);
        self.step(
            "apply by force",
            api.patch("rs-a", &manager.clone().force(), &apply).await,
        );
        self.step(
            "apply dry",
            api.patch("rs-a", &manager.clone().force().dry_run(), &apply).await,
        );
        let new = Patch::Apply(self.body("rs-applied", json!({"spec": {"owners": subjects(&[self.owner])}})));
        self.step("apply what is new", api.patch("rs-applied", &manager, &new).await);
        self.step("patch what is absent", api.patch("rs-absent", &plain, &merge).await);
    }

    async fn statuses(&mut self) {
        let api = self.api.clone();
        let ready = Patch::Merge(json!({"status": {"phase": "Ready"}}));
        self.step(
            "patch status",
            api.patch_status("rs-a", &PatchParams::default(), &ready).await,
        );
        let applied = Patch::Apply(self.body("rs-a", json!({"status": {"phase": "NotReady"}})));
        let manager = PatchParams::apply("controller").force();
        self.step("apply status", api.patch_status("rs-a", &manager, &applied).await);
        let got = self.step("get status", api.get_status("rs-a").await);
        if let Some(mut object) = got {
            object.data["status"]["phase"] = json!("Ready");
            self.step(
                "replace status",
                api.replace_status("rs-a", &PostParams::default(), &object).await,
            );
        }
    }

    async fn lists(&mut self) {
        let api = self.api.clone();
        let mine = ListParams::default().labels("made-by=kube-rs");
        self.step("list", api.list(&mine).await);
        self.step("list metadata", api.list_metadata(&mine).await);
        self.step(
            "list by name",
            api.list(&ListParams::default().fields("metadata.name=rs-a")).await,
        );
        self.step(
            "list by an unknown field",
            api.list(&ListParams::default().fields("spec.x=y")).await,
        );
        let page = self.step("first page", api.list(&mine.clone().limit(1)).await);
        if let Some(token) = page.and_then(|page| page.metadata.continue_) {
            self.step(
                "second page",
                api.list(&mine.clone().limit(1).continue_token(&token)).await,
            );
        }
    }

    async fn watches(&mut self) {
        let api = self.api.clone();
        let revision = api
            .list(&ListParams::default())
            .await
            .unwrap()
            .metadata
            .resource_version;
        let revision = revision.unwrap_or_default();
        let selected = WatchParams::default().labels("made-by=kube-rs,watched");
        let mut events = api.watch(&selected, &revision).await.unwrap().boxed();
        let mut metadata = api.watch_metadata(&selected, &revision).await.unwrap().boxed();
        for value in [json!("1"), json!("2"), Value::Null] {
            let patch = Patch::Merge(json!({"metadata": {"labels": {"watched": value}}}));
            api.patch("rs-a", &PatchParams::default(), &patch).await.unwrap();
        }
        for _ in 0..3 {
            let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
            self.step("watch", event);
            let event = tokio::time::timeout(SOON, metadata.next()).await.unwrap().unwrap();
            self.step("watch metadata", event);
        }
        let streaming = WatchParams::default().labels("made-by=kube-rs").initial_events();
        let mut events = api.watch(&streaming, "").await.unwrap().boxed();
        for _ in 0..3 {
            let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
            self.step("streaming list", event);
        }
    }

    async fn deletions(&mut self) {
        let api = self.api.clone();
        let other = DeleteParams::default().preconditions(Preconditions {
            uid: Some("00000000-0000-0000-0000-000000000000".to_owned()),
            resource_version: None,
        });
        self.delete("delete another one's", "rs-a", &other).await;
        self.delete("delete dry", "rs-a", &DeleteParams::default().dry_run())
            .await;
        let held = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/held"]}}));
        let held = self.step(
            "add a finalizer",
            api.patch("rs-a", &PatchParams::default(), &held).await,
        );
        self.delete("delete what is held", "rs-a", &DeleteParams::background())
            .await;
        self.step("get what is going", api.get("rs-a").await);
        if let Some(uid) = held.and_then(|object| object.metadata.uid) {
            let gone = await_condition(api.clone(), "rs-a", conditions::is_deleted(&uid));
            let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let plain = PatchParams::default();
            let patching = api.patch("rs-a", &plain, &free);
            let (gone, freed) = tokio::join!(tokio::time::timeout(SOON, gone), patching);
            self.step("remove the finalizer", freed);
            assert!(gone.is_ok_and(|gone| gone.is_ok()), "kube-rs waits until it has gone");
        }
        self.delete("delete what has gone", "rs-a", &DeleteParams::default())
            .await;
        let mine = ListParams::default().labels("made-by=kube-rs");
        for (step, parameters) in [
            ("delete all dry", DeleteParams::default().dry_run()),
            ("delete all", DeleteParams::default()),
        ] {
            let answer = api.delete_collection(&parameters, &mine).await;
            let answer = answer.map(|answer| answer.either(|list| json!(list), |status| json!(status)));
            self.step(step, answer);
        }
        self.step("list what is left", api.list(&mine).await);
        self.delete("delete the last", "rs-applied", &DeleteParams::default())
            .await;
    }

    async fn delete(&mut self, step: &str, name: &str, parameters: &DeleteParams) {
        let answer = self.api.delete(name, parameters).await;
        let answer = answer.map(|answer| answer.either(|object| json!(object), |status| json!(status)));
        self.step(step, answer);
    }
}

/// Changes a field that every kind has.
fn describe(object: &mut DynamicObject, text: &str) {
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert("description".to_owned(), text.to_owned());
}
