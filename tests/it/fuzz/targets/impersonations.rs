//! `Impersonate-*` headers: everything that somebody becomes was asked for and allowed, or follows from what they are.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bulward::authz::{Attributes, Authorizer, Decision, ResourceAttributes};
use bulward::http::impersonation::{Impersonated, Impersonation};
use bulward::http::request_info::RequestInfo;
use bulward::wire::options::Query;
use bulward::wire::status::Status;
use bulward::wire::user::UserInfo;
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::headers;

/// Groups that nobody has to ask for.
const IMPLIED: [&str; 4] = [
    "system:authenticated",
    "system:unauthenticated",
    "system:nodes",
    "system:serviceaccounts",
];

/// Allows everything, everything but constrained impersonation, or nothing; and remembers what it was asked.
struct Asked {
    allows: fn(&ResourceAttributes) -> bool,
    asked: Mutex<Vec<ResourceAttributes>>,
}

#[async_trait]
impl Authorizer for Asked {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        assert_eq!(user.name, "bob", "it is the caller who is asked about");
        let Attributes::Resource(asked) = attributes else {
            panic!("{attributes:?}")
        };
        self.asked.lock().push(asked.clone());
        Ok(match (self.allows)(asked) {
            true => Decision::allow(),
            false => Decision::deny(),
        })
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime")
});

type Told = (Result<Option<Impersonated>, Status>, HeaderMap, Vec<ResourceAttributes>);

/// Who allows nothing, who everything, and who plain impersonation alone: made once, since making them takes its time.
static WORLDS: LazyLock<[(Arc<Asked>, Impersonation); 3]> = LazyLock::new(|| {
    let rules: [fn(&ResourceAttributes) -> bool; 3] = [|_| false, |_| true, |asked| asked.verb == "impersonate"];
    rules.map(|allows| {
        let authorizer = Arc::new(Asked {
            allows,
            asked: Mutex::default(),
        });
        (authorizer.clone(), Impersonation::new(authorizer))
    })
});

fn impersonate(sent: &HeaderMap, (authorizer, impersonation): &(Arc<Asked>, Impersonation)) -> Told {
    let mut headers = sent.clone();
    let info = RequestInfo::parse(&Method::GET, "/apis/g/v1/things", &Query::default());
    let bob = Arc::new(UserInfo {
        name: "bob".to_owned(),
        ..UserInfo::default()
    });
    authorizer.asked.lock().clear();
    let result = RUNTIME.block_on(impersonation.impersonate(&mut headers, &info, &bob));
    let asked = std::mem::take(&mut *authorizer.asked.lock());
    (result, headers, asked)
}

pub(super) fn target(data: &[u8]) -> bool {
    let sent = headers::read(data);
    let asks = |name: &str| {
        matches!(name, "impersonate-user" | "impersonate-uid" | "impersonate-group")
            || name.starts_with("impersonate-extra-")
    };
    let any = sent.keys().any(|name| asks(name.as_str()));
    // Who may not become anybody stays who they are, and only if they asked for nothing.
    let [strict, lenient @ ..] = &*WORLDS;
    let (nothing, ..) = impersonate(&sent, strict);
    match &nothing {
        Ok(None) => assert!(
            values(&sent, "impersonate-user")
                .first()
                .is_none_or(|name| name.is_empty())
        ),
        Ok(Some(other)) => panic!("{other:?} without any right"),
        Err(status) => {
            assert!(any && matches!(status.code, 400 | 403), "{status:?}");
            assert!(!status.message.is_empty(), "{status:?}");
        }
    }
    let mut understood = false;
    for world in lenient {
        let (result, left, asked) = impersonate(&sent, world);
        match result {
            Ok(None) => assert_eq!(nothing, Ok(None)),
            Ok(Some(became)) => {
                understood = true;
                earned(&became.user, &sent, &asked);
                assert!(left.keys().all(|name| !asks(name.as_str())), "{left:?}");
                let others = sent.iter().filter(|(name, _)| !asks(name.as_str()));
                assert_eq!(left.len(), others.count(), "nothing else is taken");
            }
            Err(status) => assert!(matches!(status.code, 400 | 403), "{status:?}"),
        }
    }
    understood
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// Every part of an identity was sent, and a right to it was asked for.
fn earned(user: &UserInfo, sent: &HeaderMap, asked: &[ResourceAttributes]) {
    assert_eq!(
        Some(user.name.as_bytes()),
        values(sent, "impersonate-user").first().copied()
    );
    let right = |resource: &str, name: &str| {
        let about = |one: &&ResourceAttributes| one.resource == resource && (one.name == name || one.name == "*");
        asked.iter().any(|one| about(&one))
    };
    let account = user.name.strip_prefix("system:serviceaccount:");
    let named = right("users", &user.name)
        || account.is_some_and(|account| {
            account
                .split_once(':')
                .is_some_and(|(_, name)| right("serviceaccounts", name))
        })
        || user
            .name
            .strip_prefix("system:node:")
            .is_some_and(|name| right("nodes", name));
    assert!(named, "{user:?}: {asked:?}");
    assert_eq!(
        user.uid.as_bytes(),
        values(sent, "impersonate-uid").first().copied().unwrap_or_default()
    );
    assert!(user.uid.is_empty() || right("uids", &user.uid), "{user:?}: {asked:?}");
    let groups = values(sent, "impersonate-group");
    for group in &user.groups {
        let implied =
            IMPLIED.contains(&group.as_str()) || group.starts_with("system:serviceaccounts:") && account.is_some();
        let given = groups.contains(&group.as_bytes()) && right("groups", group);
        assert!(implied || given, "{group}: {asked:?}");
    }
    assert!(
        groups
            .iter()
            .all(|group| user.groups.iter().any(|own| own.as_bytes() == *group)),
        "{user:?}"
    );
    let extras = sent
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("impersonate-extra-"));
    assert_eq!(
        user.extra.values().map(Vec::len).sum::<usize>(),
        extras.count(),
        "{user:?}"
    );
    for (key, value) in user
        .extra
        .iter()
        .flat_map(|(key, all)| all.iter().map(move |value| (key, value)))
    {
        let about = |one: &ResourceAttributes| {
            let (key, value) = [(key, &one.subresource), (value, &one.name)]
                .map(|(own, it)| own == it || it == "*")
                .into();
            one.resource == "userextras" && key && value
        };
        assert!(asked.iter().any(about), "{key}={value}: {asked:?}");
    }
}
