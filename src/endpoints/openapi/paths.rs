//! The paths of the descriptors: which operations exist, what they take and what they answer.
//!
//! Descriptions, parameters and operation ids are those of k8s.io/apiserver pkg/endpoints/installer.go; media types and patch types are those of
//! CustomResources (k8s.io/apiextensions-apiserver pkg/controller/openapi/builder/builder.go), since our kinds have no protobuf either and strategic
//! merge patches are not served of them: were they listed, `kubectl apply` would send them.

use super::meta::{self, group_version_kind};
use super::operation::{Body, Operation, Path, Subject, identifier};
use super::schema;
use crate::rest::resource::{Group, Resource};
use crate::wire::names::{GroupVersion, group_path};

const ANYTHING: &[&str] = &["*/*"];
const OBJECT: &[&str] = &["application/json", "application/yaml"];
const LIST: &[&str] = &["application/json", "application/yaml", "application/json;stream=watch"];
/// The last one is for Kubernetes' own kinds alone.
const PATCH_OF_BUILTIN: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
];

const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
const LIST_OPTIONS: [&str; 11] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
];
const DELETE_OPTIONS: [&str; 5] = [
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];
const DELETE_COLLECTION: [&str; 14] = [
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "labelSelector",
    "limit",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
];

/// `/apis/`.
pub(super) fn root() -> Path {
    document(
        "/apis/".to_owned(),
        "apis",
        "getAPIVersions",
        "get available API versions",
        &meta::name("APIGroupList"),
        OBJECT,
    )
}

/// `/version/`.
pub(super) fn version() -> Path {
    let schema = "io.k8s.apimachinery.pkg.version.Info";
    let description = "get the version information for this server";
    document(
        "/version/".to_owned(),
        "version",
        "getCodeVersion",
        description,
        schema,
        &["application/json"],
    )
}

/// `/apis/<group>/`, or `/api/`.
pub(super) fn group(group: &Group) -> Path {
    let (id, description, answer) = match group.is_legacy() {
        true => ("APIVersions", "get available API versions", "APIVersions"),
        false => ("APIGroup", "get information of a group", "APIGroup"),
    };
    document(
        format!("{}/", group_path(&group.name)),
        &identifier(called(&group.name), false),
        &format!("get{}{id}", identifier(called(&group.name), true)),
        description,
        &meta::name(answer),
        OBJECT,
    )
}

/// What operations call a group.
fn called(group: &str) -> &str {
    if group.is_empty() { "core" } else { group }
}

/// `/apis/<group>/<version>/`, or `/api/<version>/`.
pub(super) fn group_version(group: &Group, version: &str) -> Path {
    let path = format!("{}/", GroupVersion::new(&group.name, version).path());
    let id = format!(
        "get{}{}APIResources",
        identifier(called(&group.name), true),
        identifier(version, true)
    );
    let tag = format!(
        "{}_{}",
        identifier(called(&group.name), false),
        identifier(version, false)
    );
    document(
        path,
        &tag,
        &id,
        "get available resources",
        &meta::name("APIResourceList"),
        OBJECT,
    )
}

fn document(
    path: String,
    tag: &str,
    id: &str,
    description: &str,
    schema: &str,
    produces: &'static [&'static str],
) -> Path {
    let operation = Operation {
        method: "get",
        id: id.to_owned(),
        tag: tag.to_owned(),
        description: description.to_owned(),
        parameters: Vec::new(),
        body: None,
        consumes: produces,
        codes: &[200],
        response: schema.to_owned(),
        produces,
        subject: None,
    };
    Path {
        path,
        parameters: Vec::new(),
        operations: vec![operation],
    }
}

