//! What is recorded of requests: by the real server into a real file, and compared with what kube-apiserver records.

mod impersonation;
mod log;
mod oracle;
mod panics;
mod webhook;

use std::path::Path;

use bulward::audit::{Mode, Rotation};
use bulward::config::{Audit, AuditLog};
use serde_json::Value;

use crate::harness::eventually;
use crate::harness::in_process::{DEADLINE, Settings};

/// Records as `policy` says into `folder/audit.log`.
pub(crate) fn recording(folder: &Path, policy: &str) -> Settings {
    let file = folder.join("policy.yaml");
    std::fs::write(&file, policy).expect("write into our own folder");
    Settings {
        audit: Audit {
            policy_file: Some(file),
            log: Some(AuditLog {
                path: folder.join("audit.log"),
                rotation: Rotation {
                    max_size: 0,
                    max_age: 0,
                    max_backups: 0,
                    compress: false,
                },
                mode: Mode::Blocking,
                truncate: None,
            }),
            webhook: None,
        },
        ..Settings::default()
    }
}

/// All events in a file; a line that is being written is not one yet.
pub(crate) fn events(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parsed = whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"));
    parsed.collect()
}

/// The events of one request, once the last of them is there.
async fn of_request(path: &Path, audit_id: &str, last: &str) -> Vec<Value> {
    eventually(&format!("{last} of {audit_id}"), DEADLINE, async || {
        let all = events(path);
        let own: Vec<Value> = all.into_iter().filter(|event| event["auditID"] == audit_id).collect();
        match own.iter().any(|event| event["stage"] == last) {
            true => Ok(own),
            false => Err(format!("{own:?}")),
        }
    })
    .await
}
