//! V6: every page but the last is full, and all pages are one revision.

use serde_json::{Value, json};

use crate::harness::in_process::{Caller, InProcess, Opened, each_storage};
use crate::harness::tenancy::{World, all_projects, organization, organizations, user};

fn token(page: &Value) -> Option<&str> {
    page["metadata"]["continue"].as_str()
}

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn page(caller: &Caller, collection: &str, limit: usize, token: Option<&str>) -> Value {
    let next = token.map(|token| format!("&continue={token}")).unwrap_or_default();
    caller
        .get(&format!("{collection}?limit={limit}{next}"))
        .await
        .expect(200)
}

/// Few among many: 5 of 60, scattered.
async fn v06_pages_are_full_and_add_up(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    for number in 0..60 {
        let owner = if number % 12 == 0 { "alice" } else { "bob" };
        world.organization(&format!("o{number:02}"), &[user(owner)]).await;
    }
    let (here, there) = (world.user("alice"), replica.user("alice", &[]));
    let first = page(&here, &organizations(), 2, None).await;
    assert_eq!(
        first["metadata"]["remainingItemCount"], 3,
        "only what alice sees is counted"
    );
    let mut all = names(&first);
    let revision = first["metadata"]["resourceVersion"].clone();
    let mut next = token(&first).map(str::to_owned);
    let mut sizes = vec![all.len()];
    let mut callers = [&there, &here].into_iter().cycle();
    while let Some(current) = next {
        // Meanwhile the world goes on: what is created, deleted and granted later is not in these pages.
        let number = sizes.len();
        world
            .organization(&format!("o00-later-{number}"), &[user("alice")])
            .await;
        world.remove(&organization(&format!("o{:02}", 60 - 12 * number))).await;
        let page = page(callers.next().unwrap(), &organizations(), 2, Some(&current)).await;
        assert_eq!(page["metadata"]["resourceVersion"], revision, "one revision");
        all.extend(names(&page));
        sizes.push(names(&page).len());
        next = token(&page).map(str::to_owned);
    }
    assert_eq!(all, ["o00", "o12", "o24", "o36", "o48"]);
    assert_eq!(sizes, [2, 2, 1]);
}
each_storage!(v06_pages_are_full_and_add_up);

async fn v06_a_token_carries_no_authority(opened: Opened) {
    let world = World::new(opened).await;
    for name in ["a", "b", "c", "d"] {
        world.organization(name, &[user("alice")]).await;
    }
    world.organization("e", &[user("bob")]).await;
    let first = page(&world.user("alice"), &organizations(), 2, None).await;
    let token = token(&first).unwrap();
    // bob's own view, from there on.
    assert_eq!(
        names(&page(&world.user("bob"), &organizations(), 2, Some(token)).await),
        ["e"]
    );
    // It is good for this list alone.
    let refused = world
        .user("alice")
        .get(&format!("{}?limit=2&continue={token}", all_projects()))
        .await;
    let status = refused.refused(400, "BadRequest");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("invalid continue token: "),
        "{status}"
    );
    let text = "specifying resource version is not allowed when using continue";
    let both = world
        .user("alice")
        .get(&format!("{}?resourceVersion=3&continue={token}", organizations()))
        .await;
    both.refused_with(400, "BadRequest", text);
    // Who has lost something since gets no page of the past, but a way on.
    world
        .edit(&organization("c"), json!({"spec": {"owners": [user("bob")]}}))
        .await;
    let gone = world
        .user("alice")
        .get(&format!("{}?limit=2&continue={token}", organizations()))
        .await;
    let status = gone.refused(410, "Expired");
    let fresh = status["metadata"]["continue"].as_str().expect("a fresh token");
    assert_eq!(
        names(&page(&world.user("alice"), &organizations(), 2, Some(fresh)).await),
        ["d"]
    );
}
each_storage!(v06_a_token_carries_no_authority);

#[tokio::test]
async fn v06_selectors_and_other_views_are_paged_alike() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    for number in 0..9 {
        world.organization(&format!("o{number}"), &[user("alice")]).await;
        if number % 2 == 0 {
            let labels = json!({"metadata": {"labels": {"even": "yes"}}});
            world.edit(&organization(&format!("o{number}")), labels).await;
        }
    }
    let alice = world.user("alice");
    let selected = alice
        .get(&format!("{}?limit=3&labelSelector=even", organizations()))
        .await
        .expect(200);
    assert_eq!(names(&selected), ["o0", "o2", "o4"]);
    assert_eq!(
        selected["metadata"].get("remainingItemCount"),
        None,
        "a selector leaves the count out"
    );
    let rest = token(&selected).unwrap();
    let rest = alice
        .get(&format!(
            "{}?limit=3&labelSelector=even&continue={rest}",
            organizations()
        ))
        .await
        .expect(200);
    assert_eq!(
        (names(&rest), token(&rest)),
        (vec!["o6".to_owned(), "o8".to_owned()], None)
    );
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = alice
        .get_as(&format!("{}?limit=4", organizations()), table)
        .await
        .expect(200);
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(4));
    assert_eq!(table["metadata"]["remainingItemCount"], 5);
    assert!(token(&table).is_some());
    // "Whatever there is" comes whole.
    let any = alice
        .get(&format!("{}?limit=2&resourceVersion=0", organizations()))
        .await
        .expect(200);
    assert_eq!((names(&any).len(), token(&any)), (9, None));
}