/// All paths of a resource.
pub(super) fn resource(resource: &Resource) -> Vec<Path> {
    let typed = resource.stored.conventions.documented_as_typed();
    let maker = Maker { resource, typed };
    let kind = &resource.stored;
    let base = resource.group_version.path();
    let below = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let scope: &[&'static str] = if kind.namespaced { &["namespace"] } else { &[] };
    let collection = format!("{base}{below}/{}", kind.plural);
    let watched = format!("{base}/watch{below}/{}", kind.plural);
    let path = |path: String, groups: &[&[&'static str]], operations| {
        let mut parameters = groups.concat();
        parameters.sort_unstable();
        Path {
            path,
            parameters,
            operations,
        }
    };

    let mut paths = vec![
        path(collection.clone(), &[scope, &["pretty"]], maker.collection()),
        path(
            format!("{collection}/{{name}}"),
            &[scope, &["name", "pretty"]],
            maker.item(),
        ),
    ];
    // Served for CustomResources as well, but not published.
    if typed {
        paths.push(path(
            watched.clone(),
            &[scope, &["pretty"], &LIST_OPTIONS],
            vec![maker.watch_list("", "List")],
        ));
        paths.push(path(
            format!("{watched}/{{name}}"),
            &[scope, &["name", "pretty"], &LIST_OPTIONS],
            vec![maker.watch()],
        ));
    }
    for (name, _) in resource.subresources() {
        let operations = match name {
            "status" => maker.status(),
            _ => maker.finalize(),
        };
        let parameters: [&[&'static str]; 2] = [scope, &["name", "pretty"]];
        paths.push(path(format!("{collection}/{{name}}/{name}"), &parameters, operations));
    }
    if kind.namespaced {
        let options: [&[&'static str]; 2] = [&["pretty"], &LIST_OPTIONS];
        let list = maker.list("ForAllNamespaces", Vec::new());
        paths.push(path(format!("{base}/{}", kind.plural), &options, vec![list]));
        if typed {
            let watch = maker.watch_list("ForAllNamespaces", "List");
            paths.push(path(format!("{base}/watch/{}", kind.plural), &options, vec![watch]));
        }
    }
    paths
}

struct Maker<'a> {
    resource: &'a Resource,
    /// Whether to describe as Go does what has Go types, and not as CustomResources.
    typed: bool,
}

impl Maker<'_> {
    fn kind(&self) -> &str {
        &self.resource.stored.kind
    }

    /// `verb` + group + version + `Namespaced`? + kind + `suffix`.
    fn id(&self, verb: &str, suffix: &str) -> String {
        let group_version = &self.resource.group_version;
        let all_namespaces = suffix.ends_with("ForAllNamespaces");
        let scope = if self.resource.stored.namespaced && !all_namespaces {
            "Namespaced"
        } else {
            ""
        };
        let (verb, collection) = match verb {
            "deleteCollection" => ("delete", "Collection"),
            verb => (verb, ""),
        };
        let group = identifier(called(&group_version.group), true);
        let version = identifier(&group_version.version, true);
        format!("{verb}{group}{version}{collection}{scope}{}{suffix}", self.kind())
    }

    fn operation(&self, method: &'static str, action: &'static str, id: String, description: String) -> Operation {
        let group_version = &self.resource.group_version;
        let tag = format!(
            "{}_{}",
            identifier(called(&group_version.group), false),
            identifier(&group_version.version, false)
        );
        Operation {
            method,
            id,
            tag,
            description,
            parameters: Vec::new(),
            body: None,
            consumes: if self.typed { ANYTHING } else { OBJECT },
            codes: &[200],
            response: schema::name(self.resource),
            produces: OBJECT,
            subject: Some(Subject {
                kind: self.kind().to_owned(),
                action,
                group_version_kind: group_version_kind(group_version, self.kind()),
            }),
        }
    }

    fn list(&self, suffix: &str, parameters: Vec<&'static str>) -> Operation {
        let verbs = if self.typed { "list or watch" } else { "list" };
        let description = format!("{verbs} objects of kind {}", self.kind());
        Operation {
            parameters,
            response: schema::list_name(self.resource),
            produces: if self.typed { LIST } else { OBJECT },
            ..self.operation("get", "list", self.id("list", suffix), description)
        }
    }

    fn object_body(&self) -> Option<Body> {
        Some(Body {
            schema: schema::name(self.resource),
            required: true,
        })
    }

    fn collection(&self) -> Vec<Operation> {
        let kind = self.kind();
        let create = Operation {
            parameters: WRITE.to_vec(),
            body: self.object_body(),
            codes: &[200, 201, 202],
            ..self.operation(
                "post",
                "post",
                self.id("create", ""),
                format!("create {} {kind}", article(kind)),
            )
        };
        let delete_collection = Operation {
            parameters: match self.typed {
                true => DELETE_COLLECTION.to_vec(),
                false => LIST_OPTIONS.to_vec(),
            },
            body: self.typed.then(delete_options).flatten(),
            response: meta::name("Status"),
            ..self.operation(
                "delete",
                "deletecollection",
                self.id("deleteCollection", ""),
                format!("delete collection of {kind}"),
            )
        };
        vec![self.list("", LIST_OPTIONS.to_vec()), create, delete_collection]
    }

    fn item(&self) -> Vec<Operation> {
        let kind = self.kind();
        let delete = Operation {
            parameters: DELETE_OPTIONS.to_vec(),
            body: delete_options(),
            codes: &[200, 202],
            response: meta::name("Status"),
            ..self.operation(
                "delete",
                "delete",
                self.id("delete", ""),
                format!("delete {} {kind}", article(kind)),
            )
        };
        let mut operations = self.read_and_write("", "");
        operations.push(delete);
        operations
    }

    fn status(&self) -> Vec<Operation> {
        self.read_and_write("Status", "status of ")
    }

    fn finalize(&self) -> Vec<Operation> {
        let all = self.read_and_write("Finalize", "finalize of ");
        all.into_iter().filter(|operation| operation.method == "put").collect()
    }

    fn read_and_write(&self, suffix: &str, of: &str) -> Vec<Operation> {
        let kind = self.kind();
        let read = Operation {
            parameters: if self.typed {
                Vec::new()
            } else {
                vec!["resourceVersion"]
            },
            ..self.operation(
                "get",
                "get",
                self.id("read", suffix),
                format!("read {of}the specified {kind}"),
            )
        };
        let replace = Operation {
            parameters: WRITE.to_vec(),
            body: self.object_body(),
            codes: &[200, 201],
            ..self.operation(
                "put",
                "put",
                self.id("replace", suffix),
                format!("replace {of}the specified {kind}"),
            )
        };
        let patch = Operation {
            parameters: vec!["dryRun", "fieldManagerOfPatch", "fieldValidation", "force"],
            body: Some(Body {
                schema: meta::name("Patch"),
                required: true,
            }),
            consumes: match self.resource.has_protobuf() {
                true => &PATCH_OF_BUILTIN,
                false => &PATCH_OF_BUILTIN[..3],
            },
            codes: if self.typed { &[200, 201] } else { &[200] },
            ..self.operation(
                "patch",
                "patch",
                self.id("patch", suffix),
                format!("partially update {of}the specified {kind}"),
            )
        };
        vec![read, replace, patch]
    }

    fn watch_list(&self, scope: &str, list: &str) -> Operation {
        let description = format!(
            "watch individual changes to a list of {}. deprecated: use the 'watch' parameter with a list operation instead.",
            self.kind()
        );
        self.events("watchlist", self.id("watch", &format!("{list}{scope}")), description)
    }

    fn watch(&self) -> Operation {
        let description = format!(
            "watch changes to an object of kind {}. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.",
            self.kind()
        );
        self.events("watch", self.id("watch", ""), description)
    }

    fn events(&self, action: &'static str, id: String, description: String) -> Operation {
        Operation {
            response: meta::name("WatchEvent"),
            produces: LIST,
            ..self.operation("get", action, id, description)
        }
    }
}

fn delete_options() -> Option<Body> {
    Some(Body {
        schema: meta::name("DeleteOptions"),
        required: false,
    })
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['A', 'E', 'I', 'O', 'U']) {
        "an"
    } else {
        "a"
    }
}
