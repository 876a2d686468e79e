//! Where Kubernetes' own servers differ: built-in, typed APIs do not answer as CustomResources do.

use crate::wire::quote::go_quote;
use crate::wire::status::{Details, Status};

/// Which of the two a kind answers like; every difference is a method here, and is asked for nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conventions {
    /// A CustomResource on kube-apiserver (k8s.io/apiextensions-apiserver): what users of the cluster know best.
    #[default]
    CustomResource,
    /// A kind with Go types on k8s.io/apiserver, as `k8s.io/sample-apiserver` serves it.
    Typed,
}

impl Conventions {
    fn typed(self) -> bool {
        self == Self::Typed
    }

    /// Whether documents describe the kind as Go does what has Go types (k8s.io/apiserver pkg/endpoints/installer.go), and not
    /// as it does CustomResources.
    pub fn documented_as_typed(self) -> bool {
        self.typed()
    }

    /// Whether the items of a list say what they are.
    pub fn items_have_kind(self) -> bool {
        !self.typed()
    }

    /// Whether a body must say what it is; else the path says it.
    pub fn kind_is_required(self) -> bool {
        !self.typed()
    }

    /// What a new object with a resourceVersion is refused with; 500 is a Go server's slip, which we do not repeat where
    /// nobody compares.
    pub fn version_given(self) -> Status {
        let text = "resourceVersion should not be set on objects to be created";
        match self {
            Self::CustomResource => Status::bad_request(text),
            Self::Typed => Status::new(500, "", text),
        }
    }

    /// Whether faults of a changed metadata are told twice: by the registry, and by the validator of CustomResources.
    pub fn checks_metadata_twice(self) -> bool {
        !self.typed()
    }

    /// Whether the metadata of a new object is looked at only if there is no other fault
    /// (k8s.io/apiserver pkg/registry/rest/create.go; the strategy of CustomResources looks at it itself, and first).
    pub fn checks_new_metadata_last(self) -> bool {
        self.typed()
    }

    /// Whether finalizers without a domain are warned of, as the validator of CustomResources does.
    pub fn warns_of_finalizers(self) -> bool {
        !self.typed()
    }

    /// Whether `metadata.generation` is counted by the server.
    pub fn counts_generation(self) -> bool {
        !self.typed()
    }

    /// Whether values are decoded into Go types, whose names appear in errors.
    pub fn has_go_types(self) -> bool {
        self.typed()
    }

    /// Whether what holds nothing is left out: Go's types mark their fields `omitempty`.
    pub fn omits_empty(self) -> bool {
        self.typed()
    }

    /// How a patch of a type that is not served is refused: the words are those of the route, or of the handler.
    pub fn unsupported_patch(self, refusal: Status) -> Status {
        match self {
            Self::CustomResource => refusal,
            Self::Typed => {
                Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_details(Details::default())
            }
        }
    }

    /// Whether a patch of a type that is not served never reaches the handler, which would have warned of the version.
    pub fn routes_patches(self) -> bool {
        self.typed()
    }

    /// The media types of which `Accept` has to name one before a handler is asked: Go's typed servers have routes that say
    /// what they produce, CustomResources have none. `streamed` is for collections, which can be watched.
    pub fn representations(self, streamed: bool) -> Option<&'static [&'static str]> {
        const ALL: [&str; 5] = [
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
            "application/json;stream=watch",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ];
        self.typed().then_some(if streamed { &ALL } else { &ALL[..3] })
    }

    /// Whether a table without rows says `null`: Go's default table of typed kinds never makes the list
    /// (k8s.io/apiserver pkg/registry/rest/table.go), that of CustomResources does.
    pub fn no_rows_are_null(self) -> bool {
        self.typed()
    }

    /// Whether selectors may also name the namespace of a kind that has none; it is empty
    /// (k8s.io/apimachinery pkg/runtime/conversion.go, `DefaultMetaV1FieldSelectorConversion`).
    pub fn any_kind_has_namespace_field(self) -> bool {
        self.typed()
    }

    /// What is said of a field that no selector may name.
    pub fn unknown_field(self, field: &str) -> String {
        match self {
            Self::CustomResource => format!("field label not supported: {field}"),
            Self::Typed => format!(
                "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                go_quote(field)
            ),
        }
    }

    /// Whether record entries of versions that are not served are forgotten.
    pub fn forgets_unknown_versions(self) -> bool {
        self.typed()
    }
}
