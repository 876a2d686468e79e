//! CEL expressions, as `matchConditions` of a webhook or a policy: an object, and an expression about it.

use std::sync::{Arc, LazyLock};

use bulward::admission::cel::{Conditions, Inputs, Matched};
use k8s_openapi::api::admissionregistration::v1::MatchCondition;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::parts;

/// What is told of an evaluation that panicked: the pool keeps the process alive, here it is a finding.
const ABORTED: &str = "the evaluation failed";
/// Texts of failures quote the expression and little else.
const LONGEST_MESSAGE: usize = 64 << 10;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
});

fn ask(inputs: &Arc<Inputs>, expression: String) -> Matched {
    let length = expression.len();
    let condition = MatchCondition {
        name: "c".to_owned(),
        expression,
    };
    let matched = RUNTIME.block_on(async {
        let conditions = Conditions::compile(&[condition]).await;
        assert!(!conditions.is_empty(), "the parser panicked");
        conditions.matches(inputs).await
    });
    if let Matched::Failed(why) = &matched {
        assert!(!why.is_empty() && why != ABORTED, "{why}");
        assert!(
            why.len() < LONGEST_MESSAGE + 8 * length,
            "{} bytes of {why:.200}",
            why.len()
        );
    }
    matched
}

pub(super) fn target(data: &[u8]) -> bool {
    let Some((object, expression)) = parts(data) else {
        return false;
    };
    let (Ok(object), Ok(expression)) = (serde_json::from_slice::<Value>(object), std::str::from_utf8(expression))
    else {
        return false;
    };
    let request =
        json!({"operation": "CREATE", "userInfo": {"username": "ann", "groups": ["a", "b"]}, "dryRun": false});
    let inputs = Arc::new(Inputs::new(Some(&object), None, &request, None, None));
    let matched = ask(&inputs, expression.to_owned());
    match &matched {
        // What is false is not true, and nothing else is.
        Matched::No(_) => assert_eq!(ask(&inputs, format!("!({expression}\n)")), Matched::Yes),
        Matched::Yes => {
            let not = ask(&inputs, format!("!({expression}\n)"));
            // Some value that is no boolean counts as a match, as in Go; and what is nested deeper may be too deep.
            assert_ne!(not, Matched::Yes, "neither false nor true");
        }
        Matched::Failed(_) => {}
    }
    !matches!(&matched, Matched::Failed(why) if why.starts_with("compilation error"))
}
