//! What a webhook answers: `uid`, a line, and the body of its answer.

use bulward::admission::webhook::review::{Bad, Version, denied};
use serde_json::Value;

use super::parts;

pub(super) fn target(data: &[u8]) -> bool {
    let Some((uid, body)) = parts(data) else { return false };
    let uid = String::from_utf8_lossy(uid);
    let model = serde_json::from_slice::<Value>(body).ok();
    let mut understood = false;
    for (version, mutating) in [
        (Version::V1, true),
        (Version::V1, false),
        (Version::V1beta1, true),
        (Version::V1beta1, false),
    ] {
        match version.answer(&uid, mutating, body) {
            Ok(answer) => {
                understood = true;
                // Where nobody looks, numbers may be too large and texts too strange for another reader.
                let Some(model) = &model else { continue };
                let model = &model["response"];
                assert_eq!(
                    answer.allowed,
                    model["allowed"] == Value::Bool(true),
                    "yes is said, never guessed"
                );
                assert!(version == Version::V1beta1 || model["uid"].as_str().unwrap_or_default() == uid);
                assert!(mutating || answer.patch.is_empty(), "who only judges changes nothing");
                let status = denied("a.example.com", answer.status);
                assert!((400..1000).contains(&status.code), "a denial is an error: {status:?}");
                assert!(
                    status
                        .message
                        .starts_with("admission webhook \"a.example.com\" denied the request")
                );
            }
            // A text about what came from elsewhere: short, or about what is expected.
            Err(Bad::Undecodable(why)) => assert!(!why.is_empty() && why.len() < 256, "{why}"),
            Err(Bad::Invalid(why)) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
        }
    }
    understood
}
