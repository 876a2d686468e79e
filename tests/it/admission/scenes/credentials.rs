//! Webhooks that want to know who asks.

use serde_json::json;

use super::super::credentials::proof;
use super::super::scene::{Hook, Reach, Scene, Step, organization};
use crate::harness::webhooks::Script;

/// One webhook and one object with its label is a case: each way to prove who asks, by each way to a webhook, and those that
/// get no proof, which is a failure.
pub(in super::super) fn credentials() -> Scene {
    let seen = Script::Respond(json!({"allowed": true, "warnings": ["seen"]}));
    let mut hooks = Vec::new();
    for mutating in [true, false] {
        let known = |reach| Script::Known(proof(mutating, &reach));
        for (name, script, reach) in [
            ("url", known(Reach::Url), Reach::Url),
            ("service", known(Reach::Service), Reach::Service),
            ("strict-url", seen.clone(), Reach::StrictUrl),
            ("strict-service", seen.clone(), Reach::StrictService),
            ("stranger", known(Reach::Url), Reach::Stranger),
            ("strict-stranger", seen.clone(), Reach::StrictStranger),
        ] {
            for policy in ["Fail", "Ignore"] {
                let name = format!(
                    "known-{}-{name}-{}",
                    if mutating { "m" } else { "v" },
                    policy.to_lowercase()
                );
                let hook = match mutating {
                    true => Hook::mutating(&name, script.clone()),
                    false => Hook::validating(&name, script.clone()),
                };
                hooks.push(
                    hook.of_case(&name)
                        .reached(reach.clone())
                        .with(json!({"failurePolicy": policy})),
                );
            }
        }
    }
    let steps = hooks.iter().map(|hook| {
        let body = organization("known", &json!({"labels": {"case": hook.name}}));
        Step::post(&hook.name, "organizations?dryRun=All", body)
    });
    let steps = steps.collect();
    Scene {
        name: "credentials",
        hooks,
        steps,
    }
}
