use super::*;

/// Always says the same.
struct Says(Result<Decision, String>);

#[async_trait]
impl Authorizer for Says {
    async fn authorize(&self, _: &UserInfo, _: &Attributes) -> Result<Decision, String> {
        self.0.clone()
    }
}

fn allow(reason: &str) -> Result<Decision, String> {
    let reason = reason.to_owned();
    Ok(Decision::Allow { reason })
}

fn deny(reason: &str) -> Result<Decision, String> {
    let reason = reason.to_owned();
    Ok(Decision::Deny { reason })
}

async fn together(all: &[Result<Decision, String>]) -> Result<Decision, String> {
    let authorizers = all.iter().map(|one| Arc::new(Says(one.clone())) as Arc<dyn Authorizer>);
    let attributes = Attributes::Path {
        path: "/".to_owned(),
        verb: "get".to_owned(),
    };
    let union = Union::new(authorizers.collect());
    union.authorize(&UserInfo::anonymous(), &attributes).await
}

#[tokio::test]
async fn first_permission_wins_with_its_reason() {
    assert_eq!(together(&[deny("a"), allow("b"), allow("c")]).await, allow("b"));
    assert_eq!(together(&[Err("away".to_owned()), allow("b")]).await, allow("b"));
}

#[tokio::test]
async fn reasons_add_up() {
    assert_eq!(together(&[deny("a"), deny(""), deny("b")]).await, deny("a\nb"));
    assert_eq!(together(&[]).await, deny(""));
}

#[tokio::test]
async fn error_is_no_denial() {
    let outcome = together(&[Err("away".to_owned()), deny("a"), Err("gone".to_owned())]).await;
    assert_eq!(outcome, Err("away, gone".to_owned()));
}
