//! The rights by which somebody may act as somebody else, and what each of them is asked
//! (k8s.io/apiserver pkg/endpoints/filters/impersonation/mode.go).

use std::collections::BTreeMap;

use super::super::request_info::RequestInfo;
use crate::authz::{Attributes, Authorizer, Decision, ResourceAttributes};
use crate::wire::quote::go_quote;
use crate::wire::status::Status;
use crate::wire::user::{ANONYMOUS, GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED, UserInfo};
use crate::wire::validation::names::{dns1123_label, dns1123_subdomain, domain_prefixed_path};

const AUTHENTICATION: &str = "authentication.k8s.io";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";
/// From so many parts on, one question about all of them is tried first.
const MANY: usize = 4;

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A pod may act as the node that it runs on.
    AssociatedNode,
    /// Any node.
    ArbitraryNode,
    /// A service account.
    ServiceAccount,
    /// Everybody else.
    UserInfo,
    /// Anybody, for anything: `impersonate`, as it has always been.
    Legacy,
}

/// In the order in which they are tried.
pub(super) const MODES: [Mode; 5] = [
    Mode::AssociatedNode,
    Mode::ArbitraryNode,
    Mode::ServiceAccount,
    Mode::UserInfo,
    Mode::Legacy,
];

/// Who wants to do what as whom.
pub(super) struct Asking<'a> {
    pub(super) authorizer: &'a dyn Authorizer,
    pub(super) requestor: &'a UserInfo,
    pub(super) wanted: &'a UserInfo,
    pub(super) info: &'a RequestInfo,
}

impl Mode {
    /// The verb on users, groups and the rest.
    fn verb(self) -> &'static str {
        match self {
            Self::AssociatedNode => "impersonate:associated-node",
            Self::ArbitraryNode => "impersonate:arbitrary-node",
            Self::ServiceAccount => "impersonate:serviceaccount",
            Self::UserInfo => "impersonate:user-info",
            Self::Legacy => "impersonate",
        }
    }

    /// What an audit is told of it.
    pub(super) fn constraint(self) -> &'static str {
        match self {
            Self::Legacy => "",
            mode => mode.verb(),
        }
    }

    /// Whether the right is about such users at all.
    pub(super) fn applies(self, wanted: &UserInfo, requestor: &UserInfo) -> bool {
        let bare = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let (node, account) = (node(&wanted.name), service_account(&wanted.name));
        match self {
            Self::AssociatedNode => {
                let own = requestor.extra.get(NODE_NAME).map(Vec::as_slice);
                let here = matches!((own, node), (Some([own]), Some(node)) if own == node);
                bare && here && service_account(&requestor.name).is_some()
            }
            Self::ArbitraryNode => bare && node.is_some(),
            Self::ServiceAccount => bare && account.is_some(),
            Self::UserInfo => node.is_none() && account.is_none(),
            Self::Legacy => true,
        }
    }
}

