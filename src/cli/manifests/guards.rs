//! What kube-apiserver itself guards: policies, evaluated there, so that nothing of ours is in the way of anybody's namespaces.
//!
//! The controllers believe a Namespace's labels (`groups/tenancy/controllers/labels.rs`), and an exempt Role escapes what an
//! Organization may grant at most. Both would be free to everybody who may write namespaces or roles.

use super::Options;
use super::rbac::CONTROLLERS;
use crate::groups::tenancy::controllers::labels::{ADOPT, EXEMPT};

/// What all labels and annotations of ours begin with.
const PREFIX: &str = "bulward.io/";
/// The names of the policies and of their bindings.
const NAMESPACES: &str = "namespaces.bulward.io";
const EXEMPT_ROLES: &str = "exempt-roles.bulward.io";

/// Both policies, bound everywhere.
pub(super) fn guards(options: &Options) -> String {
    [namespaces(options), exempt_roles()].concat()
}

/// Labels and annotations become texts, before and after: what is in one of the two alone was set, changed or removed. A
/// deleted Namespace has none after. The namespace controller changes none, so that it needs no exception.
fn namespaces(options: &Options) -> String {
    let namespace = &options.namespace;
    let ours = |object: &str| {
        let texts = |field: &str, name: &str| {
            format!(
                "(has({object}.metadata.{field}) ? {object}.metadata.{field}\
                 .filter(key, key.startsWith('{PREFIX}')).map(key, '{name} ' + key + '=' + {object}.metadata.{field}[key]) : [])"
            )
        };
        let (labels, annotations) = (texts("labels", "label"), texts("annotations", "annotation"));
        format!("{object} == null ? [] :\n      {labels} +\n      {annotations}")
    };
    let (before, after) = (ours("oldObject"), ours("object"));
    let policy = format!(
        "# Which Namespaces are whose: the labels and annotations say so, and the controllers alone write them. system:masters hand a Namespace over.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {NAMESPACES}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [\"\"]
      apiVersions: [\"*\"]
      operations: [CREATE, UPDATE, DELETE]
      resources: [namespaces]
    - apiGroups: [\"\"]
      apiVersions: [\"*\"]
      operations: [UPDATE]
      resources: [namespaces/status, namespaces/finalize]
  matchConditions:
  - name: not-the-controllers
    expression: request.userInfo.username != 'system:serviceaccount:{namespace}:{CONTROLLERS}'
  variables:
  - name: before
    expression: >-
      {before}
  - name: after
    expression: >-
      {after}
  - name: changed
    expression: variables.before.filter(one, !(one in variables.after)) + variables.after.filter(one, !(one in variables.before))
  - name: handsOver
    expression: has(request.userInfo.groups) && 'system:masters' in request.userInfo.groups
  validations:
  - expression: variables.changed.all(one, variables.handsOver && one.startsWith('annotation {ADOPT}='))
    reason: Forbidden
    message: labels and annotations that begin with {PREFIX} are written by Bulward's controllers alone, and a Namespace that has them is deleted by them alone
    messageExpression: >-
      (request.operation == 'DELETE' ? 'Bulward\\'s controllers alone delete a Namespace with ' : 'Bulward\\'s controllers alone set, change or remove ') +
      variables.changed.map(one, one.split('=')[0]).join(', ')
"
    );
    [policy, binding(NAMESPACES)].concat()
}

/// The rules of an exempt Role are not cut afterwards, so that they need the verb by which RBAC lets rules be written that their
/// writer does not hold. What changes neither the label nor the rules is free, and so is giving up the label.
fn exempt_roles() -> String {
    let policy = format!(
        "---
# The label {EXEMPT} lets a Role grant more than its Organization may: it is for those who may escalate, and so are the rules of such a Role.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {EXEMPT_ROLES}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [rbac.authorization.k8s.io]
      apiVersions: [\"*\"]
      operations: [CREATE, UPDATE]
      resources: [roles]
  matchConditions:
  - name: exempt
    expression: has(object.metadata.labels) && '{EXEMPT}' in object.metadata.labels
  - name: new-or-changed
    expression: >-
      oldObject == null || !has(oldObject.metadata.labels) || !('{EXEMPT}' in oldObject.metadata.labels) ||
      oldObject.metadata.labels['{EXEMPT}'] != object.metadata.labels['{EXEMPT}'] ||
      (has(oldObject.rules) && dyn(oldObject.rules) != null ? oldObject.rules : []) !=
      (has(object.rules) && dyn(object.rules) != null ? object.rules : [])
  validations:
  - expression: >-
      authorizer.group('rbac.authorization.k8s.io').resource('roles').namespace(request.namespace)
      .name(has(object.metadata.name) ? object.metadata.name : '').check('escalate').allowed()
    reason: Forbidden
    message: a Role with the label {EXEMPT} is written by those alone who may escalate roles in its namespace
"
    );
    [policy, binding(EXEMPT_ROLES)].concat()
}

fn binding(policy: &str) -> String {
    format!(
        "---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {policy}
spec:
  policyName: {policy}
  validationActions: [Deny]
"
    )
}
