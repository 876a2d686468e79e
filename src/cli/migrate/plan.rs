//! What to do: a pure function of what is there. It knows nothing that deletes, and nothing that changes an Organization or a
//! Project that is there: those are their owners' since they were made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::account::{Account, ORIGIN, ROLE_LABEL};
use super::rules::Rules;
use super::world::World;
use crate::groups::tenancy::controllers::labels::{ADOPT, ORGANIZATION, OWNER_UID};
use crate::wire::meta;

/// What becomes of every Account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// In the order of their names.
    pub(super) accounts: Vec<Migration>,
}

/// What becomes of one Account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Migration {
    /// Its name.
    pub(super) account: String,
    /// The Organization's name.
    pub(super) organization: String,
    /// In this order; none if there are problems.
    pub(super) steps: Vec<Step>,
    /// Why nothing of it is done.
    pub(super) problems: Vec<String>,
    /// What an administrator should know.
    pub(super) notes: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Create this Organization or Project.
    Create(Value),
    /// Hand a Namespace over to the Organization of its name.
    HandOver {
        /// As it was found; `None` when it was not looked at.
        found: Option<Value>,
        /// The Namespace's name, and the Organization's.
        name: String,
    },
    /// It is there already.
    Keep(Value),
}

/// Plans.
pub(super) fn plan(world: &World, adopt: bool, rules: &Rules) -> Plan {
    let planner = Planner {
        world,
        adopt,
        rules,
        claims: world.claims(),
    };
    let mut accounts: Vec<Migration> = world
        .accounts
        .values()
        .map(|account| planner.migration(account))
        .collect();
    refuse_collisions(&mut accounts);
    for migration in accounts.iter_mut().filter(|migration| !migration.problems.is_empty()) {
        migration.steps.clear();
    }
    Plan { accounts }
}

/// Two Accounts that would need the same namespace: neither gets it, as nothing says which one should.
fn refuse_collisions(accounts: &mut [Migration]) {
    let mut takers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, migration) in accounts
        .iter()
        .enumerate()
        .filter(|(_, migration)| migration.problems.is_empty())
    {
        for object in migration.steps.iter().filter_map(Step::created) {
            takers.entry(claimed(object)).or_default().push(at);
        }
    }
    for (namespace, takers) in takers.into_iter().filter(|(_, takers)| takers.len() > 1) {
        let names: Vec<String> = takers.iter().map(|at| accounts[*at].account.clone()).collect();
        let text = format!(
            "Accounts {} would both need the namespace {namespace}",
            names.join(" and ")
        );
        for at in takers {
            accounts[at].problems.push(text.clone());
        }
    }
}

/// The name of the namespace that an Organization or Project will have.
fn claimed(object: &Value) -> String {
    match (meta::namespace(object), meta::name(object)) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}-{name}"),
    }
}

impl Step {
    /// The object that it creates.
    fn created(&self) -> Option<&Value> {
        match self {
            Step::Create(object) => Some(object),
            Step::HandOver { .. } | Step::Keep(_) => None,
        }
    }
}

struct Planner<'a> {
    world: &'a World,
    adopt: bool,
    rules: &'a Rules,
    claims: BTreeMap<String, String>,
}