impl Asking<'_> {
    /// The identity, if the right allows it for this request.
    pub(super) async fn check(&self, mode: Mode) -> Result<UserInfo, Status> {
        let legacy = mode == Mode::Legacy;
        let wanted = self.wanted;
        if !legacy {
            let mut attributes = self.info.attributes();
            let verb = match &mut attributes {
                Attributes::Resource(asked) => &mut asked.verb,
                Attributes::Path { verb, .. } => verb,
            };
            let on = mode.verb().trim_start_matches("impersonate:");
            *verb = format!("impersonate-on:{on}:{verb}");
            self.ask(mode, &attributes).await?;
        }
        let mut user = wanted.clone();
        self.name(mode, &mut user).await?;
        if !wanted.uid.is_empty() {
            let uid = attributes(mode, AUTHENTICATION, "uids", &wanted.uid);
            self.ask(mode, &Attributes::Resource(uid)).await?;
        }
        self.groups(mode).await?;
        self.extra(mode).await?;
        if user.name == ANONYMOUS {
            ensure(&mut user, GROUP_UNAUTHENTICATED);
        } else if !user.in_group(GROUP_UNAUTHENTICATED) {
            ensure(&mut user, GROUP_AUTHENTICATED);
        }
        Ok(user)
    }

    /// Some users have groups that nobody needs to name.
    async fn name(&self, mode: Mode, user: &mut UserInfo) -> Result<(), Status> {
        let legacy = mode == Mode::Legacy;
        let mut asked = attributes(mode, identities(mode), "users", &self.wanted.name);
        if let Some(node) = node(&self.wanted.name).filter(|_| !legacy) {
            asked.resource = "nodes".to_owned();
            asked.name = match mode {
                // The answer is about every node that the caller might run on.
                Mode::AssociatedNode => "*".to_owned(),
                _ => node.to_owned(),
            };
            user.groups = vec!["system:nodes".to_owned()];
        }
        if let Some((namespace, name)) = service_account(&self.wanted.name) {
            asked.resource = "serviceaccounts".to_owned();
            asked.namespace = namespace.to_owned();
            asked.name = name.to_owned();
            if user.groups.is_empty() {
                let all = "system:serviceaccounts";
                user.groups = vec![all.to_owned(), format!("{all}:{namespace}")];
            }
        }
        self.ask(mode, &Attributes::Resource(asked)).await
    }

    async fn groups(&self, mode: Mode) -> Result<(), Status> {
        let groups = &self.wanted.groups;
        let asked = |name: &str| Attributes::Resource(attributes(mode, identities(mode), "groups", name));
        if mode != Mode::Legacy {
            for (forbidden, shown, why) in [
                ("", "", "impersonating the empty string group is not allowed"),
                (
                    GROUP_MASTERS,
                    GROUP_MASTERS,
                    "impersonating the system:masters group is not allowed",
                ),
            ] {
                if groups.iter().any(|group| group == forbidden) {
                    return Err(asked(shown).forbidden(self.requestor, why));
                }
            }
            if groups.len() >= MANY && self.ask(mode, &asked("*")).await.is_ok() {
                return Ok(());
            }
        }
        for group in groups {
            self.ask(mode, &asked(group)).await?;
        }
        Ok(())
    }

    async fn extra(&self, mode: Mode) -> Result<(), Status> {
        let extra = &self.wanted.extra;
        let asked = |key: &str, value: &str| {
            let mut asked = attributes(mode, AUTHENTICATION, "userextras", value);
            asked.subresource = key.to_owned();
            Attributes::Resource(asked)
        };
        if mode != Mode::Legacy && !extra.is_empty() {
            if let Some(why) = odd_extra(extra) {
                return Err(asked("", "").forbidden(self.requestor, &why));
            }
            let many = extra.len() >= MANY || extra.values().map(Vec::len).sum::<usize>() >= MANY;
            if many && self.ask(mode, &asked("*", "*")).await.is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.ask(mode, &asked(key, value)).await?;
            }
        }
        Ok(())
    }

    async fn ask(&self, mode: Mode, attributes: &Attributes) -> Result<(), Status> {
        // Whose node it is has been looked at; all pods of one account are then one.
        let reduced = (mode == Mode::AssociatedNode).then(|| UserInfo {
            extra: BTreeMap::from([(NODE_KEYS.to_owned(), self.requestor.extra.keys().cloned().collect())]),
            ..self.requestor.clone()
        });
        let user = reduced.as_ref().unwrap_or(self.requestor);
        match self.authorizer.authorize(user, attributes).await {
            Ok(Decision::Allow { .. }) => Ok(()),
            Ok(Decision::Deny { reason }) => Err(attributes.forbidden(user, &reason)),
            // As in Go: no decision is no leave, and the error is told.
            Err(error) => {
                tracing::error!(%error, by = user.name, "no decision on impersonation");
                Err(attributes.forbidden(user, &error))
            }
        }
    }
}

/// The group of users and groups.
fn identities(mode: Mode) -> &'static str {
    match mode {
        Mode::Legacy => "",
        _ => AUTHENTICATION,
    }
}

fn attributes(mode: Mode, group: &str, resource: &str, name: &str) -> ResourceAttributes {
    ResourceAttributes {
        verb: mode.verb().to_owned(),
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..ResourceAttributes::default()
    }
}

fn ensure(user: &mut UserInfo, group: &str) {
    if !user.in_group(group) {
        user.groups.push(group.to_owned());
    }
}

/// The name of the node that a user is.
fn node(user: &str) -> Option<&str> {
    let name = user.strip_prefix("system:node:")?;
    dns1123_subdomain(name).is_empty().then_some(name)
}

/// Namespace and name of the account that a user is (pkg/authentication/serviceaccount/util.go SplitUsername).
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let good = dns1123_label(namespace).is_empty() && dns1123_subdomain(name).is_empty();
    good.then_some((namespace, name))
}

/// What constrained impersonation does not take.
fn odd_extra(extra: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let odd = |(key, values): (&String, &Vec<String>)| {
        let wrong = domain_prefixed_path(key);
        if key.is_empty() {
            Some("impersonating the empty string key in extra is not allowed".to_owned())
        } else if !wrong.is_empty() {
            let wrong = wrong.iter();
            let told = wrong.map(|(part, why)| format!("extra.key: Invalid value: {}: {why}", go_quote(part)));
            let told: Vec<String> = told.collect();
            // As Go writes one error, and several.
            let told = match told.as_slice() {
                [one] => one.clone(),
                several => format!("[{}]", several.join(", ")),
            };
            Some(format!("impersonating an invalid key in extra is not allowed: {told}"))
        } else if key.chars().any(char::is_uppercase) {
            let shown = go_quote(key);
            Some(format!(
                "impersonating a non-lowercase key in extra is not allowed: {shown}"
            ))
        } else if values.is_empty() {
            Some("impersonating empty values in extra is not allowed".to_owned())
        } else if values.iter().any(String::is_empty) {
            Some("impersonating the empty string value in extra is not allowed".to_owned())
        } else {
            None
        }
    };
    extra.iter().find_map(odd)
}
