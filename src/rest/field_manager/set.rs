//! Sets of fields (sigs.k8s.io/structured-merge-diff fieldpath/{set,serialize}.go).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Element;
use super::shape::{Shape, ShapeRef};

/// A set of paths, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    nodes: BTreeMap<Element, Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    member: bool,
    /// What is in the set below.
    below: Set,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Set {
    /// Whether there is no path in the set.
    pub fn is_empty(&self) -> bool {
        self.nodes.values().all(Node::is_empty)
    }

    /// How many paths are in the set.
    pub fn len(&self) -> usize {
        let nodes = self.nodes.values();
        nodes.map(|node| usize::from(node.member) + node.below.len()).sum()
    }

    /// Adds a path, but not its parents; the empty path is left out.
    pub fn insert(&mut self, path: &[Element]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.nodes.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.member = true;
            } else {
                node.below.insert(rest);
            }
        }
    }

    /// Adds a step with what is below it; the step itself is a member or not. What is there already is replaced.
    pub fn attach(&mut self, element: Element, member: bool, below: Self) {
        let node = Node { member, below };
        if !node.is_empty() {
            self.nodes.insert(element, node);
        }
    }

    /// A set of paths that consist of field names.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::Field((*name).to_owned())).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether the path of one step is in the set.
    pub fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// Whether a path is in the set.
    pub fn has_path(&self, path: &[Element]) -> bool {
        match path.split_last() {
            None => false,
            Some((last, parents)) => {
                let parent = parents.iter().try_fold(self, |set, step| set.below(step));
                parent.is_some_and(|set| set.has(last))
            }
        }
    }

    /// What is in the set below a step.
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.nodes
            .get(element)
            .map(|node| &node.below)
            .filter(|set| !set.is_empty())
    }

    /// The steps of this level: the step, whether it is a member, what is below.
    pub fn steps(&self) -> impl Iterator<Item = (&Element, bool, &Self)> {
        self.nodes
            .iter()
            .map(|(element, node)| (element, node.member, &node.below))
    }

    /// What is in either.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    /// What is in either, where neither is needed any more.
    pub fn and(mut self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        self.extend(&other);
        self
    }

    /// Adds everything that is in another set; what that costs is what is added.
    pub fn extend(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            let own = self.nodes.entry(element.clone()).or_default();
            own.member |= node.member;
            own.below.extend(&node.below);
        }
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.filter(|element, node| {
            let other = other.nodes.get(element)?;
            Some(Node {
                member: node.member && other.member,
                below: node.below.intersection(&other.below),
            })
        })
    }

    /// What is in this set alone; a path in `other` takes nothing that is below it.
    pub fn difference(&self, other: &Self) -> Self {
        self.filter(|element, node| {
            let Some(other) = other.nodes.get(element) else {
                return Some(node.clone());
            };
            Some(Node {
                member: node.member && !other.member,
                below: node.below.difference(&other.below),
            })
        })
    }

    /// What is in this set alone; a path in `other` takes everything that is below it.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.filter(|element, node| match other.nodes.get(element) {
            None => Some(node.clone()),
            Some(other) if other.member => None,
            Some(other) => Some(Node {
                member: node.member,
                below: node.below.recursive_difference(&other.below),
            }),
        })
    }

    fn filter(&self, keep: impl Fn(&Element, &Node) -> Option<Node>) -> Self {
        let kept = self.nodes.iter().filter_map(|(element, node)| {
            let node = keep(element, node).filter(|node| !node.is_empty())?;
            Some((element.clone(), node))
        });
        Self { nodes: kept.collect() }
    }

    /// Adds the fields that the type names and that lie on the way to a member.
    pub fn with_named_fields(&self, shape: Option<ShapeRef<'_>>) -> Self {
        let shape: Option<&Shape> = shape.map(|shape| shape.resolve());
        let map = shape.and_then(|shape| shape.map.as_ref());
        let list = shape.and_then(|shape| shape.list.as_ref());
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (named, inner) = match element {
                Element::Field(name) => (
                    map.is_some_and(|map| map.fields.contains_key(name)),
                    map.and_then(|map| map.field(name)),
                ),
                Element::Key(_) => (false, list.map(|list| list.items.borrow())),
                _ => (false, None),
            };
            let node = Node {
                member: node.member || named && !node.below.is_empty(),
                below: node.below.with_named_fields(inner),
            };
            (element.clone(), node)
        });
        Self { nodes: nodes.collect() }
    }

    /// Every path: those that end on a level before those that go on, as Go walks.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.walk(&mut |path| {
            paths.push(path.to_vec());
            true
        });
        paths
    }

    /// Shows every path in the order of [`Set::paths`], as long as `see` says true.
    pub fn walk(&self, see: &mut dyn FnMut(&[Element]) -> bool) {
        self.walk_from(&mut Vec::new(), see);
    }

    fn walk_from(&self, path: &mut Vec<Element>, see: &mut dyn FnMut(&[Element]) -> bool) -> bool {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            path.push(element.clone());
            let go_on = see(path);
            path.pop();
            if !go_on {
                return false;
            }
        }
        for (element, node) in self.nodes.iter().filter(|(_, node)| !node.below.is_empty()) {
            path.push(element.clone());
            let go_on = node.below.walk_from(path, see);
            path.pop();
            if !go_on {
                return false;
            }
        }
        true
    }

    /// FieldsV1. The members of the JSON object are in the order of their texts, in which CustomResources are answered.
    pub fn to_fields(&self) -> Value {
        let nodes = self.nodes.iter().filter(|(_, node)| !node.is_empty());
        let members = nodes.map(|(element, node)| {
            let mut below = node.below.to_fields();
            if node.member
                && let Some(map) = below.as_object_mut()
                && !map.is_empty()
            {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.serialize(), below)
        });
        Value::Object(members.collect())
    }

    /// Reads FieldsV1.
    ///
    /// # Errors
    /// Which step is malformed.
    pub fn from_fields(fields: &Value) -> Result<Self, String> {
        let mut set = Self::default();
        for (key, value) in fields.as_object().into_iter().flatten() {
            if key == "." {
                continue;
            }
            let Some(element) = Element::parse(key)? else { continue };
            let below = Self::from_fields(value)?;
            let member = below.is_empty() || value.get(".").is_some();
            set.nodes.insert(element, Node { member, below });
        }
        Ok(set)
    }
}
