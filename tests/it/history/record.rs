//! A history: plain data, and nothing that judges.

use std::fmt;
use std::sync::Arc;

/// The store's one order.
pub(crate) type Revision = u64;

/// A moment of the recording process: what ended at a tick was over before anything that began at a later one.
pub(crate) type Tick = u64;

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The callers; others name them by their place here.
    pub(crate) who: Vec<Who>,
    /// Subjects as `User/alice`, `Group/devs`, `ServiceAccount/ns/name`; versions name them by their place here.
    pub(crate) subjects: Vec<Arc<str>>,
    /// The store was empty up to here.
    pub(crate) begin: Revision,
    /// What the store committed, in its order.
    pub(crate) truth: Vec<Moment>,
    pub(crate) writes: Vec<Write>,
    pub(crate) lists: Vec<List>,
    pub(crate) looks: Vec<Look>,
    pub(crate) watches: Vec<Watch>,
    /// For each replica the number of changes after which it may forget; absent where it may forget at any time.
    pub(crate) memory: Vec<Option<usize>>,
}

/// A caller.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    /// All of them, `system:authenticated` included.
    pub(crate) groups: Vec<String>,
    /// Uses the storage view, where nothing is filtered.
    pub(crate) everything: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Organizations,
    Projects,
}

/// An object: its kind, and `name` or `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
}

/// All changes of one revision.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) revision: Revision,
    /// The new version of each key; none for a deletion.
    pub(crate) changes: Vec<(Key, Option<Arc<Version>>)>,
}

/// One version of an object, as stored.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    pub(crate) uid: Box<str>,
    /// Places in [`History::subjects`].
    pub(crate) owners: Box<[u32]>,
    pub(crate) members: Box<[u32]>,
    /// `status.namespace.name`; empty for none.
    pub(crate) claim: Box<str>,
    /// The label `sel`.
    pub(crate) label: Option<Box<str>>,
    pub(crate) phase: Box<str>,
    /// Marked for deletion.
    pub(crate) leaving: bool,
    /// What [`Seen::print`] has to be, by [`Shape`].
    pub(crate) prints: [u64; 3],
}

/// The representation that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Metadata,
    Table,
}

/// A state of an object as a client saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    /// Of everything that was shown, but the resourceVersion and the role.
    pub(crate) print: u64,
    /// The ROLE cell of a table.
    pub(crate) role: Option<Arc<str>>,
}

/// What a list or watch is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) kind: Kind,
    /// One namespace; all when absent.
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
}

/// A selector of the label `sel`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Labels {
    Any,
    Has,
    Is(&'static str),
    IsNot(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fields {
    Any,
    Name(Arc<str>),
    Namespace(Arc<str>),
    Phase(&'static str),
}

/// How new a list is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    Latest,
    Any,
    NotOlderThan(Revision),
    Exact(Revision),
    /// A further page, after this name, of a list at this revision; without one the first request was told 410 and got a
    /// token to go on at the newest one.
    Continue {
        first: Option<Revision>,
        after: Arc<str>,
    },
}

/// A list, or a page of one.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) who: usize,
    pub(crate) replica: usize,
    pub(crate) query: Query,
    pub(crate) shape: Shape,
    pub(crate) ask: Ask,
    /// 0 for all.
    pub(crate) limit: usize,
    pub(crate) began: Tick,
    pub(crate) ended: Tick,
    pub(crate) listed: Listed,
}

/// What a list answered.
#[derive(Clone, Debug)]
pub(crate) enum Listed {
    Page {
        revision: Revision,
        items: Vec<Seen>,
        remaining: Option<usize>,
        /// Whether there is a token.
        more: bool,
    },
    /// 410; the newest revision that the store had afterwards.
    Expired { upper: Option<Revision> },
}

/// A read or a refused write of one object: what the caller was told about its existence.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) who: usize,
    pub(crate) replica: usize,
    pub(crate) key: Key,
    pub(crate) shape: Shape,
    pub(crate) began: Tick,
    /// The newest revision that the store had afterwards.
    pub(crate) upper: Option<Revision>,
    pub(crate) found: Found,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Here(Seen),
    /// 404.
    Absent,
    /// 403: it is seen, but not owned.
    NotOwned,
}

/// A write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) who: usize,
    pub(crate) replica: usize,
    pub(crate) verb: Verb,
    /// Absent for the deletion of a collection that failed on its way.
    pub(crate) key: Option<Key>,
    /// What the deletion of a collection selected.
    pub(crate) collection: Option<Query>,
    /// The revision that it said to replace.
    pub(crate) replaces: Option<Revision>,
    pub(crate) began: Tick,
    pub(crate) ended: Tick,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Delete,
    DeleteCollection,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// This is stored now.
    Stored(Seen),
    /// The object with this uid is gone.
    Gone(Box<str>),
    /// It was refused with this code.
    Refused(u16),
    /// No answer, or one that leaves it open.
    Unknown,
}