impl Planner<'_> {
    fn migration(&self, account: &Account) -> Migration {
        let earlier = self.made_from(account);
        // An Organization's Namespace has its name, so that one that takes a Namespace over is called like it.
        let organization = match earlier.as_slice() {
            [name] => (*name).to_owned(),
            _ if self.adopt => self.own_namespace(account).unwrap_or(&account.name).to_owned(),
            _ => format!("{}-org", account.name),
        };
        let mut migration = Migration {
            account: account.name.clone(),
            organization,
            steps: Vec::new(),
            problems: account.problems(),
            notes: account.notes(),
        };
        if earlier.len() > 1 {
            let names = earlier.join(", ");
            let text = format!("several Organizations say that they were made from it: {names}");
            migration.problems.push(text);
        }
        if migration.problems.is_empty() {
            self.organization(account, &mut migration);
            for project in account.projects(&migration.organization) {
                self.project(account, project, &mut migration);
            }
        }
        migration
    }

    /// The Organizations that were made from an Account before, whatever they are called.
    fn made_from(&self, account: &Account) -> Vec<&str> {
        let organizations = self.world.organizations.iter();
        let made = organizations.filter(|(_, organization)| is_from(account, organization));
        made.map(|(name, _)| name.as_str()).collect()
    }

    /// The Namespace that KubeCarrier made for an Account. A file need not say; then it is the one that it would make.
    fn own_namespace<'a>(&self, account: &'a Account) -> Option<&'a str> {
        let assumed = self.world.partial.then_some(account.name.as_str());
        account.namespace.as_deref().or(assumed)
    }

    fn organization(&self, account: &Account, migration: &mut Migration) {
        let name = migration.organization.clone();
        let existing = self.world.organizations.get(&name);
        match existing {
            Some(organization) if meta::deletion_timestamp(organization).is_some() => {
                migration.problems.push(format!("Organization {name} is being deleted"));
            }
            Some(organization) if is_from(account, organization) => {
                migration.steps.push(Step::Keep(organization.clone()));
            }
            Some(_) => migration.problems.push(taken("Organization", &name)),
            None if self.adopt && self.own_namespace(account).is_none() => {
                let text = "it has no Namespace to hand over yet (status.namespace is empty)";
                migration.problems.push(text.to_owned());
            }
            None => self.create(account.organization(&name), migration),
        }
        self.namespace(account, existing, migration);
    }

    /// What to do about the Namespace of the Organization's name.
    fn namespace(&self, account: &Account, organization: Option<&Value>, migration: &mut Migration) {
        let name = migration.organization.clone();
        let own = self.own_namespace(account);
        let accounts_own = own == Some(&name);
        if let Some(own) = own.filter(|_| self.adopt && !accounts_own) {
            let text = format!("Namespace {own} stays: the Organization was made as {name} before");
            migration.notes.push(text);
        }
        if organization.is_some_and(|organization| organization["status"]["namespace"]["name"] == *name) {
            return;
        }
        let Some(found) = self.world.namespaces.get(&name) else {
            if self.adopt && accounts_own && self.world.partial {
                migration.steps.push(Step::HandOver { found: None, name });
            } else if self.adopt && accounts_own && organization.is_none() {
                let text = format!("its Namespace {name} is not there; KubeCarrier makes it again, plan again then");
                migration.problems.push(text);
            }
            return;
        };
        let owner = meta::label(found, OWNER_UID).or(meta::annotation(found, OWNER_UID));
        if organization.is_some_and(|organization| owner == Some(meta::uid(organization))) {
            return;
        }
        let handed_over = meta::annotation(found, ADOPT).is_some_and(|to| to == handed_to(&name));
        if meta::deletion_timestamp(found).is_some() {
            migration.problems.push(format!("Namespace {name} is being deleted"));
        } else if let Some(owner) = meta::label(found, ORGANIZATION).or(owner) {
            let text = format!("Namespace {name} belongs to another Organization or Project ({owner})");
            migration.problems.push(text);
        } else if handed_over {
            // By an earlier run, or by hand.
        } else if accounts_own && self.adopt {
            let references = meta::owner_references(found);
            if references.iter().any(|reference| reference.kind == "Account") {
                let text = format!(
                    "Namespace {name} has an ownerReference to the Account, and goes with it when that is deleted"
                );
                migration.notes.push(text);
            }
            let found = Some(found.clone());
            migration.steps.push(Step::HandOver { found, name });
        } else {
            let hint = match accounts_own {
                true => "it is the Account's: --adopt-namespaces hands it over",
                false => "rename or remove one of the two, or hand it over by annotation",
            };
            migration.problems.push(format!(
                "Namespace {name} is there already, and not the Organization's ({hint})"
            ));
        }
    }

    fn project(&self, account: &Account, project: Value, migration: &mut Migration) {
        let name = meta::name(&project).to_owned();
        let key = (migration.organization.clone(), name.clone());
        match self.world.projects.get(&key) {
            Some(existing) if meta::deletion_timestamp(existing).is_some() => {
                migration.problems.push(format!("Project {name} is being deleted"));
            }
            Some(existing) if is_from(account, existing) => {
                if meta::label(existing, ROLE_LABEL) != Some(&name) {
                    let text = format!("Project {name} does not carry the label {ROLE_LABEL}={name} any more");
                    migration.notes.push(text);
                }
                migration.steps.push(Step::Keep(existing.clone()));
            }
            Some(_) => migration.problems.push(taken("Project", &name)),
            None => {
                let namespace = claimed(&project);
                if self.world.namespaces.contains_key(&namespace) {
                    let text = format!("Namespace {namespace} is there already, and would not be Project {name}'s");
                    migration.problems.push(text);
                }
                self.create(project, migration);
            }
        }
    }

    fn create(&self, object: Value, migration: &mut Migration) {
        if let Some(claimant) = self.claims.get(&claimed(&object)) {
            let text = format!("the namespace {} is that of {claimant}", claimed(&object));
            migration.problems.push(text);
        }
        migration.problems.extend(self.rules.refusal(&object));
        migration.steps.push(Step::Create(object));
    }
}

/// The value of [`ADOPT`].
pub(super) fn handed_to(organization: &str) -> String {
    format!("organization/{organization}")
}

fn is_from(account: &Account, object: &Value) -> bool {
    meta::annotation(object, ORIGIN).is_some_and(|origin| origin == account.origin())
}

fn taken(kind: &str, name: &str) -> String {
    format!("{kind} {name} is there already, and was not made from this Account (no {ORIGIN} that names it)")
}
