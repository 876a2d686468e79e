//! What a maker grants in a target: the Role and the RoleBinding as they should be.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject as RbacSubject};
use kube::api::ObjectMeta;

use super::super::labels::{EVERYONE, MAKER, MAKER_UID, MANAGED_BY, OWNER_UID};
use super::maker::{Maker, MakerKind};
use super::target::Target;
use crate::groups::tenancy::rbac::{Cut, Groups, Rule, cut, fit};
use crate::wire::subject::{RBAC_GROUP, Subject};

/// What a maker grants in a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The Role.
    pub role: Role,
    /// The RoleBinding, if there is to be one.
    pub binding: Option<RoleBinding>,
    /// The Role's rules.
    pub rules: Vec<Rule>,
    /// What was asked for and is not granted.
    pub cut: Vec<Cut>,
}

/// What an Organization may do at most in a target: all that the templates that apply there grant together.
pub fn maximum<'a>(templates: impl IntoIterator<Item = &'a Maker>, target: &Target) -> Vec<Rule> {
    let templates = templates.into_iter();
    let of_all = templates.filter(|it| it.kind == MakerKind::OrganizationRoleTemplate);
    let here = of_all.filter(|template| !template.is_deleting() && template.selects(target));
    here.flat_map(|template| template.spec().rules.iter().cloned())
        .collect()
}

impl Grant {
    /// What `maker` grants in `target`, where `maximum` holds.
    pub fn new(maker: &Maker, target: &Target, maximum: &[Rule], groups: &Groups) -> Self {
        let requested = &maker.spec().rules;
        // The administrator's templates are what makes the maximum.
        let maximum = if maker.kind == MakerKind::OrganizationRoleTemplate {
            requested
        } else {
            maximum
        };
        let fit = fit(requested, maximum, groups);
        let cut = match fit.whole {
            true => Vec::new(),
            false => cut(requested, maximum, &fit.rules, groups),
        };
        let binding = maker.subjects(target).map(|subjects| {
            let mut metadata = metadata(maker, target);
            if maker.binds_everyone() {
                let everyone = (EVERYONE.to_owned(), "true".to_owned());
                metadata.labels.get_or_insert_default().extend([everyone]);
            }
            RoleBinding {
                metadata,
                role_ref: RoleRef {
                    api_group: RBAC_GROUP.to_owned(),
                    kind: "Role".to_owned(),
                    name: maker.role_name(),
                },
                subjects: Some(subjects.iter().map(bound).collect()),
            }
        });
        Self {
            role: Role {
                metadata: metadata(maker, target),
                rules: Some(fit.rules.iter().map(PolicyRule::from).collect()),
            },
            binding,
            rules: fit.rules,
            cut,
        }
    }
}

fn metadata(maker: &Maker, target: &Target) -> ObjectMeta {
    let labels = [
        (MANAGED_BY, maker.kind.singular()),
        (MAKER_UID, maker.uid()),
        (OWNER_UID, target.uid.as_str()),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    ObjectMeta {
        name: Some(maker.role_name()),
        namespace: Some(target.namespace.clone()),
        labels: Some(labels.map(owned).into()),
        annotations: Some(BTreeMap::from([owned((MAKER, &maker.key.name))])),
        ..ObjectMeta::default()
    }
}

/// As kube-apiserver would default it, so that it compares equal to what comes back.
fn bound(subject: &Subject) -> RbacSubject {
    let service_account = subject.kind == "ServiceAccount";
    RbacSubject {
        api_group: (!service_account).then(|| RBAC_GROUP.to_owned()),
        kind: subject.kind.clone(),
        name: subject.name.clone(),
        namespace: service_account.then(|| subject.namespace.clone()),
    }
}

/// The rules of a Role.
pub fn rules_of(role: &Role) -> Vec<Rule> {
    role.rules.iter().flatten().map(Rule::from).collect()
}

/// Whether a Role is as it should be; what else it carries is nobody's business.
pub fn role_is(role: &Role, wanted: &Role) -> bool {
    rules_of(role) == rules_of(wanted) && carries(&role.metadata, &wanted.metadata)
}

/// Whether a RoleBinding is as it should be.
pub fn binding_is(binding: &RoleBinding, wanted: &RoleBinding) -> bool {
    let everyone = |binding: &RoleBinding| {
        binding
            .metadata
            .labels
            .as_ref()
            .is_some_and(|it| it.contains_key(EVERYONE))
    };
    binding.role_ref == wanted.role_ref
        && subjects(binding) == subjects(wanted)
        && carries(&binding.metadata, &wanted.metadata)
        && everyone(binding) == everyone(wanted)
}

/// In no order, with nothing and the empty text alike.
fn subjects(binding: &RoleBinding) -> Vec<[&str; 4]> {
    let all = binding.subjects.iter().flatten();
    let mut all: Vec<[&str; 4]> = all
        .map(|subject| {
            let group = subject.api_group.as_deref().unwrap_or_default();
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            [subject.kind.as_str(), group, subject.name.as_str(), namespace]
        })
        .collect();
    all.sort_unstable();
    all
}

fn carries(metadata: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    let within = |have: &Option<BTreeMap<String, String>>, wanted: &Option<BTreeMap<String, String>>| {
        let mut wanted = wanted.iter().flatten();
        wanted.all(|(name, value)| have.as_ref().and_then(|have| have.get(name)) == Some(value))
    };
    within(&metadata.labels, &wanted.labels) && within(&metadata.annotations, &wanted.annotations)
}