/// A watch from its beginning to its end; one that goes on elsewhere is another.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) who: usize,
    pub(crate) replica: usize,
    pub(crate) query: Query,
    pub(crate) shape: Shape,
    pub(crate) start: Start,
    /// Whether it continues another one.
    pub(crate) resumes: bool,
    pub(crate) bookmarks: bool,
    pub(crate) began: Tick,
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
    /// It was read until this revision or beyond, unless its end says that it stayed silent.
    pub(crate) due: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    After(Revision),
    /// With the initial events.
    Initial,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) tick: Tick,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Added(Seen),
    Modified(Seen),
    Deleted(Seen),
    Bookmark(Revision),
    /// The bookmark that ends the initial events.
    Initial(Revision),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// By the client, or the connection.
    Cut,
    /// By the server, without a word.
    Closed,
    /// 410; the newest revision that the store had afterwards.
    Expired { upper: Option<Revision> },
    /// What was due did not come in time.
    Silent,
}

impl History {
    /// What a run is measured by: events of watches, lists and pages, reads of one object, writes.
    pub(crate) fn len(&self) -> usize {
        let events: usize = self.watches.iter().map(|watch| watch.events.len()).sum();
        events + self.lists.len() + self.looks.len() + self.writes.len()
    }
}

impl Kind {
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Projects => "projects",
        }
    }
}

impl Key {
    pub(crate) fn new(kind: Kind, name: &str) -> Self {
        let name = name.into();
        Self { kind, name }
    }

    /// Namespace, empty for an Organization, and name.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.name.split_once('/').unwrap_or(("", &self.name))
    }
}

impl Query {
    pub(crate) fn all(kind: Kind) -> Self {
        Self {
            kind,
            namespace: None,
            labels: Labels::Any,
            fields: Fields::Any,
        }
    }

    /// Whether this key can be in it, whatever the object says.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        let (namespace, name) = key.split();
        let inside = self.namespace.as_deref().is_none_or(|own| own == namespace);
        let named = match &self.fields {
            Fields::Name(own) => **own == *name,
            Fields::Namespace(own) => **own == *namespace,
            _ => true,
        };
        key.kind == self.kind && inside && named
    }

    pub(crate) fn matches(&self, version: &Version) -> bool {
        let label = version.label.as_deref();
        let labelled = match self.labels {
            Labels::Any => true,
            Labels::Has => label.is_some(),
            Labels::Is(value) => label == Some(value),
            Labels::IsNot(value) => label != Some(value),
        };
        let phase = match self.fields {
            Fields::Phase(phase) => *version.phase == *phase,
            _ => true,
        };
        self.covers(&version.key) && labelled && phase
    }

    /// The query's parameters, each with an ampersand in front.
    pub(crate) fn text(&self) -> String {
        let labels = match self.labels {
            Labels::Any => String::new(),
            Labels::Has => "&labelSelector=sel".to_owned(),
            Labels::Is(value) => format!("&labelSelector=sel%3D{value}"),
            Labels::IsNot(value) => format!("&labelSelector=sel%21%3D{value}"),
        };
        let fields = match &self.fields {
            Fields::Any => String::new(),
            Fields::Name(name) => format!("&fieldSelector=metadata.name%3D{name}"),
            Fields::Namespace(namespace) => format!("&fieldSelector=metadata.namespace%3D{namespace}"),
            Fields::Phase(phase) => format!("&fieldSelector=status.phase%3D{phase}"),
        };
        labels + &fields
    }

    /// Whether a selector leaves something out.
    pub(crate) fn selects(&self) -> bool {
        self.labels != Labels::Any || self.fields != Fields::Any
    }
}

impl What {
    pub(crate) fn revision(&self) -> Revision {
        match self {
            Self::Added(seen) | Self::Modified(seen) | Self::Deleted(seen) => seen.revision,
            Self::Bookmark(revision) | Self::Initial(revision) => *revision,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.plural(), self.name)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or("*");
        write!(f, "{} in {namespace} {}", self.kind.plural(), self.text())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, seen) = match self {
            Self::Added(seen) => ("ADDED", seen),
            Self::Modified(seen) => ("MODIFIED", seen),
            Self::Deleted(seen) => ("DELETED", seen),
            Self::Bookmark(revision) => return write!(f, "BOOKMARK at {revision}"),
            Self::Initial(revision) => return write!(f, "end of the initial events at {revision}"),
        };
        write!(f, "{kind} {seen}")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} (state {:08x}", self.key, self.revision, self.print >> 32)?;
        match &self.role {
            Some(role) => write!(f, ", role {role:?})"),
            None => f.write_str(")"),
        }
    }
}
