//! What is there: the Accounts, and what stands where they are going.

use std::collections::BTreeMap;

use serde_json::Value;

use super::account::Account;
use crate::groups::tenancy::{FILTERED, STORAGE};
use crate::wire::meta;

/// A cluster, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    /// By name.
    pub(super) accounts: BTreeMap<String, Account>,
    /// By name.
    pub(super) organizations: BTreeMap<String, Value>,
    /// By namespace and name.
    pub(super) projects: BTreeMap<(String, String), Value>,
    /// By name.
    pub(super) namespaces: BTreeMap<String, Value>,
    /// Read from files: what is not here may be there nevertheless.
    pub(super) partial: bool,
}

impl World {
    /// Takes in an object, or each item of a list. Whatever does not matter here is passed over.
    pub(super) fn add(&mut self, mut object: Value) {
        if let Some(Value::Array(items)) = object.get_mut("items").map(Value::take) {
            let (version, kind) = (meta::api_version(&object), meta::kind(&object));
            // The items of a typed list need not say what they are.
            let item_kind = kind.strip_suffix("List").unwrap_or_default();
            for mut item in items {
                if meta::kind(&item).is_empty() && item.is_object() {
                    item["apiVersion"] = version.into();
                    item["kind"] = item_kind.into();
                }
                self.add(item);
            }
            return;
        }
        let group = meta::api_version(&object)
            .split_once('/')
            .map_or("", |(group, _)| group);
        let name = meta::name(&object).to_owned();
        match (group, meta::kind(&object)) {
            ("catalog.kubecarrier.io", "Account") => {
                self.accounts.insert(name, Account::read(&object));
            }
            (FILTERED | STORAGE, "Organization") => {
                self.organizations.insert(name, object);
            }
            (FILTERED | STORAGE, "Project") => {
                let key = (meta::namespace(&object).to_owned(), name);
                self.projects.insert(key, object);
            }
            ("", "Namespace") => {
                self.namespaces.insert(name, object);
            }
            _ => {}
        }
    }

    /// Who claims each namespace name: of every Organization its own, of every Project `<namespace>-<name>`.
    pub(super) fn claims(&self) -> BTreeMap<String, String> {
        let organizations = self
            .organizations
            .keys()
            .map(|name| (name.clone(), format!("Organization {name}")));
        let projects = self.projects.keys().map(|(namespace, name)| {
            let claimed = format!("{namespace}-{name}");
            (claimed, format!("Project {name} in namespace {namespace}"))
        });
        organizations.chain(projects).collect()
    }
}
